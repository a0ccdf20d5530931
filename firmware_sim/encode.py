"""Readings as the JSON of the wire format: only what a meter reports, nothing else."""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from fleet.readings import ABSENT, MEASUREMENTS, ReadingBatch
from fleet.wire import NUMBER_FIELDS, VALVES, status_codes

_ENCODER = msgspec.json.Encoder()
_US_PER_MS = 1000

Record = dict[str, Any]


def records(readings: ReadingBatch) -> list[Record]:
    """Turn readings into the objects of the contract; what is not reported is not there."""
    made: list[Record] = [{"ts": ms} for ms in (readings.device_time_us // _US_PER_MS).tolist()]
    _put(made, "boot", readings.boot, readings.boot != ABSENT)
    _put(made, "seq", readings.seq, readings.seq != ABSENT)
    for name, column in NUMBER_FIELDS.items():
        values = getattr(readings, column)
        _put(made, name, values, ~np.isnan(values))
    for at in np.flatnonzero(readings.valve != ABSENT).tolist():
        made[at]["valve"] = VALVES[readings.valve[at]]
    for at in np.flatnonzero(readings.status_bits != ABSENT).tolist():
        made[at]["status"] = status_codes(int(readings.status_bits[at]))
    return made


def payload(made: list[Record]) -> bytes:
    """Encode one reading as an object, several as an array."""
    return _ENCODER.encode(made[0] if len(made) == 1 else made)


def status_payload(*, online: bool, boot: int | None = None, firmware: str | None = None) -> bytes:
    """Encode the retained status message: a birth with boot and firmware, or an end without."""
    message: Record = {"online": online}
    if boot is not None:
        message["boot"] = boot
    if firmware is not None:
        message["firmware"] = firmware
    return _ENCODER.encode(message)


def can_be_sent(readings: ReadingBatch) -> NDArray[np.bool_]:
    """Tell which readings hold at least one measurement; the contract takes no others."""
    held = np.zeros(len(readings), dtype=np.bool_)
    for name in MEASUREMENTS:
        held |= ~np.isnan(getattr(readings, name))
    return held


def _put(made: list[Record], name: str, values: NDArray[Any], present: NDArray[np.bool_]) -> None:
    if present.all():
        for record, value in zip(made, values.tolist(), strict=True):
            record[name] = value
        return
    for at, value in zip(np.flatnonzero(present).tolist(), values[present].tolist(), strict=True):
        made[at][name] = value
