"""Checkpoints in the database: earlier states of the checks, from which late readings are evaluated."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from alerts.ladder import NO_BORDER
from alerts.packed import STORED_LAYOUT, pack, unpack
from analytics.state import initial_state
from fleet.readings import ABSENT
from storage.database import Transaction
from storage.named_sql import load_queries

_SQL = load_queries("alerts")

Keys = NDArray[np.int32]
Times = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Checkpoints:
    """Where n meters begin to be evaluated again, as arrays of shape (n,), in the order asked for."""

    state: NDArray[np.void]
    #: Device time of the last reading that the state has seen; ABSENT: begin at the first reading.
    through_us: Times
    #: The meter's newest alarm that can stand for readings up to then; meaningless where ABSENT.
    last_alarm_id: NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Kept:
    """States worth keeping that an evaluation passed by, as arrays of shape (k,), each meter once."""

    meter_key: Keys
    rung: NDArray[np.int16]
    state: NDArray[np.void]


def newest_before(transaction: Transaction, meter_keys: Keys, before_us: Times) -> Checkpoints:
    """Load each meter's newest checkpoint strictly before a moment; meters are sorted by number.

    One of another layout is no checkpoint: where no other is left, the whole history is evaluated.
    """
    found = Checkpoints(
        state=initial_state(len(meter_keys)),
        through_us=np.full(len(meter_keys), ABSENT, dtype=np.int64),
        last_alarm_id=np.zeros(len(meter_keys), dtype=np.int64),
    )
    if len(meter_keys) == 0:
        return found
    wanted = {"meter_keys": meter_keys, "before_us": before_us, "layout": STORED_LAYOUT}
    row = transaction.row(_SQL["checkpoints_newest"], wanted) or {}
    rows = np.searchsorted(meter_keys, np.array(row.get("meter_keys") or [], dtype=np.int32))
    if len(rows):
        state, sound = unpack(np.frombuffer(row["states"], np.uint8), np.array(row["lengths"]))
        # One that cannot be read is none, as one of another layout.
        found.state[rows[sound]] = state[sound]
        found.through_us[rows[sound]] = np.array(row["through_us"])[sound]
        found.last_alarm_id[rows] = row["last_alarm_ids"]
    return found


def drop_from(transaction: Transaction, meter_keys: Keys, since_us: Times) -> None:
    """Remove the checkpoints that a late reading makes wrong: those at it and after it."""
    if len(meter_keys):
        wanted = {"meter_keys": meter_keys, "since_us": since_us, "layout": STORED_LAYOUT}
        transaction.execute(_SQL["checkpoints_drop"], wanted)


def copy_carried(transaction: Transaction, meter_keys: Keys, rung: NDArray[np.int16]) -> None:
    """Keep the states that meters carry now, of those that are about to cross a border.

    The database copies its own rows, so nothing is sent. To be called before the states and the
    alarms are written.
    """
    crossing = rung != NO_BORDER
    if crossing.any():
        wanted = {"meter_keys": meter_keys[crossing], "rungs": rung[crossing].astype(np.int64)}
        transaction.execute(_SQL["checkpoints_copy"], wanted)


def save_kept(transaction: Transaction, kept: list[Kept]) -> None:
    """Write states that an evaluation passed by, oldest first.

    To be called after the alarms are written: which of them stand for earlier readings nobody
    knows, so all of them count as such.
    """
    for part in kept:
        for rows, packed in pack(part.state):
            columns = {
                "meter_keys": part.meter_key[rows],
                "rungs": part.rung[rows].astype(np.int64),
                "through_us": part.state["last_time_us"][rows],
                "states": packed.tobytes(),
                "layout": STORED_LAYOUT,
                "width": packed.shape[1],
            }
            transaction.execute(_SQL["checkpoints_save"], columns)
