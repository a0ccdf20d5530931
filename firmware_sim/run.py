"""The loop: hand out what is due, let the publisher work, and at the end wait for confirmations."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from firmware_sim.playback import Playback
from firmware_sim.publisher import Publisher

_TURN_S = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """When to stop."""

    #: Nothing new is sent after this moment, microseconds since 1970 UTC; None for no bound.
    until_us: int | None = None
    #: How long to wait for confirmations after the last reading went out.
    drain_timeout_s: float = 30.0


def run(
    playback: Playback,
    publisher: Publisher,
    limits: Limits,
    *,
    now_us: Callable[[], int],
    stop: Callable[[], bool] = lambda: False,
    tick: Callable[[], None] = lambda: None,
) -> None:
    """Play to the end (or the bound), then drain; the caller closes the publisher."""
    while not stop() and not playback.finished and not _past(limits.until_us, now_us()):
        messages = playback.take(now_us(), publisher.room)
        publisher.offer(messages)
        publisher.service(0.0 if messages else playback.wait_s(now_us(), _TURN_S))
        tick()
    drain_until_us = now_us() + int(limits.drain_timeout_s * 1e6)
    while not stop() and not _done(publisher) and not _past(drain_until_us, now_us()):
        publisher.service(_TURN_S)
        tick()


def _done(publisher: Publisher) -> bool:
    return publisher.idle and publisher.unconfirmed == 0


def _past(bound_us: int | None, now_us: int) -> bool:
    return bound_us is not None and now_us >= bound_us
