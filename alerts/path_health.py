"""Since when, and until when, the way from the broker to the database was whole: ingest's own word; pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from fleet.readings import ABSENT
from fleet.times import to_us
from storage.database import Row

#: Without a heartbeat, or a canary that came back, for so long the way counts as interrupted.
_DOUBTFUL_AFTER_US = 60_000_000
#: A broker notices only after a while that a process is gone, and then counts its session's expiry.
_NOTICED_AFTER_US = 60_000_000
#: Where an older program's heartbeat does not say.
_SESSION_EXPIRY_S = 7 * 86400


@dataclass(frozen=True, slots=True)
class Alive:
    """A stretch of time, microseconds since 1970, in which silence would have been a meter's own."""

    #: ABSENT where nobody can tell.
    since_us: int
    until_us: int


def alive(heartbeats: Sequence[Row], now: datetime) -> Alive:
    """Judge by the heartbeats of ingest; without any (a database filled by hand) all is taken as whole."""
    counted = relied_on(heartbeats, now)
    return _together(counted, to_us(now)) if counted else Alive(ABSENT, to_us(now))


def relied_on(heartbeats: Sequence[Row], now: datetime) -> list[Row]:
    """Choose, of all ingest processes that ever beat, those without which telemetry would not arrive.

    - The members of a group (`share`) are one way together: what the broker deals to one waits for
      it, so all of them have to be well. A process in no group is a way by itself.
    - Of several ways that one counts which is whole until latest, and since earliest: beside it an
      identity that was renamed is away for ever, and nothing depends on it.
    - A process away for longer than its session lives at the broker is no member any more, unless
      all are.
    """
    now_us = to_us(now)
    ways: dict[tuple[str | None, str | None], list[Row]] = {}
    for row in [row for row in heartbeats if not _is_forgotten(row, now_us)] or heartbeats:
        share = row["figures"].get("share")
        ways.setdefault((share, row["instance"] if share is None else None), []).append(row)

    def wholeness(members: list[Row]) -> tuple[int, int]:
        whole = _together(members, now_us)
        return whole.until_us, -whole.since_us

    return max(ways.values(), key=wholeness, default=[])


def _is_forgotten(row: Row, now_us: int) -> bool:
    expiry_s = int(row["figures"].get("session_expiry_s", _SESSION_EXPIRY_S))
    return now_us - to_us(row["beat_at"]) > expiry_s * 1_000_000 + _NOTICED_AFTER_US


def _together(members: Sequence[Row], now_us: int) -> Alive:
    """Join processes of which each has to be well."""
    parts = [_alone(row, now_us) for row in members]
    return Alive(max(part.since_us for part in parts), min(part.until_us for part in parts))


def _alone(row: Row, now_us: int) -> Alive:
    figures, beat_us = row["figures"], to_us(row["beat_at"])
    since_us = max(to_us(row["started_at"]), int(figures.get("connected_since_us", 0)))
    canary_us = int(figures.get("last_canary_us", 0))
    if now_us - beat_us > _DOUBTFUL_AFTER_US:
        return Alive(since_us, beat_us)
    if not figures.get("connected", True) or now_us - max(canary_us, since_us) > _DOUBTFUL_AFTER_US:
        return Alive(since_us, max(canary_us, since_us))
    return Alive(since_us, now_us)
