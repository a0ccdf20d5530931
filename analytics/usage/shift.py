"""Weeks that are unlike the customer's weeks before."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from analytics.block import Floats
from analytics.segments import Mask
from analytics.usage.grid import Grid
from analytics.usage.verdict import DayFlags, Judged, flags, judge_days
from analytics.usage.windows import count, deviation, first_day_of, median, past, theil_sen
from fleet.meter_table import Limit, MeterTable

CODE = "usage_shift"

_WEEKS = 8
LOOKBACK_DAYS = 7 * (_WEEKS + 1)
#: Values of a weekday, days of a week, and weeks, of which an expectation can be formed.
_LEAST_VALUES, _LEAST_DAYS, _LEAST_WEEKS = 3, 4, 4
_DAY_H = 24.0


@dataclass(frozen=True, slots=True, eq=False)
class _Weeks:
    """The last week against those before; shapes (m,), (m, 7) and (m, weeks)."""

    #: ln of volume over expectation: of the last week, of the weeks before, of the last week's days.
    level: Floats
    before: Floats
    days: Floats
    known: NDArray[np.intp]


def check_usage_shift(grid: Grid, judged: range) -> tuple[DayFlags, DayFlags]:
    """Flag days that end a week of far more, or far less, use than the eight weeks before.

    Rule. A weekday's expectation is the median of its active values in the eight weeks before; a week
    is compared on the days that are known and active both times. With d the logarithm of the ratio,
    less that of the median week before, and less the weeks' trend (Theil-Sen) carried on to now,
    whichever is nearer to 0: SUSPECT where |d| > ln `shift_ratio` and above `shift_deviations` robust
    deviations of those weeks from their trend, and four days or more are half as far off by themselves;
    FAIL where above ln `shift_fail_ratio` too. One wild day makes no shift. So slow
    drift with the season is no shift. Nor is idleness: a day below `shift_idle_share` of its weekday
    is left out, and a week with fewer than four active days is UNKNOWN. So are fewer than four weeks
    of history. MISSING where the day's volume is not known. Looks back `LOOKBACK_DAYS`.

    By days of the week and not by its hours: whole days weigh hours by their volume, bear gaps, and
    slow reporters have them too.

    Returns
    -------
    tuple of DayFlags
        More use, and less; shapes (m, j). Value: the week's volume over its expectation; limit: the
        ratio that it must not pass. Onset: the first day of the week that is beyond it.

    Notes
    -----
    The rule is our own; high/low checks of utilities compare averages of daily use likewise.

    """
    daily = grid.volume_m3 / grid.span_h * _DAY_H

    weeks = {day: _compare(grid, daily, day) for day in judged}
    more = _one_way(grid, judged, daily, weeks, 1)
    return more, _one_way(grid, judged, daily, weeks, -1)


def _one_way(grid: Grid, judged: range, daily: Floats, compared: dict[int, _Weeks], sign: int) -> DayFlags:
    limit = np.broadcast_to(grid.meters.limit(lambda p: p.shift_ratio), len(grid.meters))

    def judge(day: int) -> Judged:
        weeks = compared[day]
        off, spread = _off(weeks)
        deviations = grid.meters.limit(lambda p: p.shift_deviations) * spread
        lasting = (2 * sign * weeks.days > np.log(limit)[:, None]).sum(axis=1) >= _LEAST_DAYS
        flag = flags(
            missing=np.isnan(daily[:, day]),
            unknown=(weeks.known < _LEAST_DAYS) | np.isnan(off),
            suspect=(sign * off > np.fmax(np.log(limit), deviations)) & lasting,
            fail=sign * off > np.log(grid.meters.limit(lambda p: p.shift_fail_ratio)),
        )
        beyond = sign * weeks.days > np.log(limit)[:, None]
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


def _compare(grid: Grid, daily: Floats, day: int) -> _Weeks:
    weeks = past(daily, grid.era, day, 0, LOOKBACK_DAYS - 1).reshape(-1, _WEEKS + 1, 7)
    before, now = weeks[:, :-1], weeks[:, -1]
    active = np.where(before > 0, before, np.nan)
    by_weekday = active.transpose(0, 2, 1)
    expected = np.where(count(by_weekday) >= _LEAST_VALUES, median(by_weekday), np.nan)
    least = _spread(grid.meters, grid.meters.limit(lambda p: p.shift_idle_share)) * expected
    then = before > least[:, None, :]
    days = now > least
    level, known = _ratio(now, expected, days)
    levels, enough = _ratio(before, expected[:, None, :], then)
    levels = np.where(enough >= _LEAST_DAYS, levels, np.nan)
    with np.errstate(divide="ignore"):
        each_day = np.where(days, np.log(now / expected), 0.0)
    return _Weeks(level, levels, each_day, known)


def _ratio(volume: Floats, expected: Floats, days: Mask) -> tuple[Floats, NDArray[np.intp]]:
    """Give ln of the volume of some days over their expectation, and how many days those are."""
    known = days.sum(axis=-1)
    total = np.where(days, volume, 0.0).sum(axis=-1)
    wanted = np.where(days, expected, 0.0).sum(axis=-1)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(known > 0, np.log(total / wanted), np.nan), np.asarray(known)


def _off(weeks: _Weeks) -> tuple[Floats, Floats]:
    """Give the distance from level and trend, the nearer of the two, and the weeks' own spread."""
    number = np.arange(_WEEKS, dtype=np.float64)
    enough = count(weeks.before) >= _LEAST_WEEKS
    slope = theil_sen(number, weeks.before)
    start = median(weeks.before - slope[:, None] * number)
    from_trend = weeks.level - (start + slope * _WEEKS)
    from_level = weeks.level - median(weeks.before)
    same_side = np.sign(from_trend) == np.sign(from_level)
    nearer = np.where(np.abs(from_trend) < np.abs(from_level), from_trend, from_level)
    residual = weeks.before - (start[:, None] + slope[:, None] * number)
    spread = deviation(residual, np.zeros(len(start)))
    return np.where(enough, np.where(same_side, nearer, 0.0), np.nan), spread


def _spread(meters: MeterTable, limit: Limit) -> Floats:
    return np.broadcast_to(limit, len(meters))[:, None]
