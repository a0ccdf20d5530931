"""Weeks that are unlike the customer's weeks before."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from analytics.block import Floats
from analytics.segments import Mask
from analytics.usage.grid import Grid
from analytics.usage.trend import Trend
from analytics.usage.verdict import DayFlags, Judged, flags, judge_days
from analytics.usage.windows import count, deviation, first_day_of, median, past
from fleet.meter_table import Limit, MeterTable

CODE = "usage_shift"

_WEEKS = 8
LOOKBACK_DAYS = 7 * (_WEEKS + 1)
#: Values of a weekday, days of a week, and weeks, of which an expectation can be formed.
_LEAST_VALUES, _LEAST_DAYS, _LEAST_WEEKS = 3, 4, 4
_DAY_H = 24.0


@dataclass(frozen=True, slots=True, eq=False)
class _Week:
    """The last week against those before; shapes (m,), of days (m, 7). Ratios as logarithms."""

    #: Volume over expectation.
    level: Floats
    #: How far that is from what the weeks before lead one to expect; NaN where they are too few.
    off: Floats
    #: How far it may be.
    spread: Floats
    #: Each day over its expectation; NaN where it is idle or not known.
    days: Floats
    #: How far a day of the weeks before is from its expectation.
    scatter: Floats
    #: Days that were compared.
    known: NDArray[np.intp]


def check_usage_shift(grid: Grid, judged: range) -> tuple[DayFlags, DayFlags]:
    """Flag days that end a week of far more, or far less, use than the eight weeks before.

    Rule. A weekday's expectation is the median of its active values in the eight weeks before; a week
    is compared on the days that are known and active both times. With d the logarithm of the ratio,
    less that of the median week before, and less the weeks' trend (Theil-Sen) carried on to now,
    whichever is nearer to 0, a day is SUSPECT where

    - |d| > ln `shift_ratio`, and above `shift_deviations` times what the next week may be off that
      trend (`Trend.spread`),
    - four days or more are half as far off by themselves: one wild day makes no shift,
    - and the days since the first one beyond the ratio, four at least, lie apart from those before:
      by more than `shift_day_deviations` roots of the sum of the squares of both scatters.

    FAIL where above ln `shift_fail_ratio` too. So slow drift with the season is no shift. Nor is
    a heating that follows the weather, whose days differ by a half anyhow: the scatters are not
    divided by the number of days, for days of weather are no independent samples of it. Nor
    is idleness: a day below `shift_idle_share` of its weekday is left out, and a week with fewer than
    four active days is UNKNOWN. So are fewer than four weeks of history. MISSING where the day's volume
    is not known. Looks back `LOOKBACK_DAYS`.

    By days of the week and not by its hours: whole days weigh hours by their volume, bear gaps, and
    slow reporters have them too.

    Returns
    -------
    tuple of DayFlags
        More use, and less; shapes (m, j). Value: the week's volume over its expectation; limit: the
        ratio that it must not pass. Onset: the first day of the week that is beyond it.

    Notes
    -----
    The rule is our own; high/low checks of utilities compare averages of daily use likewise. How far
    two sets of days lie apart is the standardised difference of their means (Cohen, Statistical Power
    Analysis for the Behavioral Sciences, 1988, 2.5.1), the scatter of those before taken by its median.

    """
    daily = grid.volume_m3 / grid.span_h * _DAY_H

    weeks = {day: _compare(grid, daily, day) for day in judged}
    more = _one_way(grid, judged, daily, weeks, 1)
    return more, _one_way(grid, judged, daily, weeks, -1)


def _one_way(grid: Grid, judged: range, daily: Floats, compared: dict[int, _Week], sign: int) -> DayFlags:
    limit = np.broadcast_to(grid.meters.limit(lambda p: p.shift_ratio), len(grid.meters))
    deviations = grid.meters.limit(lambda p: p.shift_deviations)
    day_deviations = grid.meters.limit(lambda p: p.shift_day_deviations)

    def judge(day: int) -> Judged:
        weeks = compared[day]
        off, days = sign * weeks.off, sign * weeks.days
        beyond = days > np.log(limit)[:, None]
        lasting = (2 * days > np.log(limit)[:, None]).sum(axis=1) >= _LEAST_DAYS
        flag = flags(
            missing=np.isnan(daily[:, day]),
            unknown=(weeks.known < _LEAST_DAYS) | np.isnan(off),
            suspect=(off > np.fmax(np.log(limit), deviations * weeks.spread))
            & lasting
            & (_apart(days, beyond, weeks.scatter) > day_deviations),
            fail=off > np.log(grid.meters.limit(lambda p: p.shift_fail_ratio)),
        )
        return Judged(flag, np.exp(weeks.level), limit**sign, first_day_of(beyond, day, 6))

    return judge_days(
        CODE,
        judge,
        grid.calendar,
        judged,
        grid.meters.origin_of("shift_ratio"),
        worse=np.fmax if sign > 0 else np.fmin,
        name="usage_shift_up" if sign > 0 else "usage_shift_down",
    )


def _compare(grid: Grid, daily: Floats, day: int) -> _Week:
    weeks = past(daily, grid.era, day, 0, LOOKBACK_DAYS - 1).reshape(-1, _WEEKS + 1, 7)
    before, now = weeks[:, :-1], weeks[:, -1]
    by_weekday = np.where(before > 0, before, np.nan).transpose(0, 2, 1)
    values = count(by_weekday)
    expected = np.where(values >= _LEAST_VALUES, median(by_weekday), np.nan)
    least = _spread(grid.meters, grid.meters.limit(lambda p: p.shift_idle_share)) * expected
    then, days = before > least[:, None, :], now > least
    level, known = _ratio(now, expected, days)
    levels, enough = _ratio(before, expected[:, None, :], then)
    levels = np.where(enough >= _LEAST_DAYS, levels, np.nan)
    trend = Trend.of(levels)
    off = np.where(count(levels) >= _LEAST_WEEKS, trend.off(level), np.nan)
    scatter = _scatter(_each(before, expected[:, None, :], then), values)
    return _Week(level, off, trend.spread, _each(now, expected, days), scatter, known)


def _each(volume: Floats, expected: Floats, days: Mask) -> Floats:
    """Give ln of the volume of each day over its expectation, NaN where it does not count."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(days, np.log(volume / expected), np.nan)


def _scatter(each: Floats, values: NDArray[np.intp]) -> Floats:
    """Give the robust deviation of days, shape (m, weeks, 7), from what is usual on their weekday.

    The usual was taken from `values` of them, shape (m, 7), and one of those tells nothing any more.
    """
    freedom = np.sqrt(values / np.maximum(values - 1, 1))
    days = (each * freedom[:, None, :]).reshape(len(each), each.shape[1] * each.shape[2])
    return deviation(days, np.zeros(len(each)))


def _apart(days: Floats, beyond: Mask, scatter: Floats) -> Floats:
    """Give by how many deviations the days since the first one beyond lie apart from those before.

    0 with fewer than four of them.
    """
    since = np.where(np.logical_or.accumulate(beyond, axis=1), days, np.nan)
    n = count(since)
    with np.errstate(divide="ignore", invalid="ignore"):
        mean = np.nansum(since, axis=1) / n
        variance = np.nansum((since - mean[:, None]) ** 2, axis=1) / (n - 1)
        return np.where(n >= _LEAST_DAYS, mean / np.sqrt(variance + scatter**2), 0.0)


def _ratio(volume: Floats, expected: Floats, days: Mask) -> tuple[Floats, NDArray[np.intp]]:
    """Give ln of the volume of some days over their expectation, and how many days those are."""
    known = days.sum(axis=-1)
    total = np.where(days, volume, 0.0).sum(axis=-1)
    wanted = np.where(days, expected, 0.0).sum(axis=-1)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(known > 0, np.log(total / wanted), np.nan), np.asarray(known)


def _spread(meters: MeterTable, limit: Limit) -> Floats:
    return np.broadcast_to(limit, len(meters))[:, None]
