"""What a telemetry message holds, as far as the harness compares it; pure."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from fleet.wire import parse_topic


@dataclass(frozen=True, slots=True, order=True)
class Key:
    """One reading of one meter."""

    meter_id: str
    boot: int
    seq: int


@dataclass(frozen=True, slots=True)
class Reading:
    """A reading with what was sent of it: `ts_ms` since 1970 UTC, flow in m³/h, volume in m³."""

    key: Key
    ts_ms: int
    flow: float
    volume: float


def telemetry_of(topic: bytes) -> str | None:
    """Give the meter whose telemetry a topic is; None for every other topic."""
    where = parse_topic(topic.decode("utf-8", "replace"))
    return where.meter_id if where is not None and where.leaf == "telemetry" else None


def readings_of(meter_id: str, payload: bytes) -> list[Reading]:
    """Read the readings of a payload; what the harness' own meters would not send is left out."""
    try:
        value = json.loads(payload)
    except (ValueError, RecursionError):
        return []
    items = value if isinstance(value, list) else [value]
    return [reading for item in items if (reading := _reading(meter_id, item)) is not None]


def _reading(meter_id: str, item: Any) -> Reading | None:
    if not isinstance(item, dict) or not all(type(item.get(name)) is int for name in ("ts", "boot", "seq")):
        return None
    if not all(isinstance(item.get(name), float) for name in ("flow", "volume")):
        return None
    return Reading(Key(meter_id, item["boot"], item["seq"]), item["ts"], item["flow"], item["volume"])
