"""One transaction per batch: readings, refusals, sequence progress, status, word for the engine."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any

import numpy as np

from fleet.readings import ReadingBatch
from fleet.times import to_datetime
from ingest.batch import AssembledBatch
from ingest.refusals import Refusal
from ingest.sequence import Progress, advance
from ingest.status import StatusChange
from storage.database import Database, Transaction
from storage.exceptions import StorageError
from storage.named_sql import load_queries
from storage.readings import write_readings

_SQL = load_queries("ingest")

Boot = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Confirmation:
    """All readings of a boot of a meter up to `seq` are committed."""

    company: str
    meter_id: str
    boot: int
    seq: int


@dataclass(slots=True)
class Committed:
    """What a batch came to, once it is committed."""

    inserted: int = 0
    duplicates: int = 0
    refused: int = 0
    confirmations: list[Confirmation] = field(default_factory=list)


class BatchWriter:
    """Writes batches, and remembers how far each boot is committed.

    The memory is only a copy of the database's rows: it changes after the commit, never before.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._progress: dict[Boot, Progress] = {}
        self._loaded: set[int] = set()

    def write(self, batch: AssembledBatch, status: Sequence[StatusChange], now: datetime) -> Committed:
        """Commit a batch as a whole.

        Raises StorageError: nothing of it is stored, unless the connection was lost during the
        commit; then nobody knows, and writing it again is safe.
        """
        try:
            return self._write(batch, status, now)
        except StorageError:
            # What is remembered may be older than the database now.
            self._progress.clear()
            self._loaded.clear()
            raise

    def _write(self, batch: AssembledBatch, status: Sequence[StatusChange], now: datetime) -> Committed:
        with self._database.transaction() as transaction:
            written = write_readings(transaction, batch.readings)
            _insert_refusals(transaction, batch.refusals)
            advanced = self._advance(transaction, batch.sequences, now)
            _upsert_status(transaction, status)
            if written.inserted:
                _leave_dirty_work(transaction, batch.readings, now)
        self._progress.update(advanced)
        return Committed(
            inserted=written.inserted,
            duplicates=written.duplicates,
            refused=sum(refusal.readings for refusal in batch.refusals),
            confirmations=[
                Confirmation(*batch.addresses[key], boot, progress.committed_through)
                for (key, boot), progress in advanced.items()
            ],
        )

    def _advance(
        self, transaction: Transaction, sequences: Mapping[Boot, Sequence[int]], now: datetime
    ) -> dict[Boot, Progress]:
        self._load(transaction, {key for key, _ in sequences} - self._loaded)
        before = {boot: self._progress.get(boot, Progress()) for boot in sequences}
        after = {boot: advance(before[boot], seqs) for boot, seqs in sequences.items()}
        _write_progress(transaction, {b: p for b, p in after.items() if p != self._progress.get(b)})
        _write_gaps(transaction, before, after, now)
        return after

    def _load(self, transaction: Transaction, meter_keys: set[int]) -> None:
        if not meter_keys:
            return
        named = {"meter_keys": sorted(meter_keys)}
        gaps: dict[Boot, list[tuple[int, int]]] = {}
        for row in transaction.rows(_SQL["ingest_gaps_load"], named):
            gaps.setdefault((row["meter_key"], row["boot"]), []).append((row["seq_from"], row["seq_to"]))
        for row in transaction.rows(_SQL["ingest_progress_load"], named):
            boot = (row["meter_key"], row["boot"])
            self._progress[boot] = Progress(row["highest"], tuple(gaps.get(boot, ())))
        self._loaded |= meter_keys


def _write_progress(transaction: Transaction, changed: Mapping[Boot, Progress]) -> None:
    rows = [
        {"key": key, "boot": boot, "through": progress.committed_through, "highest": progress.highest}
        for (key, boot), progress in sorted(changed.items())
    ]
    transaction.execute_many(
        _SQL["ingest_progress_upsert"], rows, "(%(key)s, %(boot)s, %(through)s, %(highest)s)"
    )


def _write_gaps(
    transaction: Transaction, before: Mapping[Boot, Progress], after: Mapping[Boot, Progress], now: datetime
) -> None:
    gone = [(*boot, *gap) for boot in after for gap in set(before[boot].gaps) - set(after[boot].gaps)]
    new = [(*boot, *gap) for boot in after for gap in set(after[boot].gaps) - set(before[boot].gaps)]
    if gone:
        keys, boots, firsts, _ = (list(column) for column in zip(*gone, strict=True))
        transaction.execute(
            _SQL["ingest_gaps_delete"], {"meter_keys": keys, "boots": boots, "firsts": firsts}
        )
    rows = [{"key": k, "boot": b, "from": first, "to": last, "now": now} for k, b, first, last in new]
    transaction.execute_many(
        _SQL["ingest_gaps_insert"], rows, "(%(key)s, %(boot)s, %(from)s, %(to)s, %(now)s)"
    )


def _insert_refusals(transaction: Transaction, refusals: Sequence[Refusal]) -> None:
    rows = [_refusal_row(refusal) for refusal in refusals]
    template = "(%(received_at)s, %(topic)s, %(payload)s, %(readings)s, %(reasons)s::jsonb)"
    transaction.execute_many(_SQL["ingest_refusals_insert"], rows, template)


def _refusal_row(refusal: Refusal) -> dict[str, Any]:
    reasons = [asdict(reason) for reason in refusal.reasons]
    return {
        "received_at": to_datetime(refusal.received_us),
        # PostgreSQL's text and jsonb cannot hold NUL.
        "topic": refusal.topic.replace("\0", "\\0"),
        "payload": refusal.payload,
        "readings": refusal.readings,
        "reasons": json.dumps(reasons).replace("\\u0000", "\\\\0"),
    }


def _upsert_status(transaction: Transaction, changes: Sequence[StatusChange]) -> None:
    newest = {change.meter_key: change for change in changes}
    rows = [{**asdict(change), "changed_at": to_datetime(change.changed_us)} for change in newest.values()]
    template = "(%(meter_key)s, %(online)s, %(boot)s, %(firmware)s, %(changed_at)s)"
    transaction.execute_many(_SQL["ingest_status_upsert"], rows, template)


def _leave_dirty_work(transaction: Transaction, readings: ReadingBatch, now: datetime) -> None:
    meters, at = np.unique(readings.meter_key, return_inverse=True)
    since = np.full(len(meters), np.iinfo(np.int64).max)
    np.minimum.at(since, at, readings.device_time_us)
    work = {
        "created_at": now,
        "meter_keys": meters.tolist(),
        "since": [to_datetime(int(us)) for us in since],
    }
    transaction.execute(_SQL["ingest_dirty_work_insert"], work)
