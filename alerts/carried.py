"""Carried state of the checks, between the database's rows and one array."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from analytics.state import STATE_DTYPE, STATE_LAYOUT, initial_state
from fleet.readings import ABSENT
from storage.database import Transaction
from storage.named_sql import load_queries

_SQL = load_queries("alerts")


@dataclass(frozen=True, slots=True, eq=False)
class Carried:
    """State of n meters as arrays of shape (n,), in the order of the meters asked for."""

    state: NDArray[np.void]
    #: Device time of the last evaluated reading, microseconds since 1970; ABSENT before the first.
    through_us: NDArray[np.int64]
    #: False where a state is stored that this program cannot read: the history has to be evaluated again.
    usable: NDArray[np.bool_]


def load_states(transaction: Transaction, meter_keys: NDArray[np.int32]) -> Carried:
    """Load the states of meters, sorted by number; a meter without one begins anew."""
    wanted = {"meter_keys": meter_keys, "layout": STATE_LAYOUT, "width": STATE_DTYPE.itemsize}
    row = transaction.row(_SQL["states_load"], wanted) or {}
    rows = np.searchsorted(meter_keys, np.array(row.get("meter_keys") or [], dtype=np.int32))
    carried = Carried(
        state=initial_state(len(meter_keys)),
        through_us=np.full(len(meter_keys), ABSENT, dtype=np.int64),
        usable=np.ones(len(meter_keys), dtype=np.bool_),
    )
    if len(rows):
        usable = np.array(row["usable"], dtype=np.bool_)
        carried.through_us[rows] = row["through_us"]
        carried.usable[rows] = usable
        carried.state[rows[usable]] = np.frombuffer(row["states"], dtype=STATE_DTYPE)
    return carried


def save_states(transaction: Transaction, meter_keys: NDArray[np.int32], state: NDArray[np.void]) -> None:
    """Write the states of meters, sorted by number, in bulk; one that is still empty is written too.

    The rows are where engines meet: two that decided on the same meter at the same time both
    write its row, and the later one gets a SerializationError, whatever either of them read.
    """
    if len(meter_keys) == 0:
        return
    columns = {
        "meter_keys": meter_keys,
        "through_us": state["last_time_us"],
        "received_us": state["last_received_us"],
        "states": state.tobytes(),
        "layout": STATE_LAYOUT,
        "width": STATE_DTYPE.itemsize,
    }
    transaction.execute(_SQL["states_save"], columns)
