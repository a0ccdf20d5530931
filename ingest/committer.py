"""Commit, and only then acknowledge and confirm; what the database cannot take is found and refused."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import structlog

from fleet.times import to_datetime
from ingest.batch import AssembledBatch
from ingest.canary import Canary
from ingest.confirming import Confirmer
from ingest.delivery import Delivery
from ingest.formats.sparkplug import SparkplugDecoder
from ingest.intake import Intake, begin, finish
from ingest.refusals import Reason, Refusal
from ingest.session import MqttSession
from ingest.writer import BatchWriter, Committed
from storage.exceptions import RejectedDataError, StorageError

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, eq=False)
class Batch:
    """Deliveries, and what was decoded of them."""

    deliveries: Sequence[Delivery]
    intake: Intake


class Committer:
    """Brings batches to an end, one after the other; used by one thread at a time."""

    def __init__(
        self,
        writer: BatchWriter,
        session: MqttSession,
        canary: Canary,
        *,
        clock_us: Callable[[], int],
        failpoint: Callable[[str], None],
    ) -> None:
        self._writer, self._session, self._canary = writer, session, canary
        self._clock_us, self._failpoint = clock_us, failpoint
        self._confirmer = Confirmer()
        self._sparkplug = SparkplugDecoder()
        self._addresses: Mapping[int, tuple[str, str]] = {}
        #: What became of everything so far, by name.
        self.figures: Counter[str] = Counter()

    def settle(self, batch: Batch) -> None:
        """Commit a batch, then acknowledge it and confirm what is committed.

        Raises StorageError: nothing is acknowledged, and the same batch can be settled again.
        """
        committed = self._commit(batch.intake)
        self._failpoint("committed")
        self._session.acknowledge(batch.deliveries)
        self._failpoint("acknowledged")
        self._addresses = batch.intake.directory.addresses
        for part in committed:
            self._confirmer.note(part.confirmed)
            for topic, payload in part.requests:
                self._session.send(topic, payload)
            self._canary.came_back(part.canary_token, self._clock_us())
            self.figures.update(part.figures)
        self.confirm()
        self.figures.update(messages=len(batch.intake.messages), batches=1)
        self.figures["last_batch_messages"] = len(batch.intake.messages)

    def confirm(self, *, at_once: bool = False) -> None:
        """Tell meters what is committed, if it is time."""
        words = self._confirmer.take(self._clock_us(), self._addresses, at_once=at_once)
        self._session.publish(words)
        self.figures.update(confirms=len(words))

    def _commit(self, intake: Intake) -> list[Committed]:
        """Commit all at once; where the database refuses, halve until the one at fault stands alone."""
        before = self._sparkplug.snapshot()
        try:
            return [self._write(finish(intake, self._sparkplug))]
        except StorageError as error:
            # These messages will be decoded again.
            self._sparkplug.restore(before)
            if not isinstance(error, RejectedDataError):
                raise
            size = len(intake.messages)
            if size > 1:
                halves = range(size // 2), range(size // 2, size)
                return [part for half in halves for part in self._commit(self._again(intake, half))]
            return [self._write(_refused_whole(intake, str(error)))]

    def _again(self, intake: Intake, rows: range) -> Intake:
        return begin(intake.messages.take(rows), intake.directory, intake.window, self._canary.topic.encode())

    def _write(self, batch: AssembledBatch) -> Committed:
        began_ns = time.monotonic_ns()
        committed = self._writer.write(batch, self._canary.identity, to_datetime(self._clock_us()))
        self.figures.update(commit_us=(time.monotonic_ns() - began_ns) // 1000)
        return committed


def _refused_whole(intake: Intake, why: str) -> AssembledBatch:
    messages = intake.messages
    topic = intake.directory.route(messages.topics[0]).text
    _log.error("a message cannot be stored, it is refused", topic=topic, error=why)
    reasons = (Reason(None, "payload", f"database: {why}"),)
    return AssembledBatch(
        refusals=[Refusal(topic, messages.payloads[0], messages.received_us[0], 1, reasons)]
    )
