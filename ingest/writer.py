"""One transaction per batch: readings, refusals, sequence progress, status, word for the engine."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fleet.times import to_datetime
from ingest.batch import AssembledBatch
from ingest.dirty_work import leave_dirty_work
from ingest.gaps import KnownGaps
from ingest.refusals import Refusal
from ingest.sequence import FIRST_SEQ, Advanced, Boot, Runs, advance_all
from ingest.status import StatusChange
from storage.copy_codec import CopyColumn, decode_copy
from storage.database import Database, Transaction
from storage.named_sql import load_queries
from storage.readings import Written, write_readings

_SQL = load_queries("ingest")


@dataclass(slots=True)
class Committed:
    """What a batch came to, once it is committed."""

    #: Counts by name, as the heartbeat shows them.
    figures: Counter[str] = field(default_factory=Counter)
    #: How far boots are committed without a hole.
    confirmed: dict[Boot, int] = field(default_factory=dict)
    canary_token: int = 0
    #: (topic, payload) to be published now.
    requests: list[tuple[str, bytes]] = field(default_factory=list)


class BatchWriter:
    """Writes batches. It remembers nothing: another process may write the same meters."""

    def __init__(self, database: Database, failpoint: Callable[[str], None] = lambda _step: None) -> None:
        self._database = database
        self._failpoint = failpoint

    def write(self, batch: AssembledBatch, identity: str, now: datetime) -> Committed:
        """Commit a batch as a whole; `identity` is whose canary it may hold.

        Raises StorageError: nothing of it is stored, unless the connection was lost during the
        commit; then nobody knows, and writing it again is safe.
        """
        with self._database.transaction() as transaction:
            written = write_readings(transaction, batch.readings, batch.encoded)
            _insert_refusals(transaction, batch.refusals)
            confirmed = _advance(transaction, batch, now)
            _upsert_status(transaction, batch.status)
            _note_canary(transaction, batch.canary_token, identity, now)
            leave_dirty_work(transaction, written, now)
            self._failpoint("copied")
        return Committed(_figures(batch, written), confirmed, batch.canary_token, batch.requests)


def _advance(transaction: Transaction, batch: AssembledBatch, now: datetime) -> dict[Boot, int]:
    """Keep account of sequence numbers; gives how far the boots of this batch are committed."""
    runs = Runs.of(*batch.numbered())
    if len(runs) == 0:
        return {}
    # From here to the commit no other process counts; what it counted is in the rows read next.
    transaction.execute(_SQL["ingest_progress_lock"])
    highest = _highest(transaction, runs)
    known = KnownGaps.load(transaction, runs.meter_key)
    after = advance_all(runs, highest, known.gaps)
    _write_progress(transaction, runs, highest, after)
    known.write(transaction, runs, after, now)
    boots = zip(runs.meter_key.tolist(), runs.boot.tolist(), strict=True)
    return {boot: seq for boot, seq in zip(boots, after.through.tolist(), strict=True) if seq >= FIRST_SEQ}


def _write_progress(transaction: Transaction, runs: Runs, before: NDArray[np.int64], after: Advanced) -> None:
    moved = after.highest != before
    moved[list(after.gaps)] = True
    if moved.any():
        columns = {
            "meter_keys": runs.meter_key,
            "boots": runs.boot,
            "through": after.through,
            "highest": after.highest,
        }
        transaction.execute(
            _SQL["ingest_progress_upsert"], {name: values[moved] for name, values in columns.items()}
        )


def _highest(transaction: Transaction, runs: Runs) -> NDArray[np.int64]:
    """Read the highest number known of each run's boot."""
    wanted = {"meter_keys": runs.meter_key, "boots": runs.boot, "before_first": FIRST_SEQ - 1}
    data = transaction.copy_out(_SQL["ingest_progress_load"], wanted)
    return decode_copy([CopyColumn("highest", "int8", nullable=False)], data)["highest"]


def _figures(batch: AssembledBatch, written: Written) -> Counter[str]:
    """Count what the heartbeat shows; refused readings also by the field that was wrong."""
    fields = Counter(f"refused_{reason.field}" for refusal in batch.refusals for reason in refusal.reasons)
    return fields + Counter(
        readings=written.inserted,
        duplicates=written.duplicates,
        conflicts=written.conflicts,
        refused=sum(refusal.readings for refusal in batch.refusals),
        unknown_fields=batch.unknown_fields,
    )


def _note_canary(transaction: Transaction, token: int, identity: str, now: datetime) -> None:
    if token:
        seen = {"identity": identity, "token": token, "sent_at": to_datetime(token), "seen_at": now}
        transaction.execute(_SQL["ingest_canary_seen"], seen)


def _insert_refusals(transaction: Transaction, refusals: Sequence[Refusal]) -> None:
    rows = [_refusal_row(refusal) for refusal in refusals]
    template = "(%(received_at)s, %(topic)s, %(payload)s, %(readings)s, %(reasons)s::jsonb)"
    transaction.execute_many(_SQL["ingest_refusals_insert"], rows, template)


def _refusal_row(refusal: Refusal) -> dict[str, Any]:
    reasons = [{**asdict(reason), "reason": _storable(reason.reason)} for reason in refusal.reasons]
    return {
        "received_at": to_datetime(refusal.received_us),
        "topic": _storable(refusal.topic),
        "payload": refusal.payload,
        "readings": refusal.readings,
        "reasons": json.dumps(reasons),
    }


def _storable(text: str) -> str:
    """Write out what PostgreSQL's text and jsonb cannot hold: NUL, and half a character."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8").replace("\0", "\\0")


def _upsert_status(transaction: Transaction, changes: Sequence[StatusChange]) -> None:
    newest = {change.meter_key: change for change in changes}
    rows = [{**asdict(change), "changed_at": to_datetime(change.changed_us)} for change in newest.values()]
    template = "(%(meter_key)s, %(online)s, %(boot)s, %(firmware)s, %(changed_at)s)"
    transaction.execute_many(_SQL["ingest_status_upsert"], rows, template)
