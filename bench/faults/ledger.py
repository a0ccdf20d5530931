"""What was published and what the broker said to it: in memory to compare, in a file to survive."""

from __future__ import annotations

import hashlib
import json
import threading
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.faults.content import Key, Reading, readings_of, telemetry_of

_NOBODY_SUBSCRIBES = 0x10


@dataclass(slots=True)
class Sent:
    """One reading on its way."""

    reading: Reading
    #: Kept by the meter until the server confirms it; else forgotten at the broker's word.
    buffered: bool
    #: When the broker took it (PUBACK with reason 0), seconds since 1970 UTC; None while it has not.
    acked_at_s: float | None = None
    times: int = 1


@dataclass(slots=True)
class Bad:
    """A message that ingest has to refuse, and the field that it has to name."""

    payload: bytes
    field: str
    #: Readings in it that are in order, and have to be stored.
    good: frozenset[Key]
    acked_at_s: float | None = None
    sent: bool = False


class Ledger:
    """All publications of a run; fed by the meters' threads."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("a", encoding="utf-8", buffering=1)
        self._lock = threading.Lock()
        self.sent: dict[Key, Sent] = {}
        self.bad: dict[bytes, Bad] = {}
        #: Messages that the broker took and gave to nobody.
        self.undelivered = 0

    def expect_refusal(self, payload: bytes, field: str, good: Iterable[Key] = ()) -> None:
        """Say beforehand that a message is to be refused, why, and which of its readings are not."""
        with self._lock:
            self.bad[payload] = Bad(payload, field, frozenset(good))

    def send(self, topic: str, payload: bytes, *, buffered: bool) -> None:
        """Note that a message goes out."""
        meter_id = telemetry_of(topic.encode())
        if meter_id is None:
            return
        with self._lock:
            bad = self.bad.get(payload)
            if bad is not None:
                bad.sent = True
            for reading in readings_of(meter_id, payload):
                known = self.sent.get(reading.key)
                if known is not None:
                    known.times += 1
                elif bad is None or reading.key in bad.good:
                    self.sent[reading.key] = Sent(reading, buffered)
            self._write(said="sent", meter=meter_id, payload=payload.decode("utf-8", "replace"))

    def acknowledge(self, topic: str, payload: bytes, reason: int) -> None:
        """Note the broker's word on a message."""
        meter_id, now_s = telemetry_of(topic.encode()), time.time()
        if meter_id is None:
            return
        with self._lock:
            if reason == 0:
                self._take(meter_id, payload, now_s)
            self.undelivered += reason == _NOBODY_SUBSCRIBES
            self._write(said="acked", meter=meter_id, reason=reason, payload=_hash(payload))

    def of_boot(self, boot: int) -> list[Sent]:
        """List the readings of one boot, that is of one fault."""
        with self._lock:
            return [sent for key, sent in self.sent.items() if key.boot == boot]

    def all_bad(self) -> list[Bad]:
        """List the messages to be refused that were sent."""
        with self._lock:
            return [bad for bad in self.bad.values() if bad.sent]

    def acked(self, keys: Iterable[Key]) -> bool:
        """Tell whether the broker took all of these readings."""
        with self._lock:
            return all(key in self.sent and self.sent[key].acked_at_s is not None for key in keys)

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _take(self, meter_id: str, payload: bytes, now_s: float) -> None:
        if payload in self.bad and self.bad[payload].acked_at_s is None:
            self.bad[payload].acked_at_s = now_s
        for reading in readings_of(meter_id, payload):
            sent = self.sent.get(reading.key)
            if sent is not None and sent.acked_at_s is None:
                sent.acked_at_s = now_s

    def _write(self, **what: Any) -> None:
        self._file.write(json.dumps({"at_s": round(time.time(), 6), **what}) + "\n")


def _hash(payload: bytes) -> str:
    return hashlib.sha256(payload).hexdigest()[:16]
