"""The local days and hours of a company over a stretch of time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from analytics.block import US_PER_H
from analytics.rollups.periods import Granularity, begin_us, midnight_us

Times = NDArray[np.int64]

#: Hours of a local day begin this far apart at the closest, where clocks are changed.
_QUARTER_US = US_PER_H // 4
#: 1970-01-01 was a Thursday; Monday is 0.
_THURSDAY = 3


@dataclass(frozen=True, slots=True, eq=False)
class Calendar:
    """D local days in a row and their H hours; a day has 23 or 25 where clocks are changed.

    `day_number` has shape (D,), days since 1970-01-01; `day_us` (D + 1,), the instant at which each
    day begins and the last one ends; `hour_us` (H + 1,) likewise for hours; `day_of_hour` (H,);
    `first_hour` (D,), where each day begins in `hour_us`.
    """

    day_number: Times
    day_us: Times
    hour_us: Times
    day_of_hour: NDArray[np.intp]
    first_hour: NDArray[np.intp]

    @classmethod
    def of(cls, zone: ZoneInfo, from_day: int, through_day: int) -> Self:
        """List the days from one to another, both included, as numbers since 1970-01-01."""
        numbers = np.arange(from_day, through_day + 1, dtype=np.int64)
        day_us = np.array([midnight_us(zone, day) for day in (*numbers.tolist(), through_day + 1)])
        quarters = np.arange(day_us[0], day_us[-1], _QUARTER_US, dtype=np.int64)
        begins = np.unique(begin_us(quarters, zone, Granularity.HOUR))
        day_of_hour = np.searchsorted(day_us, begins, side="right") - 1
        first_hour = np.searchsorted(begins, day_us[:-1])
        return cls(numbers, day_us, np.append(begins, day_us[-1]), day_of_hour, first_hour)

    @property
    def days(self) -> int:
        """Count the days."""
        return len(self.day_number)

    @property
    def hours(self) -> int:
        """Count the hours."""
        return len(self.day_of_hour)

    @property
    def weekday(self) -> Times:
        """Give the weekday of each day, Monday 0, shape (D,)."""
        return (self.day_number + _THURSDAY) % 7

    @property
    def hour_of_day(self) -> NDArray[np.int64]:
        """Count the hours since midnight at which each hour begins, shape (H,).

        On the day of a change of clocks that is not what the clock shows after the change.
        """
        since_us = self.hour_us[:-1] - self.day_us[self.day_of_hour]
        return np.asarray(since_us // US_PER_H, dtype=np.int64)

    def hour_at(self, begin_us: Times) -> NDArray[np.intp]:
        """Find the hours that begin at instants; -1 for one before, `hours` for one after the days."""
        at = np.searchsorted(self.hour_us, begin_us, side="right") - 1
        return np.asarray(np.minimum(at, self.hours), dtype=np.intp)
