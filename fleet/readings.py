"""Readings as columns: the one shape in which telemetry travels through the house."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from fleet.columns import Columns

#: Stands for "not reported" in the integer columns; floats use NaN. The database stores both as NULL.
ABSENT = -1

_INT64 = ("device_time_us", "seq", "boot", "received_us", "status_bits")

#: Measured columns, in the order of the table. All float64, NaN where not reported.
MEASUREMENTS = (
    "flow_m3h",
    "volume_m3",
    "std_flow_m3h",
    "std_volume_m3",
    "pressure_kpa",
    "temperature_c",
    "balance",
    "battery_v",
    "battery2_v",
    "battery_days",
)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ReadingBatch(Columns):
    """n readings of any meters as arrays of shape (n,); see `docs/nomenclature.md` for units."""

    #: int32, the registry's number of the meter.
    meter_key: NDArray[np.int32]
    #: int64, the meter's own time, microseconds since 1970 UTC.
    device_time_us: NDArray[np.int64]
    #: int64, +1 per reading of a boot; ABSENT where the meter sends none.
    seq: NDArray[np.int64]
    #: int64, number of the meter's start; ABSENT where the meter sends none.
    boot: NDArray[np.int64]
    #: int64, when the server had it, microseconds since 1970 UTC.
    received_us: NDArray[np.int64]
    flow_m3h: NDArray[np.float64]
    volume_m3: NDArray[np.float64]
    std_flow_m3h: NDArray[np.float64]
    std_volume_m3: NDArray[np.float64]
    pressure_kpa: NDArray[np.float64]
    temperature_c: NDArray[np.float64]
    balance: NDArray[np.float64]
    battery_v: NDArray[np.float64]
    battery2_v: NDArray[np.float64]
    battery_days: NDArray[np.float64]
    #: int8, index into `wire.VALVES`; ABSENT where not reported.
    valve: NDArray[np.int8]
    #: int64, one bit per entry of `wire.STATUS_CODES`; ABSENT where not reported.
    status_bits: NDArray[np.int64]

    @classmethod
    def build(cls, n: int | None = None, **columns: Any) -> Self:
        """Make a batch from the columns given; every other one is "not reported".

        Raises TypeError for an unknown column and ValueError where lengths differ.
        """
        unknown = set(columns) - set(cls.__dataclass_fields__)
        if unknown:
            msg = f"no such column: {', '.join(sorted(unknown))}"
            raise TypeError(msg)
        size = n if n is not None else len(next(iter(columns.values()), ()))
        full = {name: _column(name, columns.get(name), size) for name in cls.__dataclass_fields__}
        return cls(**full)

    @classmethod
    def empty(cls) -> Self:
        """Make a batch of no readings."""
        return cls.build(0)

    def sorted_by_meter_and_time(self) -> Self:
        """Sort by meter, device time and sequence number; equal rows keep their order."""
        return self.take(np.lexsort((self.seq, self.device_time_us, self.meter_key)))

    def without_repeats(self) -> Self:
        """Keep the first of each meter, device time and sequence number; the batch must be sorted."""
        fresh = np.ones(len(self), dtype=np.bool_)
        for name in ("meter_key", "device_time_us", "seq"):
            values = getattr(self, name)
            fresh[1:] &= values[1:] == values[:-1]
        fresh[1:] = ~fresh[1:]
        return self if fresh.all() else self.take(fresh)


def column_dtype(name: str) -> np.dtype[Any]:
    """Give the dtype of a column of `ReadingBatch`."""
    if name in MEASUREMENTS:
        return np.dtype(np.float64)
    if name in _INT64:
        return np.dtype(np.int64)
    return np.dtype(np.int32 if name == "meter_key" else np.int8)


def _column(name: str, values: Any, size: int) -> NDArray[Any]:
    dtype = column_dtype(name)
    if values is None:
        return np.full(size, np.nan if name in MEASUREMENTS else ABSENT, dtype=dtype)
    array = np.asarray(values, dtype=dtype)
    if array.shape != (size,):
        msg = f"column {name} has shape {array.shape}, expected ({size},)"
        raise ValueError(msg)
    return array
