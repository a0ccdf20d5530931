"""Decoder of ThingsBoard's gateway telemetry, topic `v1/gateway/telemetry`; pure, never raises on bad input.

The payload is an object: device name -> array of readings. A reading is either
`{"ts": 1483228800000, "values": {"flow": 1.2}}`, `ts` in milliseconds since 1970 UTC, or the
values alone. Where `ts` is absent, the reading is of the moment in which it was received. The
device's name is the meter's id, and the keys of the values are the fields of the native format.
"""

from __future__ import annotations

from typing import Any

from fleet.wire import is_id
from ingest.json_text import load
from ingest.rules import Decoded, quote, refuse, take

#: The one topic that these payloads come on.
TOPIC = "v1/gateway/telemetry"


def decode(payload: bytes, received_us: int) -> list[tuple[str | None, Decoded]]:
    """Decode a gateway's payload: the readings and refusals of each device, in the order given.

    `received_us` is the time of a reading that names none, in microseconds since 1970 UTC; such a
    reading, delivered a second time, has another time. With the meter's id None comes what concerns
    the message, or a device whose name is no meter's id; `Reason.item` counts within a device.
    """
    found, wrong = load(payload, _join)
    if wrong is None and not isinstance(found, dict):
        wrong = "is not an object of devices"
    if wrong is None and not found:
        wrong = "holds no reading"
    if wrong is not None:
        return [(None, _refused(1, "payload", wrong))]
    return [_device(name, readings, received_us // 1000) for name, readings in found.items()]


def _join(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Make an object of its members; arrays under one name are joined.

    JSON lets a name stand twice, and the last would win: a device named twice would lose readings.
    """
    joined: dict[str, Any] = {}
    for name, value in pairs:
        if isinstance(value, list) and isinstance(joined.get(name), list):
            joined[name].extend(value)
        else:
            joined[name] = value
    return joined


def _device(name: str, readings: Any, now_ms: int) -> tuple[str | None, Decoded]:
    if not is_id(name):
        number = len(readings) if isinstance(readings, list) and readings else 1
        return None, _refused(number, "meter", f"{quote(name)} is no meter's id")
    if not isinstance(readings, list):
        return name, _refused(1, "payload", "is not an array of readings")
    if not readings:
        return name, _refused(1, "payload", "holds no reading")
    decoded = Decoded()
    for item, reading in enumerate(readings):
        fields, wrong = _fields(reading, now_ms)
        take(decoded, item, fields, wrong)
    return name, decoded


def _refused(number: int, field: str, reason: str) -> Decoded:
    decoded = Decoded()
    refuse(decoded, None, [(field, reason)])
    decoded.refused = number
    return decoded


def _fields(reading: Any, now_ms: int) -> tuple[Any, list[tuple[str, str]]]:
    """Unwrap a reading into native fields, and say what is wrong with the wrapping."""
    if not isinstance(reading, dict):
        return reading, []
    if "values" not in reading:
        return {"ts": now_ms, **reading}, []
    values = reading["values"]
    time = reading.get("ts", now_ms)
    if not isinstance(values, dict):
        return {"ts": time}, [("values", f"{quote(values)} is not an object")]
    wrong = [("ts", "stands among the values")] if "ts" in values else []
    # What stands beside `ts` and `values` is no field of ours; prefixed, it is counted as unknown.
    beside = {f"beside/{name}": value for name, value in reading.items() if name not in ("ts", "values")}
    return {**values, **beside, "ts": time}, wrong
