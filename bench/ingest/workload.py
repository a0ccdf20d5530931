"""What is published: readings of 5,000 meters as topics, payloads, and the same as columns."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from fleet.readings import ReadingBatch
from fleet.wire import topic

METERS = 5000
COMPANY = "north"
BOOT = 7


def meter_id(number: int) -> str:
    """Name the meter with a number from 0 to METERS - 1."""
    return f"M{number:04d}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Workload:
    """Messages in the order of publishing: every meter in turn, and again."""

    messages: int
    #: More than one makes the payload an array.
    readings_per_message: int = 1
    #: Seconds between two readings of a meter; the newest is as old as this.
    interval_s: int = 60
    #: Number that the database knows each meter by, sent as `key` to those who have no registry.
    keys: Mapping[int, int] = field(default_factory=dict)
    now_ms: int = field(default_factory=lambda: time.time_ns() // 1_000_000)

    @property
    def readings(self) -> int:
        """Readings in all."""
        return self.messages * self.readings_per_message

    @property
    def last(self) -> tuple[int, int, int]:
        """Meter, `seq` and time (milliseconds since 1970 UTC) of the reading published last."""
        number, first = self._place(self.messages - 1)
        seq = first + self.readings_per_message - 1
        return number, seq, self._ts_ms(seq)

    def publications(self) -> Iterator[tuple[bytes, bytes]]:
        """Give (topic, payload) of each message."""
        for message in range(self.messages):
            number, first = self._place(message)
            found = [self._reading(number, first + at) for at in range(self.readings_per_message)]
            payload = found if self.readings_per_message > 1 else found[0]
            yield topic(COMPANY, meter_id(number), "telemetry").encode(), json.dumps(payload).encode()

    def batches(self, keys: Mapping[int, int], size: int) -> Iterator[ReadingBatch]:
        """Give the same readings as columns, about `size` at a time."""
        step = max(1, size // self.readings_per_message)
        for start in range(0, self.messages, step):
            yield self._columns(range(start, min(start + step, self.messages)), keys)

    def _place(self, message: int) -> tuple[int, int]:
        """Give the meter of a message and the `seq` of its first reading."""
        return message % METERS, message // METERS * self.readings_per_message + 1

    def _ts_ms(self, seq: int) -> int:
        newest = ((self.messages - 1) // METERS + 1) * self.readings_per_message
        return self.now_ms - (newest - seq + 1) * self.interval_s * 1000

    def _reading(self, number: int, seq: int) -> dict[str, Any]:
        key = {"key": self.keys[number]} if self.keys else {}
        return {"ts": self._ts_ms(seq), "boot": BOOT, "seq": seq, **_measured(number, seq), **key}

    def _columns(self, messages: range, keys: Mapping[int, int]) -> ReadingBatch:
        places = [self._place(message) for message in messages]
        numbers = np.repeat([number for number, _ in places], self.readings_per_message)
        seqs = np.add.outer([first for _, first in places], np.arange(self.readings_per_message)).ravel()
        measured = [
            _measured(number, seq) for number, seq in zip(numbers.tolist(), seqs.tolist(), strict=True)
        ]
        return ReadingBatch.build(
            meter_key=[keys[number] for number in numbers.tolist()],
            device_time_us=[self._ts_ms(seq) * 1000 for seq in seqs.tolist()],
            seq=seqs,
            boot=np.full(len(seqs), BOOT),
            received_us=np.full(len(seqs), self.now_ms * 1000),
            flow_m3h=[values["flow"] for values in measured],
            volume_m3=[values["volume"] for values in measured],
            balance=[values["balance"] for values in measured],
            battery_v=[values["battery"] for values in measured],
        )


def _measured(number: int, seq: int) -> dict[str, float]:
    """Give the measurements of the README's example, a little different from reading to reading."""
    flow = 12.5 + number % 7
    return {"flow": flow, "volume": 48211.4 + seq, "balance": 310.0, "battery": 3.58}
