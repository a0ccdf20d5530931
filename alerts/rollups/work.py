"""Work for the upkeep of roll-ups: which hours of which meters have new readings."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from analytics.block import US_PER_H
from fleet.readings import ReadingBatch
from storage.database import Transaction
from storage.named_sql import load_queries

_SQL = load_queries("alerts.rollups")

#: Pairs in one row of work: what one step of the upkeep can do without keeping alarms waiting.
PAIRS_PER_ROW = 500


@dataclass(frozen=True, slots=True, eq=False)
class RollupClaim:
    """Rows of work that this transaction holds, and the k pairs of meter and UTC hour they speak of."""

    ids: list[int]
    meter_keys: NDArray[np.int32]
    hours_us: NDArray[np.int64]


def leave_rollup_work(
    transaction: Transaction,
    readings: ReadingBatch,
    meter_keys: NDArray[np.int32],
    since_us: NDArray[np.int64],
    now: datetime,
) -> None:
    """Leave word of the hours that readings touch.

    Parameters
    ----------
    transaction
        That of the engine's cycle.
    readings
        What the cycle evaluated, sorted by meter and time.
    meter_keys, since_us
        Shape (k,), sorted by meter: the earliest of its new readings. A history that is evaluated
        again holds older ones, which touch nothing.
    now
        When the work was left.

    """
    new = readings.device_time_us >= since_us[np.searchsorted(meter_keys, readings.meter_key)]
    keys, hours = readings.meter_key[new], readings.device_time_us[new] // US_PER_H
    heads = np.flatnonzero(np.diff(keys, prepend=-1) | np.diff(hours, prepend=-1))
    if len(heads) == 0:
        return
    work = {"now": now, "meter_keys": keys[heads], "hours": hours[heads], "pairs_per_row": PAIRS_PER_ROW}
    transaction.execute(_SQL["rollup_work_leave"], work)


def claim(transaction: Transaction, pairs: int, rows: int) -> RollupClaim | None:
    """Take the oldest rows that nobody else holds; None where there are none."""
    row = transaction.row(_SQL["rollup_work_claim"], {"pairs": pairs, "rows": rows})
    if row is None or not row["ids"]:
        return None
    keys = np.array(row["meter_keys"] or [], dtype=np.int32)
    return RollupClaim(row["ids"], keys, np.array(row["hours_us"] or [], dtype=np.int64))


def finish(transaction: Transaction, claimed: RollupClaim) -> None:
    """Remove the claimed rows."""
    transaction.execute(_SQL["rollup_work_done"], {"claimed": claimed.ids})


def waiting(transaction: Transaction, now: datetime) -> tuple[int, float]:
    """Tell how many rows of work wait, and for how long the oldest has, s."""
    row = transaction.row(_SQL["rollup_work_oldest"]) or {"waiting": 0, "oldest_at": None}
    oldest_at = row["oldest_at"]
    return row["waiting"], max((now - oldest_at).total_seconds(), 0.0) if oldest_at else 0.0
