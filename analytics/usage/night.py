"""Nights with more gas than the nights before."""

from __future__ import annotations

import numpy as np

from analytics.block import Floats
from analytics.usage.grid import Grid
from analytics.usage.verdict import DayFlags, Judged, flags, judge_days
from analytics.usage.windows import count, deviation, first_day_of, median, past

CODE = "night_flow"

#: Local hours of a night, and how many of them must be known. An hour is closed by the first reading
#: of the next one, which may come at that one's end: what begins at 04 could reach into the morning.
_FROM_H, _TO_H = 1, 4
_LEAST_HOURS = 2
_RECENT_DAYS, _HISTORY_DAYS = 7, 28
LOOKBACK_DAYS = _RECENT_DAYS + _HISTORY_DAYS
_LEAST_RECENT, _LEAST_HISTORY = 5, 14
_NIGHT_H = _TO_H - _FROM_H


def check_night_flow(grid: Grid, judged: range) -> DayFlags:
    """Flag days after a week of nights far above the meter's own nights before.

    Rule. A night's flow is the mean of the hours that begin from 01 to 03 local time. With M the
    median of the 28 nights before the last seven, and S the root of the sum of the squares of both
    stretches' deviations, each 1.4826 times the median distance from its own median, a day is SUSPECT
    if the median of the last seven nights is above M + max(`night_flow_deviations` S,
    `night_flow_share` M, `night_flow_share_of_qmax` Qmax, two register steps a night), and no more
    than `night_flow_seen_share` of the nights before were as high; FAIL at twice that excess. So a
    customer that works some nights is not found at each of them, nor one whose heating begins to run
    now and then at night, as the weather wants it.
    Both stretches hold whole weeks, so weekends do not count as a change. Looks back `LOOKBACK_DAYS`.

    UNKNOWN with fewer than 5 of the last nights, or 14 of those before; a night with fewer than 2
    known hours is not known, nor is one before an exchange of the meter. MISSING where the last night
    itself is not known.

    Returns
    -------
    DayFlags
        Shapes (m, j). Value: the median of the last nights, m³/h; limit: what it must not pass on the
        first day, m³/h. Onset: the midnight of the first of the seven nights above it.

    Notes
    -----
    The rule is our own; the minimum night flow of water networks is its ancestor.

    """
    meters = grid.meters
    night = night_flow_m3h(grid)
    least = np.fmax(
        meters.limit(lambda p: p.night_flow_share_of_qmax) * meters.qmax_m3h,
        2 * meters.register_step_m3 / _NIGHT_H,
    )

    def judge(day: int) -> Judged:
        recent = past(night, grid.era, day, 0, _RECENT_DAYS - 1)
        before = past(night, grid.era, day, _RECENT_DAYS, LOOKBACK_DAYS - 1)
        now, usual = median(recent), median(before)
        spread = meters.limit(lambda p: p.night_flow_deviations) * np.hypot(
            deviation(before, usual), deviation(recent, now)
        )
        as_high = (before >= now[:, None]).sum(axis=1)
        seen_before = as_high > meters.limit(lambda p: p.night_flow_seen_share) * count(before)
        excess = np.fmax(np.fmax(spread, meters.limit(lambda p: p.night_flow_share) * usual), least)
        flag = flags(
            missing=np.isnan(night[:, day]),
            unknown=(count(recent) < _LEAST_RECENT) | (count(before) < _LEAST_HISTORY),
            suspect=(now > usual + excess) & ~seen_before,
            fail=now > usual + 2 * excess,
        )
        above = recent > (usual + excess)[:, None]
        return Judged(flag, now, usual + excess, first_day_of(above, day, _RECENT_DAYS - 1))

    return judge_days(CODE, judge, grid.calendar, judged, meters.origin_of("night_flow_deviations"))


def night_flow_m3h(grid: Grid) -> Floats:
    """Average the flow of each night, shape (m, D); NaN with fewer than two known hours."""
    hour_of_day, day_of_hour = grid.calendar.hour_of_day, grid.calendar.day_of_hour
    at = np.flatnonzero((hour_of_day >= _FROM_H) & (hour_of_day < _TO_H))
    if len(at) == 0:
        return np.full(grid.volume_m3.shape, np.nan)
    flow = grid.flow_m3h[:, at]
    starts = np.searchsorted(day_of_hour[at], np.arange(grid.calendar.days))
    known = np.add.reduceat(~np.isnan(flow), starts, axis=1, dtype=np.int64)
    total = np.add.reduceat(np.nan_to_num(flow), starts, axis=1)
    return np.where(known >= _LEAST_HOURS, total / np.maximum(known, 1), np.nan)
