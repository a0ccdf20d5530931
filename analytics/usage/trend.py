"""What the weeks before lead one to expect of the next, and how far that may be wrong."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np

from analytics.block import Floats
from analytics.usage.windows import count, deviation, median, theil_sen

#: Numbers that a straight line takes from the values it is fitted to.
_FITTED = 2


@dataclass(frozen=True, slots=True, eq=False)
class Trend:
    """A few values, one a week, and the line through them; shapes (m,)."""

    #: Median of the values: what is to be expected where they have no trend.
    level: Floats
    #: The line (Theil-Sen) carried on to the week after the last.
    ahead: Floats
    #: Standard deviation of what the next value may be off that line.
    spread: Floats

    @classmethod
    def of(cls, values: Floats) -> Self:
        """Fit a line to the values of successive weeks, shape (m, weeks); NaN is left out.

        The spread is 1.4826 times the median distance from the line, times n / (n - 2), times
        sqrt(1 + 1/n + (t - mean)² / sum of (week - mean)²) for the next week t. Of n = 4 to 8 values
        a line takes up two, so their median distance is far too small: over normal noise its median
        is 0.47 to 0.71 of the true deviation, and n / (n - 2) brings it to 0.81 to 0.97. Without both
        factors "four deviations" would be passed in 5 to 17 % of weeks that only repeat their noise.

        Notes
        -----
        The root is that of the prediction interval of a straight line (Draper and Smith, Applied
        Regression Analysis); the other factor is by our own simulation, and in the spirit of that for
        robust scales of few residuals (Rousseeuw and Leroy, Robust Regression and Outlier Detection,
        1987, 5.1).

        """
        weeks = np.arange(values.shape[-1], dtype=np.float64)
        slope = theil_sen(weeks, values)
        start = median(values - slope[:, None] * weeks)
        residual = values - (start[:, None] + slope[:, None] * weeks)
        spread = deviation(residual, np.zeros(len(values))) * _unforeseen(values, weeks)
        return cls(median(values), start + slope * values.shape[-1], spread)

    def off(self, value: Floats) -> Floats:
        """Give the distance of the next value from level or line, the nearer of the two.

        0 where it lies between them.
        """
        from_line, from_level = value - self.ahead, value - self.level
        same_side = np.sign(from_line) == np.sign(from_level)
        nearer = np.where(np.abs(from_line) < np.abs(from_level), from_line, from_level)
        return np.where(same_side, nearer, 0.0)


def _unforeseen(values: Floats, weeks: Floats) -> Floats:
    """Give the factor from the median distance of values from their line to that of the next value."""
    known = ~np.isnan(values)
    n = count(values).astype(np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        mean = (known * weeks).sum(axis=1) / n
        around = (known * (weeks - mean[:, None]) ** 2).sum(axis=1)
        leverage = 1 / n + (len(weeks) - mean) ** 2 / around
        taken_up = np.where(n > _FITTED, n / (n - _FITTED), np.nan)
        return np.asarray(taken_up * np.sqrt(1 + leverage))
