"""The ingest loop: take and decode here, commit and acknowledge in a thread beside."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import structlog

from fleet.times import to_datetime
from ingest.admission import TimeWindow
from ingest.canary import Canary
from ingest.committer import Batch, Committer
from ingest.delivery import Delivery, Messages
from ingest.directory import Directory
from ingest.exceptions import SessionLostError
from ingest.handover import Handover
from ingest.heartbeat import Heartbeat
from ingest.housekeeping import Housekeeping
from ingest.intake import begin
from ingest.session import MqttSession
from ingest.subscriptions import note
from ingest.writer import BatchWriter
from storage.database import Database
from storage.exceptions import StorageError
from storage.named_sql import load_queries

_log = structlog.get_logger(__name__)
_SQL = load_queries("ingest")

#: Many readings to a commit make it cheap; more than this would make it slow to come.
_MOST_MESSAGES = 16_000
_WAIT_S = 0.2
_DIRECTORY_US = 10_000_000
#: A change of the registry is dated when its transaction begins, and seen when it ends; by another clock.
_REGISTRY_OVERLAP_US = 3_600_000_000
#: An unknown meter is looked up at once, but no more often than this, and not more of them together.
_DIRECTORY_MISS_US = 1_000_000
_MOST_UNKNOWN = 1000
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
        self._canary = Canary(options.identity, clock_us())
        self._committer = Committer(
            BatchWriter(database, failpoint), session, self._canary, clock_us=clock_us, failpoint=failpoint
        )
        self._directory = Directory()
        self._directory_read_us = self._missed_us = 0
        started_at = to_datetime(clock_us())
        heartbeat = Heartbeat(database, session, self._canary, options.share, is_ours, started_at)
        self._housekeeping = Housekeeping(database, session, self._canary, heartbeat, options.max_age_days)
        self._halt = threading.Event()

    @property
    def figures(self) -> Counter[str]:
        """What became of everything so far, by name."""
        return self._committer.figures

    def run(self, stop: threading.Event) -> None:
        """Work until told to stop. Raises SessionLostError or IdentityLostError."""
        self._halt.clear()
        try:
            self._begin(stop)
            with Handover(self._settle, self._committer.confirm) as handover, self._leaving():
                self._drain(handover, stop)
            self._committer.confirm(at_once=True)
        finally:
            self._session.stop()

    def _begin(self, stop: threading.Event) -> None:
        self._persist(self._recall, stop)
        # Before any message makes it necessary: whoever is asked for missing readings has to be known.
        self._persist(lambda: self._refresh_directory(self._clock_us()), stop)
        self._persist(self._keep_house, stop)
        self._persist(self._subscribe, stop)

    @contextmanager
    def _leaving(self) -> Iterator[None]:
        """Let the thread beside give up where the database is away; a failure ends the session at once.

        That thread may hang for long, and a session that is still connected meanwhile would throw
        out, again and again, the process that took over.
        """
        try:
            yield
        except BaseException:
            self._session.stop()
            raise
        finally:
            self._halt.set()

    def _recall(self) -> None:
        """Take up the last canary of an earlier process: readings may have been waiting since then."""
        with self._database.transaction() as transaction:
            row = transaction.row(_SQL["ingest_canary_last"], {"identity": self._options.identity})
        self._canary.seen_us = min(row["token"] if row else 0, self._clock_us())

    def _subscribe(self) -> None:
        self._session.start(note(self._database, self._options.identity, self._options.share))

    def handle(self, deliveries: Sequence[Delivery]) -> None:
        """Commit messages, then acknowledge them and confirm what is committed."""
        self._committer.settle(self._decode(deliveries))

    def _drain(self, handover: Handover[Batch], stop: threading.Event) -> None:
        """Decode a batch while the one before it is being written."""
        while not stop.is_set():
            self._persist(self._keep_house, stop)
            if not handover.has_room(_WAIT_S):
                continue
            deliveries = self._session.take(_MOST_MESSAGES, _WAIT_S)
            self._listen(came=bool(deliveries))
            if deliveries:
                self._persist(lambda taken=deliveries: handover.put(self._decode(taken)), stop)  # type: ignore[misc]

    def _decode(self, deliveries: Sequence[Delivery]) -> Batch:
        messages = Messages.of(deliveries)
        self._failpoint("taken")
        now_us = self._clock_us()
        self._refresh_directory(now_us)
        self._look_up_unknown(messages, now_us)
        window = TimeWindow.around(now_us, self._options.max_age_days)
        return Batch(deliveries, begin(messages, self._directory, window, self._canary.topic.encode()))

    def _settle(self, batch: Batch) -> None:
        self._persist(lambda: self._committer.settle(batch), self._halt)

    def _listen(self, *, came: bool) -> None:
        if came or not self._session.connected:
            self._canary.heard()
            return
        self._canary.waited(_WAIT_S)
        if self._canary.is_dead:
            msg = "the connection to the broker looks alive, and nothing comes through it"
            raise SessionLostError(msg)

    def _refresh_directory(self, now_us: int) -> None:
        """Learn, now and then, what changed in the registry."""
        if not 0 <= now_us - self._directory_read_us < _DIRECTORY_US:
            since = max(0, self._directory_read_us - _REGISTRY_OVERLAP_US) if self._directory.entries else 0
            self._read_directory("ingest_directory", {"since": to_datetime(since)})
            self._directory_read_us = now_us

    def _look_up_unknown(self, messages: Messages, now_us: int) -> None:
        """Learn of meters that were registered a moment ago."""
        if not 0 <= now_us - self._missed_us < _DIRECTORY_MISS_US:
            unknown = self._directory.unknown(messages.topics)[:_MOST_UNKNOWN]
            if unknown:
                self._read_directory("ingest_directory_of", {"meter_ids": unknown})
                self._missed_us = now_us

    def _read_directory(self, query: str, named: dict[str, Any]) -> None:
        with self._database.transaction() as transaction:
            rows = transaction.rows(_SQL[query], named)
        self._directory = self._directory.updated(
            (row["meter_id"], row["meter_key"], row["company"]) for row in rows
        )

    def _keep_house(self) -> None:
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
                stop.wait(wait_s)
                wait_s = min(wait_s * 2, most_s)
            else:
                return
