"""The ingest loop: take, decode, commit, and only then acknowledge and confirm."""

from __future__ import annotations

import json
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

import structlog

from fleet.times import to_datetime
from fleet.wire import parse_topic
from ingest.batch import AssembledBatch, DirectoryEntry, Message, TimeWindow, assemble
from ingest.exceptions import IdentityLostError
from ingest.refusals import Reason, Refusal
from ingest.session import MqttSession
from ingest.status import StatusChange, decode_status
from ingest.writer import BatchWriter, Committed
from storage.database import Database
from storage.exceptions import DatabaseUnavailableError, RejectedDataError
from storage.named_sql import load_queries
from storage.partitions import ensure_partitions

_log = structlog.get_logger(__name__)
_SQL = load_queries("ingest")

_MOST_MESSAGES = 5000
_WAIT_S = 0.2
_HEARTBEAT_S = 2.0
_DIRECTORY_S = 10.0
#: An unknown meter makes the directory be read again at once, but no more often than this.
_DIRECTORY_MISS_S = 1.0
_BACKOFF_S = (0.2, 10.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class IngestOptions:
    """What the settings say about ingest."""

    identity: str = "meterwarden-ingest"
    max_age_days: int = 90


class IngestService:
    """Drains one MQTT session into one database."""

    def __init__(
        self,
        database: Database,
        session: MqttSession,
        options: IngestOptions,
        *,
        is_ours: Callable[[], bool] = lambda: True,
        clock_us: Callable[[], int] = lambda: time.time_ns() // 1000,
    ) -> None:
        self._database = database
        self._session = session
        self._options = options
        self._clock_us = clock_us
        self._is_ours = is_ours
        self._writer = BatchWriter(database)
        self._directory: dict[str, DirectoryEntry] = {}
        self._directory_read_us = 0
        self._beat_us = 0
        self._partitions_on: object = None
        self._started_at = to_datetime(clock_us())
        self.figures: Counter[str] = Counter()

    def run(self, stop: threading.Event) -> None:
        """Work until told to stop. Raises SessionLostError or IdentityLostError."""
        self._persist(self._prepare, stop)
        self._session.start()
        while not stop.is_set():
            messages = self._session.take(_MOST_MESSAGES, _WAIT_S)
            self._persist(self._prepare, stop)
            if messages:
                self._persist(lambda batch=messages: self.handle(batch), stop)  # type: ignore[misc]
        self._session.stop()

    def handle(self, messages: Sequence[Message]) -> None:
        """Commit messages, then acknowledge them and confirm what is committed."""
        committed = self._commit(messages)
        self._session.acknowledge(messages)
        for part in committed:
            self._session.confirm(part.confirmations)
            self.figures.update(
                readings=part.inserted,
                duplicates=part.duplicates,
                refused=part.refused,
                confirms=len(part.confirmations),
            )
        self.figures.update(messages=len(messages), batches=1)

    def _commit(self, messages: Sequence[Message]) -> list[Committed]:
        """Commit all at once; where the database refuses, halve until the one at fault stands alone."""
        batch, status = self._assemble(messages)
        try:
            return [self._write(batch, status)]
        except RejectedDataError as error:
            if len(messages) > 1:
                half = len(messages) // 2
                return self._commit(messages[:half]) + self._commit(messages[half:])
            topic, why = messages[0].topic, str(error)
            _log.error("a message cannot be stored, it is refused", topic=topic, error=why)
            return [self._write(_refused_whole(messages[0], f"database: {error}"), [])]

    def _write(self, batch: AssembledBatch, status: Sequence[StatusChange]) -> Committed:
        return self._writer.write(batch, status, to_datetime(self._clock_us()))

    def _assemble(self, messages: Sequence[Message]) -> tuple[AssembledBatch, list[StatusChange]]:
        now_us = self._clock_us()
        self._refresh_directory(messages, now_us)
        is_status = [message.topic.endswith("/status") for message in messages]
        telemetry = [m for m, status in zip(messages, is_status, strict=True) if not status]
        window = TimeWindow.around(now_us, self._options.max_age_days)
        batch = assemble(telemetry, self._directory, window)
        self.figures.update(unknown_fields=batch.unknown_fields)
        changes = []
        for message in (m for m, status in zip(messages, is_status, strict=True) if status):
            found = self._status_change(message)
            if isinstance(found, StatusChange):
                changes.append(found)
            else:
                batch.refusals.append(
                    Refusal(message.topic, message.payload, message.received_us, 1, (found,))
                )
        return batch, changes

    def _status_change(self, message: Message) -> StatusChange | Reason:
        topic = parse_topic(message.topic)
        entry = self._directory.get(topic.meter_id) if topic else None
        if topic is None or entry is None or entry.company != topic.company:
            return Reason(None, "meter", "is not registered under this topic")
        status = decode_status(message.payload)
        if isinstance(status, Reason):
            return status
        return StatusChange(entry.meter_key, status.online, status.boot, status.firmware, message.received_us)

    def _refresh_directory(self, messages: Sequence[Message], now_us: int) -> None:
        age_s = (now_us - self._directory_read_us) / 1e6
        missed = age_s > _DIRECTORY_MISS_S and any(
            topic is not None and topic.meter_id not in self._directory
            for topic in (parse_topic(message.topic) for message in messages)
        )
        if missed or age_s > _DIRECTORY_S:
            with self._database.transaction() as transaction:
                rows = transaction.rows(_SQL["ingest_directory"])
            self._directory = {r["meter_id"]: DirectoryEntry(r["meter_key"], r["company"]) for r in rows}
            self._directory_read_us = now_us

    def _prepare(self) -> None:
        """Do what is due between batches: partitions once a day, a heartbeat every few seconds."""
        now_us = self._clock_us()
        now = to_datetime(now_us)
        if self._partitions_on != now.date():
            with self._database.transaction() as transaction:
                ensure_partitions(transaction, now, self._options.max_age_days)
            self._partitions_on = now.date()
        if now_us - self._beat_us > _HEARTBEAT_S * 1e6:
            if not self._is_ours():
                msg = "another ingest process took over this identity"
                raise IdentityLostError(msg)
            self._beat(now)
            self._beat_us = now_us

    def _beat(self, now: datetime) -> None:
        figures = {
            **self.figures,
            "backlog": self._session.backlog,
            "connected": self._session.connected,
            "epoch": self._session.epoch,
        }
        values = {"started_at": self._started_at, "beat_at": now, "figures": json.dumps(figures)}
        with self._database.transaction() as transaction:
            transaction.execute(_SQL["ingest_heartbeat"], values)

    def _persist(self, work: Callable[[], None], stop: threading.Event) -> None:
        """Do the work, again and again with backoff while the database is away.

        Nothing is acknowledged meanwhile, so the broker keeps it and memory stays bounded.
        """
        wait_s, most_s = _BACKOFF_S
        while not stop.is_set():
            try:
                work()
            except DatabaseUnavailableError as error:
                _log.warning("database cannot be reached, trying again", error=str(error), wait_s=wait_s)
                stop.wait(wait_s)
                wait_s = min(wait_s * 2, most_s)
            else:
                return


def _refused_whole(message: Message, reason: str) -> AssembledBatch:
    empty = assemble([], {}, TimeWindow(0, 0))
    empty.refusals.append(_refusal(message, Reason(None, "payload", reason)))
    return empty


def _refusal(message: Message, reason: Reason) -> Refusal:
    return Refusal(message.topic, message.payload, message.received_us, 1, (reason,))
