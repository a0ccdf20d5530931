"""Balances that are settled once or twice a day instead of with each bit of gas."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np

from analytics.block import Floats
from analytics.segments import Mask
from analytics.usage.grid import Grid, sum_by
from analytics.usage.openings import Rows
from analytics.usage.windows import past

#: A settled balance falls in so many hours of a day at most, on this share of the days with use.
_MOST_FALLS, _DAYS_SHARE = 2, 0.9
#: Gas flows in at least so many hours for each in which it falls.
_HOURS_PER_FALL = 2


@dataclass(frozen=True, slots=True, eq=False)
class FallHours:
    """In how many hours of each day the balance fell, and in how many gas flowed; shapes (m, D)."""

    fell: Floats
    used: Floats

    @classmethod
    def of(cls, grid: Grid, at: Rows, fell: Mask, used: Mask) -> Self:
        """Count hours, which are the rows `at` of the grid's roll-ups; `fell` and `used` are of those."""
        row, day, shape = grid.row[at], grid.day[at], grid.volume_m3.shape
        return cls(sum_by(row, day, fell, shape), sum_by(row, day, used, shape))

    def settled(self, grid: Grid, day: int, lookback_days: int) -> Mask:
        """Recognise the meters whose balance is settled, shape (m,), from the days up to `day`.

        On nine of ten days with use the balance fell in at most two hours, and gas flowed in at least
        twice as many hours as those. A balance in steps coarser than half a day's use looks the same.
        """
        fell, used = (past(v, grid.era, day, 0, lookback_days - 1) for v in (self.fell, self.used))
        days = used > 0
        few = (days & (fell <= _MOST_FALLS)).sum(axis=1) >= _DAYS_SHARE * days.sum(axis=1)
        falls, hours = np.nansum(fell, axis=1), np.nansum(used, axis=1)
        return np.asarray(few & (falls > 0) & (hours >= _HOURS_PER_FALL * falls), dtype=np.bool_)
