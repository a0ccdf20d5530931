"""Since when, and until when, the way from the broker to the database was whole: ingest's own word; pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from fleet.readings import ABSENT
from fleet.times import to_us
from storage.database import Row

#: Without a heartbeat, or a canary that came back, for so long the way counts as interrupted.
_DOUBTFUL_AFTER_US = 60_000_000


@dataclass(frozen=True, slots=True)
class Alive:
    """A stretch of time, microseconds since 1970, in which silence would have been a meter's own."""

    #: ABSENT where nobody can tell.
    since_us: int
    until_us: int


def alive(heartbeat: Row | None, now: datetime) -> Alive:
    """Judge by ingest's last heartbeat; without any (a database filled by hand) all is taken as whole."""
    now_us = to_us(now)
    if heartbeat is None:
        return Alive(ABSENT, now_us)
    figures, beat_us = heartbeat["figures"], to_us(heartbeat["beat_at"])
    since_us = max(to_us(heartbeat["started_at"]), int(figures.get("connected_since_us", 0)))
    canary_us = int(figures.get("last_canary_us", 0))
    if now_us - beat_us > _DOUBTFUL_AFTER_US:
        return Alive(since_us, beat_us)
    if not figures.get("connected", True) or now_us - max(canary_us, since_us) > _DOUBTFUL_AFTER_US:
        return Alive(since_us, max(canary_us, since_us))
    return Alive(since_us, now_us)
