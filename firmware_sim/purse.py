"""The controller of a prepaid meter: its balance and its valve."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from firmware_sim.faults import Fault
from firmware_sim.misburning import shut
from firmware_sim.timeline import Timeline
from fleet.wire import VALVES

#: Faults during which, and before which, nobody tops up.
_NOBODY_PAYS = (Fault.BALANCE_EXHAUSTED, Fault.FLOW_NO_BALANCE, Fault.DAYS_TO_ZERO)

Values = NDArray[np.float64]


def balance(line: Timeline, passed_m3: Values) -> Values:
    """Count down from the anchor or the start, and top up whenever the floor would be reached.

    What was spent only grows, so the number of top-ups follows from it without a loop.
    """
    spent = line.running_sum(_deducted(line, passed_m3))
    anchor, floor, top_up = line["balance_at_fault"], line["top_up_floor"], line["top_up"]
    at_fault = line.at_moment(spent, line["fault_start_us"])
    start = np.where(np.isnan(anchor), line["balance_start"], anchor + at_fault)
    left = start - spent
    nobody_pays = np.isin(line["fault"], _NOBODY_PAYS) & (line.time_us < line["fault_end_us"])
    top_ups = np.where((left <= floor) & ~nobody_pays, np.floor((floor - left) / top_up) + 1.0, 0.0)
    shown = np.round(left + top_ups * top_up, 2)
    return np.where(line["prepaid"], np.maximum(shown, 0.0), np.nan)


def _deducted(line: Timeline, passed_m3: Values) -> Values:
    """Give what each interval costs: nothing where the balance is frozen, more where the price is wrong."""
    price = np.nan_to_num(line["price"]) * np.where(
        line.after(Fault.PRICE_WRONG), 1.0 + line["strength"], 1.0
    )
    return np.asarray(np.where(line.during(Fault.BALANCE_FROZEN), 0.0, price * passed_m3))


def valve(line: Timeline) -> NDArray[np.int8]:
    """Give the valve's state; -1 where there is none. A leaking valve says closed while gas flows."""
    closed = shut(line) | line.during(Fault.VALVE_LEAK)
    state = np.where(closed, VALVES.index("closed"), VALVES.index("open"))
    return np.where(line["prepaid"], state, -1).astype(np.int8)
