"""Which meters a step of the pass judges, and through which day."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from analytics.rollups.periods import midnight_us
from fleet.columns import Columns
from fleet.readings import ABSENT
from storage.database import Transaction
from storage.named_sql import load_queries

_SQL = load_queries("alerts.slow") | {"timezones": load_queries("alerts")["timezones"]}

Days = NDArray[np.int64]

#: A day is judged so long after its end: readings that come in batches of up to three hours are there
#: then, and what is found is known before work begins.
GRACE = timedelta(hours=3)
#: A meter that sent something within this time, and no reading of today, is sending what it had stored.
SENDING = timedelta(minutes=10)

_EPOCH_DAY = date(1970, 1, 1)


@dataclass(frozen=True, slots=True, eq=False)
class Due(Columns):
    """k meters that this transaction holds, sorted by number, as arrays of shape (k,).

    Days are days since 1970-01-01 in the local time of the meter's company; ABSENT where there is none.
    """

    meter_keys: NDArray[np.int32]
    timezone: NDArray[np.object_]
    #: Last day that is judged for good; first day to be judged again; last day to judge now.
    settled: Days
    again: Days
    through: Days
    #: When the meter's newest reading arrived, microseconds since 1970.
    received_us: NDArray[np.int64]


def claim_due(transaction: Transaction, now: datetime, limit: int) -> Due:
    """Take up to `limit` meters that are due and that no other engine holds."""
    zones = _zones(transaction, now)
    wanted = {**zones, "sending_since": now - SENDING, "limit": limit}
    rows = transaction.rows(_SQL["slow_claim"], wanted) if zones["timezones"] else []
    rows.sort(key=lambda row: row["meter_key"])
    return Due(
        np.array([row["meter_key"] for row in rows], dtype=np.int32),
        np.array([row["timezone"] for row in rows], dtype=np.object_),
        *(_absent([row[name] for row in rows]) for name in ("settled", "again", "through", "received_us")),
    )


def slow_waiting(transaction: Transaction, now: datetime) -> int:
    """Count the meters that wait to be judged."""
    zones = _zones(transaction, now)
    row = transaction.row(_SQL["slow_waiting"], zones) if zones["timezones"] else None
    return row["waiting"] if row else 0


def _zones(transaction: Transaction, now: datetime) -> dict[str, Any]:
    """Tell of every time zone which day is over there, and the midnight that ended it."""
    names = [row["timezone"] for row in transaction.rows(_SQL["timezones"])]
    zones = [ZoneInfo(name) for name in names]
    today = [((now - GRACE).astimezone(zone).date() - _EPOCH_DAY).days for zone in zones]
    return {
        "timezones": names,
        "yesterdays": [day - 1 for day in today],
        "midnights_us": [midnight_us(zone, day) for zone, day in zip(zones, today, strict=True)],
        "newest": max(today, default=0) - 1,
    }


def _absent(values: list[int | None]) -> NDArray[np.int64]:
    return np.array([ABSENT if value is None else value for value in values], dtype=np.int64)
