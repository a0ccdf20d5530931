"""Roll-ups as columns: what is kept of a meter's readings in one hour or one day."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from fleet.columns import Columns
from fleet.readings import ABSENT

_KEY = "meter_key"
#: Counts, 0 where nothing happened.
COUNTS = ("readings", "dropouts", "flow_n", "pressure_n", "temperature_n")
#: Roll-overs, less those taken back: less than 0 where the one taken back lies before the row.
TURNS = ("register_turns", "std_register_turns")
_MARKS = ("balance_first_standard", "balance_last_standard")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class HourRollups(Columns):
    """n rows as arrays of shape (n,), sorted by meter and begin; rows of days have the same columns.

    A row exists where at least one frame was heard. Times are device times, microseconds since 1970
    UTC, ABSENT where there is none; values are NaN where there is none. Dropout frames count in
    `readings`, `dropouts`, `first_us`, `last_us` and `lag_min_us`, and nowhere else. Of several frames
    of one moment the lower `seq` comes first.
    """

    #: int32, the registry's number of the meter.
    meter_key: NDArray[np.int32]
    #: int64, instant at which the company's local hour (or day) begins.
    begin_us: NDArray[np.int64]
    #: int32, frames heard, dropout frames among them.
    readings: NDArray[np.int32]
    dropouts: NDArray[np.int32]
    #: Of frames.
    first_us: NDArray[np.int64]
    last_us: NDArray[np.int64]
    #: The working register that counts, m³, at the first and the last frame that has one.
    register_first_us: NDArray[np.int64]
    register_first: NDArray[np.float64]
    register_last_us: NDArray[np.int64]
    register_last: NDArray[np.float64]
    #: int32, how often it rolled over from one of its readings to the next, those between the first
    #: and the last; one that a next reading takes back does not count
    #: (`analytics.rollups.registers.turns`). The step from the row before is added when rows are merged.
    register_turns: NDArray[np.int32]
    #: The same of the register at standard conditions, m³.
    std_register_first_us: NDArray[np.int64]
    std_register_first: NDArray[np.float64]
    std_register_last_us: NDArray[np.int64]
    std_register_last: NDArray[np.float64]
    std_register_turns: NDArray[np.int32]
    #: Snapshots of the flow at metering conditions, m³/h; never to be integrated.
    flow_n: NDArray[np.int32]
    flow_sum: NDArray[np.float64]
    flow_min: NDArray[np.float64]
    flow_max: NDArray[np.float64]
    #: kPa and Cel.
    pressure_n: NDArray[np.int32]
    pressure_sum: NDArray[np.float64]
    temperature_n: NDArray[np.int32]
    temperature_sum: NDArray[np.float64]
    #: The balance at the first and the last frame that reports both it and a register that counts
    #: (the working one, the standard one where there is no other), that register, m³, and 1 where
    #: it is the standard one (int32).
    balance_first_us: NDArray[np.int64]
    balance_first: NDArray[np.float64]
    balance_first_register: NDArray[np.float64]
    balance_first_standard: NDArray[np.int32]
    balance_last_us: NDArray[np.int64]
    balance_last: NDArray[np.float64]
    balance_last_register: NDArray[np.float64]
    balance_last_standard: NDArray[np.int32]
    #: What the balance lost over the intervals (between such frames) in which it fell, and gained
    #: over those in which it rose; both >= 0, 0 where there is no interval. Intervals lie within the
    #: row: the one from the row before is added when rows are merged.
    balance_spent: NDArray[np.float64]
    balance_added: NDArray[np.float64]
    #: What the register moved over the intervals in which the balance fell, and rose, m³.
    spent_volume: NDArray[np.float64]
    added_volume: NDArray[np.float64]
    #: V.
    battery_min: NDArray[np.float64]
    battery_last: NDArray[np.float64]
    battery2_min: NDArray[np.float64]
    battery2_last: NDArray[np.float64]
    #: d, the meter's own estimate.
    battery_days_last: NDArray[np.float64]
    #: Smallest arrival less device time of a frame.
    lag_min_us: NDArray[np.int64]

    @classmethod
    def build(cls, n: int | None = None, **columns: Any) -> Self:
        """Make rows from the columns given; every other one is absent, counts and amounts 0.

        Raises TypeError for an unknown column and ValueError where lengths differ.
        """
        unknown = set(columns) - set(cls.__dataclass_fields__)
        if unknown:
            msg = f"no such column: {', '.join(sorted(unknown))}"
            raise TypeError(msg)
        size = n if n is not None else len(next(iter(columns.values()), ()))
        return cls(**{name: _column(name, columns.get(name), size) for name in cls.__dataclass_fields__})

    @classmethod
    def empty(cls) -> Self:
        """Make no rows."""
        return cls.build(0)


#: Amounts that are 0, not absent, where nothing happened.
AMOUNTS = ("balance_spent", "balance_added", "spent_volume", "added_volume")


def column_dtype(name: str) -> np.dtype[Any]:
    """Give the dtype of a column of `HourRollups`."""
    if name == _KEY or name in COUNTS or name in TURNS or name in _MARKS:
        return np.dtype(np.int32)
    return np.dtype(np.int64 if name.endswith("_us") else np.float64)


def _column(name: str, values: Any, size: int) -> NDArray[Any]:
    dtype = column_dtype(name)
    if values is None:
        return np.full(size, _nothing(name, dtype), dtype=dtype)
    array = np.asarray(values, dtype=dtype)
    if array.shape != (size,):
        msg = f"column {name} has shape {array.shape}, expected ({size},)"
        raise ValueError(msg)
    return array


def _nothing(name: str, dtype: np.dtype[Any]) -> float:
    if name in COUNTS or name in TURNS or name in AMOUNTS:
        return 0
    return np.nan if dtype == np.float64 else ABSENT
