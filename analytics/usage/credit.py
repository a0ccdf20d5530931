"""How many days a prepaid balance will last."""

from __future__ import annotations

import numpy as np

from analytics.block import Floats
from analytics.usage.conservation import Account
from analytics.usage.grid import Grid
from analytics.usage.verdict import DayFlags, Judged, flags, judge_days
from analytics.usage.windows import count, median, past

CODE = "balance_forecast"

_WEEKS = 4
LOOKBACK_DAYS = 7 * _WEEKS
#: Days of the last four weeks of which the spending must be known.
_LEAST_DAYS = 14


def check_balance_forecast(grid: Grid, judged: range) -> DayFlags:
    """Flag days at whose end the balance will be used up within a few days.

    Rule. What a weekday takes from the balance is the median of that weekday in the four weeks up to
    the day; days without gas count as 0. The balance at the end of the day is spent forward by that
    pattern. SUSPECT where it reaches 0 within `balance_forecast_days`, FAIL within
    `balance_forecast_fail_days`. A top-up ends it. Looks back `LOOKBACK_DAYS`.

    MISSING at a meter that is not prepaid or reported no balance that day; UNKNOWN with fewer than 14
    known days. A customer that spends nothing has no last day and is GOOD, value NaN. A weekday with
    less than one known value is taken as the median of the others.

    Returns
    -------
    DayFlags
        Shapes (m, j). Value: days to zero, d; limit: d. Onset: the midnight of the day.

    Notes
    -----
    The rule is our own.

    """
    meters = grid.meters
    spent = Account.of(grid).spent
    balance = _closing(grid)
    limit = np.broadcast_to(meters.limit(lambda p: p.balance_forecast_days), len(meters))

    def judge(day: int) -> Judged:
        weeks = past(spent, grid.era, day, 0, LOOKBACK_DAYS - 1)
        days = days_to_zero(balance[:, day], _pattern(weeks))
        flag = flags(
            missing=~meters.prepaid | np.isnan(balance[:, day]),
            unknown=count(weeks) < _LEAST_DAYS,
            suspect=days <= limit,
            fail=days <= meters.limit(lambda p: p.balance_forecast_fail_days),
        )
        return Judged(flag, days, limit)

    origin = meters.origin_of("balance_forecast_days")
    return judge_days(CODE, judge, grid.calendar, judged, origin, worse=np.fmin)


def days_to_zero(balance: Floats, pattern: Floats) -> Floats:
    """Spend balances, shape (m,), by a weekly pattern, shape (m, 7), tomorrow first; NaN for never."""
    week = pattern.sum(axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        # Whole weeks before the one in which it ends.
        weeks = np.where(week > 0, np.maximum(np.ceil(balance / week) - 1.0, 0.0), np.nan)
    left = np.maximum(balance, 0.0) - weeks * week
    through = np.cumsum(pattern, axis=1)
    # The first day through which at least what is left is spent.
    at = np.argmax(through >= np.minimum(left, through[:, -1])[:, None], axis=1)[:, None]
    spent_before = (np.take_along_axis(through, at, axis=1) - np.take_along_axis(pattern, at, axis=1))[:, 0]
    that_day = np.take_along_axis(pattern, at, axis=1)[:, 0]
    part = np.where(that_day > 0, (left - spent_before) / np.where(that_day > 0, that_day, 1.0), 0.0)
    return np.asarray(7 * weeks + at[:, 0] + part)


def _pattern(weeks: Floats) -> Floats:
    """Take each weekday's median, shape (m, 7), tomorrow's weekday first."""
    by_weekday = median(weeks.reshape(-1, _WEEKS, 7).transpose(0, 2, 1))
    usual = np.nan_to_num(median(by_weekday))
    return np.where(np.isnan(by_weekday), usual[:, None], by_weekday)


def _closing(grid: Grid) -> Floats:
    """Give the last balance of each day, shape (m, D); NaN for none."""
    out = np.full(grid.volume_m3.shape, np.nan)
    at = np.flatnonzero(~np.isnan(grid.rollups.balance_last))
    key = grid.row[at] * grid.calendar.days + grid.day[at]
    last = np.append(key[1:] != key[:-1], np.ones(min(len(key), 1), np.bool_))
    at = at[last]
    out[grid.row[at], grid.day[at]] = grid.rollups.balance_last[at]
    return out
