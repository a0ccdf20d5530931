"""The ingest loop: take, decode, commit, and only then acknowledge and confirm."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass

import structlog

from fleet.times import to_datetime
from ingest.admission import TimeWindow
from ingest.batch import AssembledBatch
from ingest.canary import Canary
from ingest.confirming import Confirmer
from ingest.delivery import Delivery, Messages
from ingest.directory import Directory
from ingest.exceptions import SessionLostError
from ingest.formats.sparkplug import SparkplugDecoder
from ingest.heartbeat import Heartbeat
from ingest.housekeeping import Housekeeping
from ingest.intake import take_in
from ingest.refusals import Reason, Refusal
from ingest.session import MqttSession
from ingest.subscriptions import note
from ingest.writer import BatchWriter, Committed
from storage.database import Database
from storage.exceptions import RejectedDataError, StorageError
from storage.named_sql import load_queries

_log = structlog.get_logger(__name__)
_SQL = load_queries("ingest")

#: Many readings to a commit make it cheap; more than this would make it slow to come.
_MOST_MESSAGES = 20_000
_WAIT_S = 0.2
_DIRECTORY_S = 10.0
#: An unknown meter makes the directory be read again at once, but no more often than this.
_DIRECTORY_MISS_S = 1.0
_BACKOFF_S = (0.2, 10.0)

#: Where a test may break in, in the order in which they come; "copied" lies inside the transaction.
STEPS = ("taken", "copied", "committed", "acknowledged")


@dataclass(frozen=True, slots=True, kw_only=True)
class IngestOptions:
    """What the settings say about ingest."""

    identity: str = "meterwarden-ingest"
    max_age_days: int = 90
    #: Group of processes that share the work; None where this one does all of it.
    share: str | None = None


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
        failpoint: Callable[[str], None] = lambda _step: None,
    ) -> None:
        """Make a service; `failpoint` is called with each of `STEPS`."""
        self._database = database
        self._session = session
        self._options = options
        self._clock_us = clock_us
        self._failpoint = failpoint
        self._writer = BatchWriter(database, failpoint)
        self._confirmer = Confirmer()
        self._canary = Canary(options.identity, clock_us())
        self._sparkplug = SparkplugDecoder()
        self._directory = Directory()
        self._directory_read_us = 0
        started_at = to_datetime(clock_us())
        self._heartbeat = Heartbeat(database, session, self._canary, options.share, is_ours, started_at)
        self._housekeeping = Housekeeping(
            database, session, self._canary, self._heartbeat, options.max_age_days
        )
        self.figures: Counter[str] = Counter()

    def run(self, stop: threading.Event) -> None:
        """Work until told to stop. Raises SessionLostError or IdentityLostError."""
        self._persist(self._recall, stop)
        self._persist(self._prepare, stop)
        self._persist(self._subscribe, stop)
        while not stop.is_set():
            deliveries = self._session.take(_MOST_MESSAGES, _WAIT_S)
            self._listen(came=bool(deliveries))
            self._persist(self._prepare, stop)
            if deliveries:
                self._persist(lambda batch=deliveries: self.handle(batch), stop)  # type: ignore[misc]
            else:
                self._confirm()
        self._confirm(at_once=True)
        self._session.stop()

    def _recall(self) -> None:
        """Take up the last canary of an earlier process: readings may have been waiting since then."""
        with self._database.transaction() as transaction:
            row = transaction.row(_SQL["ingest_canary_last"], {"identity": self._options.identity})
        self._canary.seen_us = min(row["token"] if row else 0, self._clock_us())

    def _subscribe(self) -> None:
        self._session.start(note(self._database, self._options.identity, self._options.share))

    def handle(self, deliveries: Sequence[Delivery]) -> None:
        """Commit messages, then acknowledge them and confirm what is committed."""
        messages = Messages.of(deliveries)
        self._failpoint("taken")
        committed = self._commit(messages)
        self._failpoint("committed")
        self._session.acknowledge(deliveries)
        self._failpoint("acknowledged")
        for part in committed:
            self._confirmer.note(part.confirmations)
            for topic, payload in part.requests:
                self._session.send(topic, payload)
            self._canary.came_back(part.canary_token, self._clock_us())
            self.figures.update(part.figures)
        self._confirm()
        self.figures.update(messages=len(messages), batches=1)
        self.figures["last_batch_messages"] = len(messages)

    def _listen(self, *, came: bool) -> None:
        if came or not self._session.connected:
            self._canary.heard()
            return
        self._canary.waited(_WAIT_S)
        if self._canary.is_dead:
            msg = "the connection to the broker looks alive, and nothing comes through it"
            raise SessionLostError(msg)

    def _confirm(self, *, at_once: bool = False) -> None:
        words = self._confirmer.take(self._clock_us(), self._directory.addresses, at_once=at_once)
        self._session.publish(words)
        self.figures.update(confirms=len(words))

    def _commit(self, messages: Messages) -> list[Committed]:
        """Commit all at once; where the database refuses, halve until the one at fault stands alone."""
        now_us = self._clock_us()
        self._refresh_directory(messages, now_us)
        window = TimeWindow.around(now_us, self._options.max_age_days)
        before = self._sparkplug.snapshot()
        batch = take_in(messages, self._directory, window, self._canary.topic.encode(), self._sparkplug)
        try:
            return [self._write(batch)]
        except StorageError as error:
            # These messages will be decoded again.
            self._sparkplug.restore(before)
            if not isinstance(error, RejectedDataError):
                raise
            if len(messages) > 1:
                half = len(messages) // 2
                first, second = range(half), range(half, len(messages))
                return self._commit(messages.take(first)) + self._commit(messages.take(second))
            return [self._write(self._refused_whole(messages, str(error)))]

    def _refused_whole(self, messages: Messages, why: str) -> AssembledBatch:
        topic = self._directory.route(messages.topics[0]).text
        _log.error("a message cannot be stored, it is refused", topic=topic, error=why)
        reasons = (Reason(None, "payload", f"database: {why}"),)
        return AssembledBatch(
            refusals=[Refusal(topic, messages.payloads[0], messages.received_us[0], 1, reasons)]
        )

    def _write(self, batch: AssembledBatch) -> Committed:
        began_ns = time.monotonic_ns()
        committed = self._writer.write(batch, self._options.identity, to_datetime(self._clock_us()))
        self.figures.update(commit_us=(time.monotonic_ns() - began_ns) // 1000)
        return committed

    def _refresh_directory(self, messages: Messages, now_us: int) -> None:
        age_s = (now_us - self._directory_read_us) / 1e6
        missed = age_s > _DIRECTORY_MISS_S and any(
            self._directory.route(topic).is_unknown for topic in set(messages.topics)
        )
        if missed or age_s > _DIRECTORY_S or age_s < 0:
            with self._database.transaction() as transaction:
                rows = transaction.rows(_SQL["ingest_directory"])
            self._directory = self._directory.updated(
                (row["meter_id"], row["meter_key"], row["company"]) for row in rows
            )
            self._directory_read_us = now_us

    def _prepare(self) -> None:
        self._housekeeping.tick(self._clock_us(), self.figures, self._directory.addresses)

    def _persist(self, work: Callable[[], None], stop: threading.Event) -> None:
        """Do the work, again and again with backoff while the database is away or unwell.

        Nothing is acknowledged meanwhile, so the broker keeps it and memory stays bounded.
        """
        wait_s, most_s = _BACKOFF_S
        while not stop.is_set():
            try:
                work()
            except StorageError as error:
                _log.warning("the database does not take it, trying again", error=str(error), wait_s=wait_s)
                self.figures.update(retries=1)
                with suppress(StorageError):
                    self._heartbeat.beat(self._clock_us(), self.figures)
                stop.wait(wait_s)
                wait_s = min(wait_s * 2, most_s)
            else:
                return
