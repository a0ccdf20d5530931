"""Meters as most are: a reading is forgotten as soon as the broker acknowledges it."""

from __future__ import annotations

import random
import threading
import time
from collections import deque

import msgspec

from bench.faults.content import Reading, readings_of
from bench.faults.ledger import Ledger
from bench.faults.link import LedgerLink
from bench.faults.names import COMPANY, FORGETFUL, START_BEFORE_MS
from firmware_sim.lane import Kind, Lane, Outbound
from fleet.wire import topic

_WINDOW = 500
_TURN_S = 0.02
_ARRAY = 3
_ARRAY_SHARE = 0.1


class Forgetful:
    """All forgetful meters over one connection, on a thread of their own."""

    def __init__(self, url: str, ledger: Ledger, boot: int, rng: random.Random) -> None:
        self._link = LedgerLink(url, "faults-forgetful", [], ledger, buffered=False)
        self._lane = Lane(self._link, _WINDOW, time.monotonic)
        self._boot, self._rng = boot, rng
        self._start_ms = time.time_ns() // 1_000_000 - START_BEFORE_MS
        self._seqs = dict.fromkeys(FORGETFUL, 0)
        self._turn = 0
        self._asked: deque[Outbound] = deque()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._lock = threading.Lock()
        #: Messages per second by themselves.
        self.rate_per_s = 0.0
        self._thread.start()

    @property
    def connected(self) -> bool:
        """Whether there is a connection to the broker."""
        return self._link.up

    @property
    def idle(self) -> bool:
        """Whether the broker acknowledged everything."""
        return not self._asked and not self._lane.busy

    def publish(self, messages: int) -> list[Reading]:
        """Publish so many messages now, beside the steady ones; gives their readings."""
        made: list[Reading] = []
        for _ in range(messages):
            message = self._next()
            self._asked.append(message)
            made += readings_of(self._meter(message), message.payload)
        return made

    def publish_raw(self, meter_id: str, payload: bytes) -> None:
        """Publish any payload under a meter's topic."""
        self._asked.append(Outbound(topic(COMPANY, meter_id, "telemetry"), payload, Kind.FIRST))

    def record(self, meter_id: str) -> dict[str, int | float]:
        """Make the next reading of a meter."""
        with self._lock:
            self._seqs[meter_id] += 1
            seq = self._seqs[meter_id]
            return {
                "ts": self._start_ms + seq * 1000,
                "boot": self._boot,
                "seq": seq,
                "flow": round(self._rng.uniform(2.0, 100.0), 3),
                "volume": round(1000.0 + self._boot + seq * 0.01, 2),
            }

    def close(self) -> None:
        """Leave the broker."""
        self._stop.set()
        self._thread.join()
        self._lane.close()

    def _run(self) -> None:
        due, before_s = 0.0, time.monotonic()
        while not self._stop.is_set():
            now_s = time.monotonic()
            due = min(due + self.rate_per_s * (now_s - before_s), self.rate_per_s)
            before_s = now_s
            for _ in range(int(due)):
                self._lane.put([self._next()])
            due -= int(due)
            while self._asked:
                self._lane.put([self._asked[0]])
                self._asked.popleft()
            self._lane.service(_TURN_S)

    def _next(self) -> Outbound:
        self._turn += 1
        meter_id = FORGETFUL[self._turn % len(FORGETFUL)]
        count = _ARRAY if self._rng.random() < _ARRAY_SHARE else 1
        records = [self.record(meter_id) for _ in range(count)]
        payload = msgspec.json.encode(records if count > 1 else records[0])
        return Outbound(topic(COMPANY, meter_id, "telemetry"), payload, Kind.FIRST)

    @staticmethod
    def _meter(message: Outbound) -> str:
        return message.topic.split("/")[3]
