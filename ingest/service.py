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
from ingest.admission import TimeWindow
from ingest.batch import AssembledBatch, assemble
from ingest.confirming import Confirmer
from ingest.delivery import Delivery, Messages
from ingest.directory import Directory
from ingest.exceptions import IdentityLostError
from ingest.refusals import Reason, Refusal
from ingest.session import MqttSession
from ingest.status import StatusChange, WireStatus, decode_status
from ingest.writer import BatchWriter, Committed
from storage.database import Database
from storage.exceptions import DatabaseUnavailableError, RejectedDataError
from storage.named_sql import load_queries
from storage.partitions import ensure_partitions

_log = structlog.get_logger(__name__)
_SQL = load_queries("ingest")

#: Many readings to a commit make it cheap; more than this would make it slow to come.
_MOST_MESSAGES = 20_000
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
        self._confirmer = Confirmer()
        self._directory = Directory()
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
            deliveries = self._session.take(_MOST_MESSAGES, _WAIT_S)
            self._persist(self._prepare, stop)
            if deliveries:
                self._persist(lambda batch=deliveries: self.handle(batch), stop)  # type: ignore[misc]
            else:
                self._confirm()
        self._confirm(at_once=True)
        self._session.stop()

    def handle(self, deliveries: Sequence[Delivery]) -> None:
        """Commit messages, then acknowledge them and confirm what is committed."""
        messages = Messages.of(deliveries)
        committed = self._commit(messages)
        self._session.acknowledge(deliveries)
        for part in committed:
            self._confirmer.note(part.confirmations)
            self.figures.update(readings=part.inserted, duplicates=part.duplicates, refused=part.refused)
        self._confirm()
        self.figures.update(messages=len(messages), batches=1)

    def _confirm(self, *, at_once: bool = False) -> None:
        words = self._confirmer.take(self._clock_us(), self._directory.addresses, at_once=at_once)
        self._session.publish(words)
        self.figures.update(confirms=len(words))

    def _commit(self, messages: Messages) -> list[Committed]:
        """Commit all at once; where the database refuses, halve until the one at fault stands alone."""
        batch, status = self._assemble(messages)
        try:
            return [self._write(batch, status)]
        except RejectedDataError as error:
            if len(messages) > 1:
                half = len(messages) // 2
                first, second = range(half), range(half, len(messages))
                return self._commit(messages.take(first)) + self._commit(messages.take(second))
            topic, why = self._directory.route(messages.topics[0]).text, str(error)
            _log.error("a message cannot be stored, it is refused", topic=topic, error=why)
            reason = Reason(None, "payload", f"database: {error}")
            refusal = Refusal(topic, messages.payloads[0], messages.received_us[0], 1, (reason,))
            return [self._write(AssembledBatch(refusals=[refusal]), [])]

    def _write(self, batch: AssembledBatch, status: Sequence[StatusChange]) -> Committed:
        return self._writer.write(batch, status, to_datetime(self._clock_us()))

    def _assemble(self, messages: Messages) -> tuple[AssembledBatch, list[StatusChange]]:
        now_us = self._clock_us()
        self._refresh_directory(messages, now_us)
        is_status = [topic.endswith(b"/status") for topic in messages.topics]
        others = [at for at, status in enumerate(is_status) if status]
        telemetry = messages
        if others:
            telemetry = messages.take([at for at, status in enumerate(is_status) if not status])
        batch = assemble(telemetry, self._directory, TimeWindow.around(now_us, self._options.max_age_days))
        self.figures.update(unknown_fields=batch.unknown_fields)
        changes = []
        for at in others:
            found = self._status_change(messages, at)
            if isinstance(found, StatusChange):
                changes.append(found)
            else:
                batch.refusals.append(found)
        return batch, changes

    def _status_change(self, messages: Messages, at: int) -> StatusChange | Refusal:
        route, received_us = self._directory.route(messages.topics[at]), messages.received_us[at]
        payload, reasons = messages.payloads[at], route.reasons
        if route.entry is not None:
            found = decode_status(payload)
            if isinstance(found, WireStatus):
                key = route.entry.meter_key
                return StatusChange(key, found.online, found.boot, found.firmware, received_us)
            reasons = (found,)
        return Refusal(route.text, payload, received_us, 1, reasons)

    def _refresh_directory(self, messages: Messages, now_us: int) -> None:
        age_s = (now_us - self._directory_read_us) / 1e6
        missed = age_s > _DIRECTORY_MISS_S and any(
            self._directory.route(topic).is_unknown for topic in set(messages.topics)
        )
        if missed or age_s > _DIRECTORY_S:
            with self._database.transaction() as transaction:
                rows = transaction.rows(_SQL["ingest_directory"])
            self._directory = self._directory.updated(
                (row["meter_id"], row["meter_key"], row["company"]) for row in rows
            )
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
