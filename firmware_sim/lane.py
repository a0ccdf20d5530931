"""A queue in front of one connection, with a bound on what is sent and not yet acknowledged."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import Enum

from firmware_sim.connection import Acknowledged, Down, Link, Received, Up

_log = logging.getLogger(__name__)

_NOBODY_SUBSCRIBES = 0x10
_PAUSE_S = (0.5, 8.0)


class Kind(Enum):
    """Why something is sent."""

    STATUS = "status"
    FIRST = "first"
    #: The simulated fault: the same reading twice.
    DUPLICATE = "duplicate"
    #: Sent again for want of an acknowledgement or a confirmation, or because the server asked.
    AGAIN = "again"


@dataclass(slots=True)
class Outbound:
    """One message on its way."""

    topic: str
    payload: bytes
    kind: Kind
    #: The readings in it; none in a status message.
    rows: list[int] = field(default_factory=list)


@dataclass(slots=True)
class LaneReport:
    """What one turn of a lane brought."""

    came_up: bool = False
    sent: list[Outbound] = field(default_factory=list)
    delivered: list[Outbound] = field(default_factory=list)
    received: list[Received] = field(default_factory=list)
    #: Messages that the broker took and gave to nobody.
    undelivered: int = 0


class Lane:
    """Sends over one link; whatever is not acknowledged goes back to the head of the queue."""

    def __init__(self, link: Link, window: int, clock: Callable[[], float]) -> None:
        self._link, self._window, self._clock = link, window, clock
        self._limit = window
        self._queue: deque[Outbound] = deque()
        self._in_flight: dict[int, Outbound] = {}
        self._pause_s, self._paused_until_s = _PAUSE_S[0], 0.0

    @property
    def busy(self) -> int:
        """Messages queued or in flight."""
        return len(self._queue) + len(self._in_flight)

    @property
    def room(self) -> int:
        """How many more messages to bring: two windows are enough to never run dry."""
        return max(0, 2 * self._window - self.busy)

    def put(self, messages: Sequence[Outbound]) -> None:
        """Queue messages behind all others."""
        self._queue.extend(messages)

    def put_first(self, messages: Sequence[Outbound]) -> None:
        """Queue messages before all others, in their order."""
        self._queue.extendleft(reversed(messages))

    def service(self, timeout_s: float) -> LaneReport:
        """Send what the window allows, and let the connection work."""
        report = LaneReport()
        self._send(report)
        waiting = not self._queue or len(self._in_flight) >= self._limit or not self._may_send()
        for event in self._link.service(timeout_s if waiting else 0.0):
            self._note(event, report)
        return report

    def close(self) -> None:
        """Close the connection."""
        self._link.close()

    def _may_send(self) -> bool:
        return self._link.up and self._clock() >= self._paused_until_s

    def _send(self, report: LaneReport) -> None:
        while self._queue and len(self._in_flight) < self._limit and self._may_send():
            message = self._queue.popleft()
            packet_id = self._link.send(message.topic, message.payload, retain=message.kind is Kind.STATUS)
            if packet_id is None:
                self._queue.appendleft(message)
                return
            self._in_flight[packet_id] = message
            report.sent.append(message)

    def _note(self, event: object, report: LaneReport) -> None:
        if isinstance(event, Acknowledged):
            self._settle(event, report)
        elif isinstance(event, Received):
            report.received.append(event)
        elif isinstance(event, Up):
            report.came_up = True
            self._limit = min(self._window, event.receive_maximum or self._window)
        elif isinstance(event, Down):
            self._take_back()

    def _settle(self, event: Acknowledged, report: LaneReport) -> None:
        message = self._in_flight.pop(event.packet_id, None)
        if message is None:
            return
        if event.reason == 0 or message.kind is Kind.STATUS:
            self._pause_s = _PAUSE_S[0]
            report.delivered.append(message)
            return
        report.undelivered += 1
        message.kind = Kind.AGAIN
        self._queue.appendleft(message)
        self._pause(event.reason)

    def _pause(self, reason: int) -> None:
        if self._clock() < self._paused_until_s:
            return
        why = "nobody subscribes" if reason == _NOBODY_SUBSCRIBES else f"reason 0x{reason:02x}"
        _log.warning("the broker delivers no readings (%s), trying again in %.1f s", why, self._pause_s)
        self._paused_until_s = self._clock() + self._pause_s
        self._pause_s = min(2 * self._pause_s, _PAUSE_S[1])

    def _take_back(self) -> None:
        """Queue again what was in flight; a status message is made anew when the link is up."""
        lost = [message for message in self._in_flight.values() if message.kind is not Kind.STATUS]
        for message in lost:
            message.kind = Kind.AGAIN
        self._in_flight.clear()
        self.put_first(lost)
