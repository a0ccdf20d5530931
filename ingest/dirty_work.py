"""Word for the engine, left in the transaction that writes readings."""

from __future__ import annotations

from datetime import datetime

from storage.database import Transaction
from storage.named_sql import load_queries
from storage.readings import Written

_SQL = load_queries("ingest")


def leave_dirty_work(transaction: Transaction, written: Written, now: datetime) -> None:
    """Leave one row for all new readings of a transaction; a repeated one is no work."""
    if len(written.meter_keys):
        work = {
            "created_at": now,
            "meter_keys": written.meter_keys,
            "since_us": written.since_us,
            "until_us": written.until_us,
        }
        transaction.execute(_SQL["ingest_dirty_work_insert"], work)
