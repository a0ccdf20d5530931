"""Commit, and only then acknowledge and confirm; what the database cannot take is found and refused."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

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


@dataclass(slots=True, eq=False)
class Batch:
    """Deliveries, what was decoded of them, and how far they are committed."""

    deliveries: Sequence[Delivery]
    intake: Intake
    #: What is still to be committed, in order; more than one piece where the database refused.
    left: list[Intake] = field(init=False)
    #: What came of the pieces before those. A retry must not write them again: their refusals have
    #: no key, and the decoder of Sparkplug is past them.
    committed: list[Committed] = field(init=False, default_factory=list)

    def __post_init__(self) -> None:
        self.left = [self.intake]


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

        Raises StorageError: nothing is acknowledged, and the same batch can be settled again, before
        any other; it goes on where it stopped.
        """
        while batch.left:
            self._commit_next(batch)
        self._failpoint("committed")
        self._session.acknowledge(batch.deliveries)
        self._failpoint("acknowledged")
        self._addresses = batch.intake.directory.addresses
        for part in batch.committed:
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

    def _commit_next(self, batch: Batch) -> None:
        """Commit the next piece; where the database refuses, halve until the one at fault stands alone."""
        piece = batch.left[0]
        before = self._sparkplug.snapshot()
        try:
            committed = self._write(finish(piece, self._sparkplug))
        except RejectedDataError as error:
            self._sparkplug.restore(before)
            size = len(piece.messages)
            if size > 1:
                halves = range(size // 2), range(size // 2, size)
                batch.left[:1] = [self._again(piece, half) for half in halves]
                return
            committed = self._refuse(piece, str(error))
        except StorageError:
            # These messages will be decoded again.
            self._sparkplug.restore(before)
            raise
        batch.committed.append(committed)
        del batch.left[0]

    def _refuse(self, piece: Intake, why: str) -> Committed:
        """Commit that a single message cannot be stored."""
        before = self._sparkplug.snapshot()
        try:
            # Decoded all the same: what comes after it in its edge node's stream has to be understood.
            return self._write_refused(_refused_whole(piece, finish(piece, self._sparkplug), why))
        except StorageError:
            self._sparkplug.restore(before)
            raise

    def _write_refused(self, batch: AssembledBatch) -> Committed:
        try:
            return self._write(batch)
        except RejectedDataError:
            # The numbers may be what the database cannot take; a hole is better than a standstill.
            batch.refused_sequence.clear()
            return self._write(batch)

    def _again(self, intake: Intake, rows: range) -> Intake:
        return begin(intake.messages.take(rows), intake.directory, intake.window, self._canary.topic.encode())

    def _write(self, batch: AssembledBatch) -> Committed:
        began_ns = time.monotonic_ns()
        committed = self._writer.write(batch, self._canary.identity, to_datetime(self._clock_us()))
        self.figures.update(commit_us=(time.monotonic_ns() - began_ns) // 1000)
        return committed


def _refused_whole(piece: Intake, decoded: AssembledBatch, why: str) -> AssembledBatch:
    """Keep of a message that it is refused, and the numbers of its readings, so that they leave no gap."""
    messages = piece.messages
    topic = piece.directory.route(messages.topics[0]).text
    _log.error("a message cannot be stored, it is refused", topic=topic, error=why)
    reasons = (Reason(None, "payload", f"database: {why}"),)
    return AssembledBatch(
        refusals=[Refusal(topic, messages.payloads[0], messages.received_us[0], 1, reasons)],
        refused_sequence=list(zip(*(column.tolist() for column in decoded.numbered()), strict=True)),
        requests=decoded.requests,
    )
