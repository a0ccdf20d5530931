"""Work that ingest left: what a cycle claims, and which readings of which meters that means."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from alerts.carried import Carried
from alerts.checkpoints import newest_before
from alerts.decisions import Decided
from alerts.line import Orders
from fleet.columns import Columns
from fleet.readings import ABSENT, ReadingBatch
from storage.copy_arrays import decode_arrays
from storage.database import Transaction
from storage.named_sql import load_queries
from storage.readings import FILLED_READING_COLUMN_LIST, decode_readings

_SQL = {
    name: sql.replace("{columns}", FILLED_READING_COLUMN_LIST) for name, sql in load_queries("alerts").items()
}

Rows = NDArray[np.intp]

#: What `work_claim` gives, array by array.
_CLAIMED = ("int8", "int4", "timestamptz", "timestamptz")

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
    #: Earliest and latest device time of each meter's new readings, microseconds since 1970.
    since_us: NDArray[np.int64]
    until_us: NDArray[np.int64]

    def of(self, meter_keys: NDArray[np.int32]) -> Claim:
        """Give the same rows for some of the meters."""
        rows = np.searchsorted(self.meter_keys, meter_keys)
        return Claim(self.ids, meter_keys, self.since_us[rows], self.until_us[rows])


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
    wanted = {"limit": limit, "far_us": _FAR_FUTURE_US}
    ids, *columns = decode_arrays(_CLAIMED, transaction.copy_out(_SQL["work_claim"], wanted))
    return Claim(sorted(ids.tolist()), *columns) if len(ids) else None


def finish(transaction: Transaction, claimed: Claim) -> None:
    """Remove the claimed rows."""
    transaction.execute(_SQL["work_done"], {"claimed": claimed.ids})


def plan_cycle(transaction: Transaction, orders: Orders, claimed: Claim, carried: Carried) -> Plan:
    """Decide what to read for the meters of a claim.

    A meter whose new readings all follow what is evaluated goes on from its carried state. One
    with a late reading, or with a state of another layout, is evaluated again: from its newest
    checkpoint strictly before the first new reading, or from its first reading. What lies after
    the last new reading, and was not evaluated before, belongs to work that waits unclaimed and is
    left for its own turn: evaluated now, it would count as late then.
    """
    meter_keys, since_us = claimed.meter_keys, claimed.since_us
    again = ~carried.usable | (since_us <= carried.through_us)
    before_us = np.maximum(claimed.until_us, carried.through_us) + 1
    after_us, state = carried.through_us.copy(), carried.state
    last_alarm_id = np.zeros(len(meter_keys), dtype=np.int64)
    if again.any():
        earlier = orders.now(newest_before, transaction, meter_keys[again], since_us[again])
        # In place: what was carried by these is worth nothing any more.
        after_us[again], state[again] = earlier.through_us, earlier.state
        last_alarm_id[again] = earlier.last_alarm_id
    return Plan(meter_keys, after_us, before_us, again, state, carried.through_us, last_alarm_id)


def ask_going_on(transaction: Transaction, orders: Orders, plan: Plan) -> Future[bytes] | None:
    """Ask for the readings of the meters that go on from a carried state; None where there are none."""
    going_on = np.flatnonzero(~plan.again)
    return orders.later(_ask, transaction, plan, going_on) if len(going_on) else None


def blocks(
    transaction: Transaction, orders: Orders, plan: Plan, going_on: Future[bytes] | None, most_readings: int
) -> Iterator[tuple[Rows, ReadingBatch]]:
    """Yield the plan's readings in blocks of whole meters, each with the meters' positions.

    What goes on from a carried state, `going_on`, is one block: the claim bounds it. What is
    evaluated again is counted first; a block has at most `most_readings` of them, or those of one
    meter. No block has both.
    """
    if going_on is not None:
        yield np.flatnonzero(~plan.again), _in_order(going_on.result())
    again = np.flatnonzero(plan.again)
    if len(again):
        row = orders.now(transaction.row, _SQL["readings_count"], _parameters(plan, again)) or {}
        for part in _slices(np.array(row["readings"], dtype=np.int64), most_readings):
            yield again[part], _in_order(orders.now(_ask, transaction, plan, again[part]))


def _ask(transaction: Transaction, plan: Plan, part: Rows) -> bytes:
    return transaction.copy_out(_SQL["readings_copy_out"], _parameters(plan, part))


def _in_order(data: bytes) -> ReadingBatch:
    readings = decode_readings(data)
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


def _parameters(plan: Plan, part: Rows) -> dict[str, Any]:
    return {
        "meter_keys": plan.meter_keys[part],
        "after_us": plan.after_us[part],
        "before_us": plan.before_us[part],
    }
