"""Work that ingest left: what a cycle claims, and which readings of which meters that means."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from alerts.carried import Carried
from alerts.checkpoints import newest_before
from alerts.decisions import Decided
from fleet.columns import Columns
from fleet.readings import ABSENT, ReadingBatch
from storage.database import Transaction
from storage.named_sql import load_queries
from storage.readings import FILLED_READING_COLUMN_LIST, decode_readings

_SQL = {
    name: sql.replace("{columns}", FILLED_READING_COLUMN_LIST) for name, sql in load_queries("alerts").items()
}

Rows = NDArray[np.intp]

#: Before every reading (nothing is evaluated yet) and after every reading; both exact in the database's
#: arithmetic.
_BEGINNING_US = ABSENT
_FAR_FUTURE_US = 1 << 52


@dataclass(frozen=True, slots=True)
class EngineCycle:
    """What one cycle did."""

    #: Rows of work that were taken; 0 where there was nothing to do.
    claimed: int = 0
    meters: int = 0
    #: Meters evaluated again from an earlier state, and those of them from their first reading.
    reevaluated: int = 0
    from_start: int = 0
    readings: int = 0
    decided: Decided = field(default_factory=Decided)


@dataclass(frozen=True, slots=True, eq=False)
class Claim:
    """Dirty-work rows that this transaction holds, and the k meters that they speak of."""

    ids: list[int]
    meter_keys: NDArray[np.int32]
    #: Earliest device time of each meter's new readings, microseconds since 1970.
    since_us: NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Plan(Columns):
    """Which readings of which meters a cycle evaluates, as arrays of shape (k,)."""

    meter_keys: NDArray[np.int32]
    #: Readings strictly between these two device times.
    after_us: NDArray[np.int64]
    before_us: NDArray[np.int64]
    #: Whether the meter is evaluated again, from an earlier state or from its first reading.
    again: NDArray[np.bool_]
    #: What its checks carry at `after_us`.
    state: NDArray[np.void]
    #: Up to where it was evaluated before; ABSENT where it never was.
    known_us: NDArray[np.int64]
    #: Where it is evaluated again from a checkpoint: its newest alarm that can stand for earlier readings.
    last_alarm_id: NDArray[np.int64]

    @property
    def from_start(self) -> NDArray[np.bool_]:
        """Whether the meter is evaluated again from its first reading."""
        chosen: NDArray[np.bool_] = self.again & (self.after_us == _BEGINNING_US)
        return chosen


def claim(transaction: Transaction, limit: int) -> Claim | None:
    """Take up to `limit` of the oldest rows that no other engine holds; None where there are none."""
    row = transaction.row(_SQL["work_claim"], {"limit": limit})
    if row is None or not row["ids"]:
        return None
    keys = np.array(row["meter_keys"] or [], dtype=np.int32)
    return Claim(sorted(row["ids"]), keys, np.array(row["since_us"] or [], dtype=np.int64))


def finish(transaction: Transaction, claimed: Claim) -> None:
    """Remove the claimed rows."""
    transaction.execute(_SQL["work_done"], {"claimed": claimed.ids})


def plan_cycle(
    transaction: Transaction, claimed: Claim, meter_keys: NDArray[np.int32], carried: Carried
) -> Plan:
    """Decide what to read for the meters of a claim.

    A meter whose new readings all follow what is evaluated goes on from its carried state. One
    with a late reading, or with a state of another layout, is evaluated again: from its newest
    checkpoint strictly before the first new reading, or from its first reading. Readings of work
    that waits unclaimed are left for its own turn: evaluated now, they would count as late then.
    """
    since_us = claimed.since_us[np.searchsorted(claimed.meter_keys, meter_keys)]
    again = ~carried.usable | (since_us <= carried.through_us)
    before_us = np.full(len(meter_keys), _FAR_FUTURE_US)
    keys, beyond_us = _beyond(transaction, claimed, meter_keys, carried)
    before_us[np.searchsorted(meter_keys, keys)] = beyond_us
    after_us, state = carried.through_us.copy(), carried.state
    last_alarm_id = np.zeros(len(meter_keys), dtype=np.int64)
    if again.any():
        earlier = newest_before(transaction, meter_keys[again], since_us[again])
        # In place: what was carried by these is worth nothing any more.
        after_us[again], state[again] = earlier.through_us, earlier.state
        last_alarm_id[again] = earlier.last_alarm_id
    return Plan(meter_keys, after_us, before_us, again, state, carried.through_us, last_alarm_id)


def blocks(transaction: Transaction, plan: Plan, most_readings: int) -> Iterator[tuple[Rows, ReadingBatch]]:
    """Yield the plan's readings in blocks of whole meters, each with the meters' positions.

    What goes on from a carried state is one block: the claim bounds it. What is evaluated again is
    counted first; a block has at most `most_readings` of them, or those of one meter. No block has
    both.
    """
    going_on, again = np.flatnonzero(~plan.again), np.flatnonzero(plan.again)
    parts = [going_on] if len(going_on) else []
    if len(again):
        row = transaction.row(_SQL["readings_count"], _parameters(plan, again)) or {}
        sizes = np.array(row["readings"], dtype=np.int64)
        parts += [again[part] for part in _slices(sizes, most_readings)]
    for part in parts:
        yield part, _read(transaction, plan, part)


def _read(transaction: Transaction, plan: Plan, part: Rows) -> ReadingBatch:
    readings = decode_readings(transaction.copy_out(_SQL["readings_copy_out"], _parameters(plan, part)))
    if np.any(np.diff(readings.meter_key) < 0):
        return readings.sorted_by_meter_and_time()
    return readings


def _slices(sizes: NDArray[np.int64], most: int) -> Iterator[Rows]:
    start, total = 0, 0
    for at, size in enumerate(sizes.tolist()):
        if total and total + size > most:
            yield np.arange(start, at)
            start, total = at, 0
        total += size
    yield np.arange(start, len(sizes))


def _beyond(
    transaction: Transaction, claimed: Claim, meter_keys: NDArray[np.int32], carried: Carried
) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
    wanted = {
        "claimed": claimed.ids,
        "meter_keys": meter_keys,
        "through_us": carried.through_us,
    }
    row = transaction.row(_SQL["work_beyond"], wanted) or {}
    keys = np.array(row["meter_keys"] or [], dtype=np.int32)
    return keys, np.array(row["since_us"] or [], dtype=np.int64)


def _parameters(plan: Plan, part: Rows) -> dict[str, Any]:
    return {
        "meter_keys": plan.meter_keys[part],
        "after_us": plan.after_us[part],
        "before_us": plan.before_us[part],
    }
