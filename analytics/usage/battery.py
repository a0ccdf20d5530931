"""How many days a battery will last."""

from __future__ import annotations

import numpy as np

from analytics.block import Floats
from analytics.usage.grid import Grid, sum_by
from analytics.usage.verdict import DayFlags, Judged, flags, judge_days
from analytics.usage.windows import count, median, past, theil_sen

CODE = "battery_forecast"

_WEEK, _WEEKS = 7, 12
LOOKBACK_DAYS = _WEEK * _WEEKS
#: Weeks since the last replacement that a slope needs.
_LEAST_WEEKS = 4


def check_battery_forecast(grid: Grid, judged: range) -> tuple[DayFlags, DayFlags]:
    """Flag days at which a battery's end is near, by its own report or by the slope of its voltage.

    Rule. A meter that reports `battery_days` is believed. Otherwise the voltages of twelve weeks (the
    median of each week's daily means) since the last rise by more than `battery_replaced_share`, which
    is a replacement, give a slope (Theil-Sen: the median of the slopes of all pairs), and that the
    days until the battery type's critical voltage. SUSPECT within `battery_forecast_days`, FAIL within
    `battery_forecast_fail_days`; never before the voltage fell by `battery_forecast_drop_v`, since
    lithium is flat and breathes with the temperature. Looks back `LOOKBACK_DAYS`.

    UNKNOWN with fewer than four weeks since a replacement; MISSING without voltage and report on the
    day. 0 V is no report.

    Returns
    -------
    tuple of DayFlags
        The meter's battery and the controller's, `part` 1 and 2; shapes (m, j). Value: days left, d;
        limit: d. Onset: the midnight of the day.

    Notes
    -----
    Theil-Sen as scipy.stats.theilslopes; the rule is our own. Of a lithium battery the calendar
    (`battery_overdue`) tells more.

    """
    r, meters = grid.rollups, grid.meters
    days = _daily(grid, r.battery_days_last)
    none = np.full(days.shape, np.nan)
    return (
        _one(grid, judged, 1, _daily(grid, r.battery_last), meters.battery_critical_v, days),
        _one(grid, judged, 2, _daily(grid, r.battery2_last), meters.battery2_critical_v, none),
    )


def _one(
    grid: Grid, judged: range, part: int, volts: Floats, critical_v: Floats, reported: Floats
) -> DayFlags:
    meters = grid.meters
    limit = np.broadcast_to(meters.limit(lambda p: p.battery_forecast_days), len(meters))
    drop_v = meters.limit(lambda p: p.battery_forecast_drop_v)
    same = np.zeros_like(grid.era)

    def judge(day: int) -> Judged:
        weeks = _since_replacement(_weeks(past(volts, same, day, 0, LOOKBACK_DAYS - 1)), grid)
        by_slope = _days_left(weeks, critical_v, drop_v)
        said = reported[:, day]
        left = np.where(np.isnan(said), by_slope, said)
        flag = flags(
            missing=np.isnan(volts[:, day]) & np.isnan(said),
            unknown=np.isnan(said) & (count(weeks) < _LEAST_WEEKS),
            suspect=left <= limit,
            fail=left <= meters.limit(lambda p: p.battery_forecast_fail_days),
        )
        return Judged(flag, left, limit)

    origin = meters.origin_of("battery_forecast_days")
    name = f"battery{part}_forecast"
    return judge_days(CODE, judge, grid.calendar, judged, origin, worse=np.fmin, name=name, part=part)


def _daily(grid: Grid, values: Floats) -> Floats:
    """Average what was reported on each day, shape (m, D); 0 is no report."""
    at = np.flatnonzero(values > 0)
    row, day, shape = grid.row[at], grid.day[at], grid.volume_m3.shape
    known = sum_by(row, day, np.ones(len(at)), shape)
    total = sum_by(row, day, values[at], shape)
    return np.where(known > 0, total / np.maximum(known, 1.0), np.nan)


def _weeks(days: Floats) -> Floats:
    """Take the median of each week, the last one ending with the day; shape (m, 84) to (m, 12)."""
    return median(days.reshape(len(days), _WEEKS, _WEEK))


def _since_replacement(weeks: Floats, grid: Grid) -> Floats:
    """Forget the weeks before the last step up."""
    before = weeks.copy()
    for at in range(1, _WEEKS):
        before[:, at] = np.where(np.isnan(before[:, at]), before[:, at - 1], before[:, at])
    share = np.broadcast_to(grid.meters.limit(lambda p: p.battery_replaced_share), len(weeks))
    rose = weeks[:, 1:] > before[:, :-1] * (1 + share[:, None])
    # A week counts if no later one rose.
    later = np.cumsum(rose[:, ::-1], axis=1)[:, ::-1]
    out = weeks.copy()
    out[:, :-1][later > 0] = np.nan
    return out


def _days_left(weeks: Floats, critical_v: Floats, drop_v: Floats | float) -> Floats:
    slope = theil_sen(np.arange(_WEEKS, dtype=np.float64) * _WEEK, weeks)
    now = weeks[:, -1]
    fell = np.fmax.reduce(weeks, axis=1) - now >= drop_v
    with np.errstate(divide="ignore", invalid="ignore"):
        left = (now - critical_v) / -slope
    return np.where(fell & (slope < 0), np.maximum(left, 0.0), np.nan)
