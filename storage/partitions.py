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
    """One partition: all rows of a table, readings where none is named, whose time lies in [start, end)."""

    start: date
    end: date
    table: str = "reading"

    @property
    def name(self) -> str:
        """Name of the partition's table."""
        return f"{self.table}_{self.start:%Y_%m}"


def months(first: date, last: date, table: str = "reading") -> list[MonthPartition]:
    """List the calendar months that meet [first, last]."""
    found = []
    start = first.replace(day=1)
    while start <= last:
        end = (start + timedelta(days=32)).replace(day=1)
        found.append(MonthPartition(start, end, table))
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

    Each one locks its whole table until the transaction ends: commit before writing rows.
    """
    if not _missing(transaction, wanted):
        return []
    # Whoever else makes partitions comes first, or the same one would be made twice.
    transaction.execute(_SQL["partitions_lock"])
    missing = _missing(transaction, wanted)
    for month in missing:
        transaction.execute(
            f"CREATE TABLE IF NOT EXISTS {month.name} PARTITION OF {month.table} "
            f"FOR VALUES FROM ('{month.start} 00:00:00+00') TO ('{month.end} 00:00:00+00')"
        )
    return [month.name for month in missing]


def _missing(transaction: Transaction, wanted: Sequence[MonthPartition]) -> list[MonthPartition]:
    missing = []
    for table in dict.fromkeys(month.table for month in wanted):
        row = transaction.row(_SQL["table_is_partitioned"], {"table": table})
        if row and row["partitioned"]:
            there = {found["name"] for found in transaction.rows(_SQL["table_partitions"], {"table": table})}
            missing += [month for month in wanted if month.table == table and month.name not in there]
    return missing
