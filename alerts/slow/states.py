"""What the slow checks of meters had open at the end of days, in the database."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from alerts.slow.due import Days, Due
from analytics.usage.episodes import SLOW_LAYOUT, SLOW_OPEN_DTYPE, SLOW_TRACKED, no_slow_open
from fleet.readings import ABSENT
from storage.copy_codec import CopyColumn, decode_copy
from storage.database import Transaction
from storage.named_sql import load_queries

_SQL = load_queries("alerts.slow")

_BLANK = no_slow_open(1).tobytes()
_LOADED = (
    CopyColumn("meter_key", "int4", nullable=False),
    CopyColumn("through", "int4", nullable=False),
    CopyColumn("open", f"bytea{SLOW_OPEN_DTYPE.itemsize}", nullable=False),
)

#: States of so many last days are kept, for what is late by a day or two; and before them those of the
#: last day of each seventh day for a quarter of a year, as far as any check looks back.
KEPT_DAYS, KEPT_WEEKS = 3, 13


@dataclass(frozen=True, slots=True, eq=False)
class Carried:
    """Where k meters begin to be judged; shapes (k,)."""

    #: The last day that the state has seen; ABSENT: begin with the first stored day.
    through: Days
    #: `SLOW_OPEN_DTYPE`.
    open: NDArray[np.void]


@dataclass(frozen=True, slots=True, eq=False)
class Kept:
    """What k meters had open at the end of a day; shapes (k,), or one day for all."""

    meter_keys: NDArray[np.int32]
    through: int
    open: NDArray[np.void]


def days_kept(from_day: int, settled: int) -> list[int]:
    """List the days from `from_day` to the last settled one whose states are kept, ascending."""
    first = max(from_day, settled - 7 * KEPT_WEEKS + 1)
    return [day for day in range(first, settled + 1) if day % 7 == 0 or day > settled - KEPT_DAYS]


def load_carried(transaction: Transaction, due: Due) -> Carried:
    """Load the newest state of each meter from before what has to be judged."""
    settled = due.settled != ABSENT
    after = np.where(settled, due.settled + 1, 0)
    before = np.where(due.again == ABSENT, after, np.minimum(due.again, after))
    wanted = {"meter_keys": due.meter_keys, "before": before, "layout": SLOW_LAYOUT, "blank": _BLANK}
    found = decode_copy(_LOADED, transaction.copy_out(_SQL["slow_states_copy_out"], wanted))
    rows = np.searchsorted(due.meter_keys, found["meter_key"])
    out = Carried(np.full(len(due), ABSENT, dtype=np.int64), no_slow_open(len(due)))
    out.through[rows] = found["through"]
    out.open[rows] = found["open"].view(SLOW_OPEN_DTYPE)
    return out


def save_states(transaction: Transaction, due: Due, from_day: Days, settled: Days, kept: list[Kept]) -> None:
    """Write what is kept of meters that were judged from a day on, in the place of what was kept since."""
    span = {
        "meter_keys": due.meter_keys,
        "from": from_day,
        "settled": settled,
        "layout": SLOW_LAYOUT,
        "days": KEPT_DAYS,
        "weeks_for_days": 7 * KEPT_WEEKS,
    }
    transaction.execute(_SQL["slow_states_drop"], span)
    states = np.concatenate([part.open for part in kept])
    anything = worth_keeping(states)
    columns = {
        "meter_keys": np.concatenate([part.meter_keys for part in kept]),
        "through": np.concatenate([np.full(len(part.open), part.through) for part in kept]),
        "at": np.where(anything, np.cumsum(anything), 0),
        "states": states[anything].tobytes(),
        "layout": SLOW_LAYOUT,
        "width": SLOW_OPEN_DTYPE.itemsize,
    }
    transaction.execute(_SQL["slow_states_save"], columns)


def worth_keeping(states: NDArray[np.void]) -> NDArray[np.bool_]:
    """Mark states with something open, or with an end that an onset may still reach."""
    out = np.zeros(len(states), dtype=np.bool_)
    for name in SLOW_TRACKED:
        out |= (states[name]["started_us"] != ABSENT) | (states[name]["ended_us"] != ABSENT)
    return out
