"""The product's simulated meters: a reading stays in the buffer until the server confirms it."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence

import numpy as np

from bench.faults.ledger import Ledger
from bench.faults.link import LedgerLink
from bench.faults.names import BUFFERED, COMPANY, START_BEFORE_MS
from firmware_sim.playback import Message
from firmware_sim.publisher import Identity, Publisher
from fleet.readings import ReadingBatch
from fleet.wire import topic

_READINGS_EACH = 500
_TURN_S = 0.02
#: Short, so that what was lost on the way comes again within the time of one fault.
_PATIENCE_S = 2.0


class Buffered:
    """Some buffered meters over one connection, on a thread of their own."""

    def __init__(
        self,
        url: str,
        ledger: Ledger,
        boot: int,
        seed: int,
        *,
        meters: Sequence[str] = BUFFERED,
        patience_s: float = _PATIENCE_S,
    ) -> None:
        """After `patience_s` without news a meter sends again what is not confirmed."""
        filters = [topic(COMPANY, meter_id, leaf) for leaf in ("confirm", "backfill") for meter_id in meters]
        link = LedgerLink(url, f"faults-{meters[0]}", filters, ledger, buffered=True)
        self._readings = _readings(boot, seed, len(meters))
        identities = [Identity(COMPANY, meter_id) for meter_id in meters]
        self._publisher = Publisher(
            self._readings, identities, [link], window=500, confirm_timeout_s=patience_s
        )
        self._given = 0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        #: Readings per second, over all meters.
        self.rate_per_s = 0.0
        self._settled = False
        self._thread.start()

    @property
    def settled(self) -> bool:
        """Whether every reading that was sent is confirmed."""
        return self._settled

    def calm(self) -> None:
        """Send nothing new."""
        self.rate_per_s, self._settled = 0.0, False

    def close(self) -> None:
        """Leave the broker."""
        self._stop.set()
        self._thread.join()
        self._publisher.close()

    def _run(self) -> None:
        due, before_s = 0.0, time.monotonic()
        while not self._stop.is_set():
            now_s = time.monotonic()
            due = min(due + self.rate_per_s * (now_s - before_s), float(self._publisher.room))
            before_s = now_s
            self._offer(int(due))
            due -= int(due)
            self._publisher.service(_TURN_S)
            self._settled = self._publisher.idle and self._publisher.unconfirmed == 0

    def _offer(self, count: int) -> None:
        rows = range(self._given, min(self._given + count, len(self._readings)))
        self._publisher.offer([Message(np.array([row]), duplicate=False) for row in rows])
        self._given += len(rows)


def _readings(boot: int, seed: int, meters: int) -> ReadingBatch:
    """Make all readings beforehand, every meter in turn."""
    rng = np.random.default_rng([seed, boot])
    total = meters * _READINGS_EACH
    seq = np.arange(total) // meters + 1
    start_us = (time.time_ns() // 1_000_000 - START_BEFORE_MS) * 1000
    return ReadingBatch.build(
        meter_key=np.arange(total) % meters,
        device_time_us=start_us + seq * 1_000_000,
        seq=seq,
        boot=np.full(total, boot),
        flow_m3h=np.round(rng.uniform(2.0, 100.0, total), 3),
        volume_m3=np.round(1000.0 + boot + seq * 0.01, 2),
    )
