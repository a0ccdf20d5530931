"""Which readings are due: a history at any speed, then the present in real time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from firmware_sim.meter import Telemetry


@dataclass(frozen=True, slots=True, eq=False)
class Message:
    """What goes out in one piece: one meter's reading, or several that it had kept back."""

    rows: NDArray[np.int64]
    #: The very same reading was sent before, by a fault and not for want of a confirmation.
    duplicate: bool


@dataclass(frozen=True, slots=True, eq=False)
class Schedule:
    """Readings in the order of sending, cut into messages."""

    rows: NDArray[np.int64]
    duplicate: NDArray[np.bool_]
    #: Position in `rows` at which each message begins, and one more for the end.
    cuts: NDArray[np.int64]
    #: When each message is sent, microseconds since 1970 UTC; ascending.
    sent_us: NDArray[np.int64]

    @classmethod
    def of(cls, telemetry: Telemetry) -> Self:
        """Order by the time of sending; what a meter sends at one moment is one array, newest first."""
        rows = np.concatenate([np.arange(len(telemetry.readings)), telemetry.again])
        sent = np.concatenate([telemetry.sent_us, telemetry.again_us])
        duplicate = np.arange(len(rows)) >= len(telemetry.readings)
        meter = telemetry.readings.meter_key[rows]
        order = np.lexsort((-telemetry.readings.device_time_us[rows], duplicate, meter, sent))
        rows, sent, duplicate, meter = rows[order], sent[order], duplicate[order], meter[order]
        new = np.ones(len(rows), dtype=np.bool_)
        new[1:] = (np.diff(sent) != 0) | (np.diff(meter) != 0) | duplicate[1:] | duplicate[:-1]
        starts = np.flatnonzero(new)
        return cls(rows, duplicate, np.append(starts, len(rows)), sent[starts])

    def __len__(self) -> int:
        return len(self.sent_us)

    def message(self, at: int) -> Message:
        """Give one message."""
        first, last = self.cuts[at], self.cuts[at + 1]
        return Message(self.rows[first:last], bool(self.duplicate[first]))


class Playback:
    """Hands out the messages of a schedule as they fall due."""

    def __init__(
        self,
        schedule: Schedule,
        *,
        begin_us: int,
        end_us: int,
        started_us: int,
        speed: float = 0.0,
        rate: float | None = None,
    ) -> None:
        """Play [begin, end) `speed` times as fast as it happened, and then in real time.

        `started_us` is the wall clock's time now; a speed of 0 or infinity plays the history
        at once. `rate` bounds the messages per second.
        """
        self._schedule = schedule
        self._begin_us, self._end_us, self._started_us = begin_us, end_us, started_us
        self._speed = 0.0 if np.isinf(speed) else speed
        self._rate = rate
        self._next = 0

    @property
    def finished(self) -> bool:
        """Whether everything has been handed out."""
        return self._next >= len(self._schedule)

    @property
    def position(self) -> int:
        """How many messages have been handed out."""
        return self._next

    def take(self, now_us: int, at_most: int) -> list[Message]:
        """Hand out what is due by now, in order, and no more messages than there is room for."""
        due = int(np.searchsorted(self._schedule.sent_us, self._through_us(now_us), "right"))
        if self._rate is not None:
            due = min(due, int(self._rate * (now_us - self._started_us) / 1e6))
        last = max(self._next, min(due, self._next + max(at_most, 0)))
        messages = [self._schedule.message(at) for at in range(self._next, last)]
        self._next = last
        return messages

    def wait_s(self, now_us: int, longest_s: float) -> float:
        """Tell how long nothing will fall due, `longest_s` at most."""
        if self.finished:
            return longest_s
        ahead_us = float(self._schedule.sent_us[self._next] - self._through_us(now_us))
        if self._speed and self._through_us(now_us) < self._end_us:
            ahead_us /= self._speed
        if self._rate is not None:
            ahead_us = max(ahead_us, (self._next + 1) / self._rate * 1e6 - (now_us - self._started_us))
        return float(np.clip(ahead_us / 1e6, 0.0, longest_s))

    def _through_us(self, now_us: int) -> int:
        """Give the simulated time up to which messages are due."""
        if self._speed:
            played = self._begin_us + int((now_us - self._started_us) * self._speed)
            if played < self._end_us:
                return played
        return max(self._end_us, now_us)
