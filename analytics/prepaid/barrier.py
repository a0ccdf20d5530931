"""Runs of reports of meters whose flow is barred, and what moved in them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from analytics.block import US_PER_DAY, US_PER_S, Block, Floats
from analytics.prepaid.metered import Rise, highest_of_run, more_than
from analytics.samples import creep_m3h
from analytics.segments import Mask, Segments
from fleet.meter_table import each
from fleet.readings import ABSENT
from fleet.wire import VALVES

_CLOSED = VALVES.index("closed")
#: Rest is confirmed after twice the pause between the last two movements, but no later than this.
_LONGEST_REST_US = 7 * US_PER_DAY


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Barrier:
    """What bars the flow, as told by readings; masks of shape (n,) over the block."""

    code: str
    #: Prefix of the state's fields, see `fields`.
    name: str
    #: Readings that tell whether it does.
    reported: Mask
    #: Those after which no gas may flow, and those that leave it open.
    barred: Mask
    undecided: Mask | bool = False
    #: Whether the flow is barred anew by a valve that closes; the state then has a field `_closed`.
    ends_by_valve: bool = False


def fields(name: str) -> tuple[tuple[str, str], ...]:
    """Name what is carried of a meter while its flow is barred; outside of that it is empty."""
    return (
        # The last report, since when the flow is barred, and the last report's snapshot, m³/h.
        (f"{name}_us", "i8"),
        (f"{name}_since_us", "i8"),
        (f"{name}_flow", "f8"),
        # The balance since, and what each register showed first.
        (f"{name}_balance", "f8"),
        (f"{name}_volume", "f8"),
        (f"{name}_std", "f8"),
        # The most that was gained since, when anything moved last, and how long it rested before.
        (f"{name}_gained", "f8"),
        (f"{name}_moved_us", "i8"),
        (f"{name}_pause_us", "i8"),
    )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Run:
    """Reports of meters whose flow is barred at some of them, as arrays of shape (k,)."""

    seg: Segments
    time_us: NDArray[np.int64]
    before_us: NDArray[np.int64]
    barred: Mask
    #: In a run, and not its first report.
    goes_on: Mask
    since_us: NDArray[np.int64]
    flow: Floats
    flow_before: Floats
    balance: Floats
    #: Whether the valve was reported closed last; false unless the barrier `ends_by_valve`.
    closed: Mask

    @classmethod
    def of(cls, block: Block, barrier: Barrier, rows: NDArray[np.intp]) -> Run:
        """Tell which reports belong to which run."""
        name, state, seg = barrier.name, block.state, block.seg.take(rows)
        time_us, barred, flow = block.time_us[rows], barrier.barred[rows], block.readings.flow_m3h[rows]
        before_us = seg.previous(time_us, state[f"{name}_us"])
        linked = barred & seg.previous(barred, state[f"{name}_us"] != ABSENT)
        linked &= time_us - before_us <= block.silent_limit_us[seg.row]
        balance = block.readings.balance[rows]
        balance = seg.latest(balance, ~np.isnan(balance) | ~linked, state[f"{name}_balance"])
        balance_before = seg.previous(balance, state[f"{name}_balance"])
        floor = -each(block.limit(lambda p: p.overdraft), seg.row)
        opened = (balance > balance_before) | ((balance <= floor) & (balance_before > floor))
        goes_on = linked & ~opened
        closed = np.zeros(len(rows), dtype=np.bool_)
        if barrier.ends_by_valve:
            valve = block.readings.valve[rows]
            closed = seg.latest(valve == _CLOSED, (valve != ABSENT) | ~linked, state[f"{name}_closed"])
            goes_on &= ~closed | seg.previous(closed, state[f"{name}_closed"])
        return cls(
            seg=seg,
            time_us=time_us,
            before_us=before_us,
            barred=barred,
            goes_on=goes_on,
            since_us=seg.latest(time_us, ~goes_on, state[f"{name}_since_us"]),
            flow=flow,
            flow_before=seg.previous(flow, state[f"{name}_flow"]),
            balance=balance,
            closed=closed,
        )

    @property
    def decides(self) -> Mask:
        """Not the run's first report, nor a second one at the same time, which confirms nothing."""
        return np.asarray(self.goes_on & (self.time_us > self.before_us), np.bool_)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Stir:
    """When gas moved behind the barrier, as arrays of shape (k,)."""

    #: Whether the register shows more than ever in the run; whether that or the snapshot says flow.
    rose: Mask
    stirred: Mask
    #: The most gained in the run, m³, and whether that is more than a closing valve lets through.
    gained_m3: Floats
    passed: Mask
    #: The run's last stirred report, and how long after the one before that was; ABSENT and 0 for none.
    moved_us: NDArray[np.int64]
    pause_us: NDArray[np.int64]

    @classmethod
    def of(cls, block: Block, name: str, run: Run, rise: Rise) -> Stir:
        """Look for movement in runs whose registers gained so much."""
        seg, state, starts, meters = run.seg, block.state, ~run.goes_on, block.meters
        gained = np.where(run.decides | starts, rise.gained_m3, np.nan)
        highest = highest_of_run(seg, gained, starts, state[f"{name}_gained"])
        rose = run.decides & (gained > np.nan_to_num(seg.previous(highest, state[f"{name}_gained"])))
        stirred = rose | (run.decides & (run.flow > creep_m3h(block)[seg.row]))
        moved_us = np.where(stirred, run.time_us, ABSENT)
        moved_us = seg.latest(moved_us, stirred | starts, state[f"{name}_moved_us"])
        moved_before_us = seg.previous(moved_us, state[f"{name}_moved_us"])
        known = stirred & (moved_before_us != ABSENT)
        pause_us = np.where(known, run.time_us - moved_before_us, 0)
        delivered = block.limit(lambda p: p.last_gas_s) / 3600 * np.nan_to_num(meters.qmax_m3h)
        last_gas = np.maximum(meters.register_step_m3, delivered)
        return cls(
            rose=rose,
            stirred=stirred,
            gained_m3=highest,
            passed=more_than(highest, last_gas[seg.row]),
            moved_us=moved_us,
            pause_us=seg.latest(pause_us, stirred | starts, state[f"{name}_pause_us"]),
        )

    def waits(self, block: Block, run: Run) -> Mask:
        """Tell where the register passed more than a valve's last gas, too lately to be at rest."""
        rest_us = each(block.limit(lambda p: p.barred_rest_s * US_PER_S), run.seg.row)
        rest_us = np.maximum(rest_us, np.minimum(2 * self.pause_us, _LONGEST_REST_US))
        return np.asarray(self.passed & (run.time_us - self.moved_us < rest_us), np.bool_)
