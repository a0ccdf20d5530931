"""What keeps the main job from being done, by the heartbeats of the processes that do it; pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta

from alerts.path_health import relied_on
from storage.database import Row

SILENT_AFTER = timedelta(seconds=30)
#: A reading is stored seconds after it reached the broker; later than this the alarms come too late.
INGEST_LAG_AT_MOST = timedelta(seconds=60)


def not_ready(heartbeats: Sequence[Row], now: datetime) -> list[str]:
    """List what is missing: a sign of life, the broker, or readings that have been waiting too long."""
    ingest = relied_on([row for row in heartbeats if row["service"] == "ingest"], now)
    engines = [row for row in heartbeats if row["service"] == "engine"]
    return [*_silent("ingest", ingest, now), *_hindered(ingest, now), *_silent("engine", engines, now)]


def _silent(service: str, needed: Sequence[Row], now: datetime) -> Iterator[str]:
    names = [_name(row) for row in needed if _is_silent(row, now)] if needed else [service]
    return (f"{name} gave no sign of life for {SILENT_AFTER.seconds} s" for name in names)


def _hindered(ingest: Sequence[Row], now: datetime) -> Iterator[str]:
    for row in ingest:
        if _is_silent(row, now):
            continue
        if not row["figures"].get("connected", True):
            yield f"{_name(row)} is not connected to the broker"
        age_s = float(row["figures"].get("backlog_age_s", 0))
        if age_s > INGEST_LAG_AT_MOST.total_seconds():
            yield f"{_name(row)} lags: readings may have been waiting for {age_s:.0f} s"


def _is_silent(row: Row, now: datetime) -> bool:
    return bool(now - row["beat_at"] > SILENT_AFTER)


def _name(row: Row) -> str:
    return f"{row['service']} {row['instance']}".strip()
