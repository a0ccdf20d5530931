"""Monthly partitions of telemetry on plain PostgreSQL, made ahead of the readings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from storage.database import Transaction
from storage.named_sql import load_queries

_SQL = load_queries("storage")

#: Readings are accepted this far back by default; partitions are made one month further ahead.
DEFAULT_PAST_DAYS = 90
_AHEAD_DAYS = 62


@dataclass(frozen=True, slots=True)
class MonthPartition:
    """One partition: all readings whose device time lies in [start, end)."""

    start: date
    end: date

    @property
    def name(self) -> str:
        """Name of the partition's table."""
        return f"reading_{self.start:%Y_%m}"


def months(first: date, last: date) -> list[MonthPartition]:
    """List the calendar months that meet [first, last]."""
    found = []
    start = first.replace(day=1)
    while start <= last:
        end = (start + timedelta(days=32)).replace(day=1)
        found.append(MonthPartition(start, end))
        start = end
    return found


def ensure_partitions(
    transaction: Transaction, now: datetime, past_days: int = DEFAULT_PAST_DAYS
) -> list[str]:
    """Make the partitions around `now` that are not there yet; gives their names.

    Does nothing on TimescaleDB, which makes chunks by itself.
    """
    today = now.astimezone(UTC).date()
    first, last = today - timedelta(days=past_days + 1), today + timedelta(days=_AHEAD_DAYS)
    return ensure_months(transaction, months(first, last))


def ensure_months(transaction: Transaction, wanted: Sequence[MonthPartition]) -> list[str]:
    """Make those of some partitions that are not there yet; gives their names.

    Each one locks the whole table until the transaction ends: commit before writing readings.
    """
    if not _missing(transaction, wanted):
        return []
    # Whoever else makes partitions comes first, or the same one would be made twice.
    transaction.execute(_SQL["partitions_lock"])
    missing = _missing(transaction, wanted)
    for month in missing:
        transaction.execute(
            f"CREATE TABLE IF NOT EXISTS {month.name} PARTITION OF reading "
            f"FOR VALUES FROM ('{month.start} 00:00:00+00') TO ('{month.end} 00:00:00+00')"
        )
    return [month.name for month in missing]


def _missing(transaction: Transaction, wanted: Sequence[MonthPartition]) -> list[MonthPartition]:
    row = transaction.row(_SQL["reading_is_partitioned"])
    if row is None or not row["partitioned"]:
        return []
    there = {found["name"] for found in transaction.rows(_SQL["reading_partitions"])}
    return [month for month in wanted if month.name not in there]
