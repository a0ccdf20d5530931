"""Conservation: what leaves a prepaid balance is what the meter measured."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from analytics.block import Floats
from analytics.rollups.columns import HourRollups
from analytics.rollups.registers import moved_m3, shown_decimals
from analytics.segments import Mask
from analytics.usage.grid import Grid, sum_by
from analytics.usage.verdict import DayFlags, Judged, flags, judge_days
from analytics.usage.windows import count, first_day_of, median, past

CODE = "balance_mismatch"

_WEEK = 7
_HISTORY_DAYS = 28
LOOKBACK_DAYS = _WEEK + _HISTORY_DAYS
#: Days with use that teach a price, and that a week must have.
_LEAST_HISTORY, _LEAST_DAYS = 14, 4
#: A price is learned from days with this many register steps of gas.
_LEAST_STEPS = 10
#: Of the days of a bad week this share must be bad by themselves, to the same side.
_BAD_DAYS_SHARE = 0.5


@dataclass(frozen=True, slots=True, eq=False)
class Account:
    """What left the balance and what was measured meanwhile, by day; shapes (m, D)."""

    #: In the balance's unit; NaN where the day has no interval between two balances.
    spent: Floats
    #: m³ over the same intervals, those of top-ups left out.
    volume_m3: Floats
    #: Decimals that the balance shows on the day; 0 where it shows none.
    decimals: Floats

    @classmethod
    def of(cls, grid: Grid) -> Self:
        """Add up the intervals within the rows and those between them.

        An interval in which the balance rose is a top-up, whose own gas nobody can tell apart. An
        interval belongs to the day in which it begins, and must end on that day or the next. A day
        on which gas was measured and the balance never fell is left to `balance_frozen`.
        """
        r = grid.rollups
        at = np.flatnonzero(~np.isnan(r.balance_first))
        row, day = grid.row[at], grid.day[at]
        first, last = (_Beside.of(r, end, at) for end in ("first", "last"))
        within = _rise(grid, row, first, last) - r.added_volume[at]
        shape = grid.volume_m3.shape
        spent = sum_by(row, day, r.balance_spent[at], shape)
        volume = sum_by(row, day, within, shape)
        there = np.flatnonzero((row[1:] == row[:-1]) & (day[1:] <= day[:-1] + 1))
        one, other = at[there], at[there + 1]
        fall = r.balance_last[one] - r.balance_first[other]
        moved = _rise(grid, row[there], last.take(there), first.take(there + 1))
        counts = fall >= 0
        of = (row[there][counts], day[there][counts])
        spent += sum_by(*of, fall[counts], shape)
        volume += sum_by(*of, moved[counts], shape)
        seen = sum_by(row[there], day[there], np.ones(len(there)), shape)
        unknown = (seen == 0) | ((spent == 0) & (volume > 0))
        spent[unknown], volume[unknown] = np.nan, np.nan
        return cls(spent, volume, _decimals(grid, at))


def check_balance_mismatch(grid: Grid, judged: range) -> DayFlags:
    """Flag days that end a week in which the balance lost more, or less, than the gas measured costs.

    Rule. Over seven days the balance's losses are held against volume times price; the price is the
    registry's or the policy's, else (`price_per_m3` unknown) the median of loss per m³ over 28 days
    before, of which 14 must have use. SUSPECT if they differ by more than `balance_mismatch_share` of
    the cost (`balance_mismatch_learned_share` for a learned price) and `balance_mismatch_steps` steps of
    register and balance, and at least half of the days with use, four or more, differ to the same side
    by themselves. FAIL above `balance_mismatch_fail_share`. Looks back `LOOKBACK_DAYS`.

    Top-ups are no mismatch. MISSING at a meter that is not prepaid, or that reports no balance; UNKNOWN
    with fewer than four days with use, or no price. A new tariff is a mismatch until the policy says
    it, or, with a learned price, until two weeks later.

    Returns
    -------
    DayFlags
        Shapes (m, j). Value: the week's difference, and limit: what it must not pass; both in the
        balance's unit. Onset: the midnight of the first bad day of the week.

    Notes
    -----
    The rule is our own: conservation of what was bought.

    """
    meters = grid.meters
    account = Account.of(grid)
    step = meters.register_step_m3
    prepaid = np.where(meters.prepaid[:, None], account.spent, np.nan)

    def judge(day: int) -> Judged:
        spent, volume = (past(v, grid.era, day, 0, _WEEK - 1) for v in (prepaid, account.volume_m3))
        learned = _learned_price(grid, account, day)
        known = ~np.isnan(meters.price_per_m3)
        price = np.where(known, meters.price_per_m3, learned)
        share = np.where(
            known,
            meters.limit(lambda p: p.balance_mismatch_share),
            meters.limit(lambda p: p.balance_mismatch_learned_share),
        )
        shown = past(account.decimals, grid.era, day, 0, _WEEK - 1)
        slack = step * price + 10.0 ** -np.fmax.reduce(shown, axis=1, initial=0.0)
        off = spent - volume * price[:, None]
        cost = np.where(np.isnan(off), 0.0, volume) * price[:, None]
        week, limit = np.nansum(off, axis=1), share * cost.sum(axis=1)
        limit = limit + meters.limit(lambda p: p.balance_mismatch_steps) * slack
        bad = np.sign(week)[:, None] * off > share[:, None] * cost + slack[:, None]
        used = ((volume > 0) | (spent > 0)) & ~np.isnan(off)
        enough = used.sum(axis=1) >= _LEAST_DAYS
        flag = flags(
            missing=np.isnan(prepaid[:, day]),
            unknown=~enough | np.isnan(price),
            suspect=(np.abs(week) > limit) & (bad.sum(axis=1) >= _BAD_DAYS_SHARE * used.sum(axis=1)),
            fail=np.abs(week) > meters.limit(lambda p: p.balance_mismatch_fail_share) * cost.sum(axis=1),
        )
        return Judged(flag, np.abs(week), limit, first_day_of(bad, day, _WEEK - 1))

    return judge_days(CODE, judge, grid.calendar, judged, meters.origin_of("balance_mismatch_share"))


@dataclass(frozen=True, slots=True, eq=False)
class _Beside:
    """The registers that stand beside k balances; shapes (k,)."""

    time_us: NDArray[np.int64]
    register_m3: Floats
    standard: Mask

    @classmethod
    def of(cls, rollups: HourRollups, end: str, at: NDArray[np.intp]) -> Self:
        """Take those beside the first or the last balance of some rows."""
        time_us, register, standard = (
            getattr(rollups, f"balance_{end}_{name}")[at] for name in ("us", "register", "standard")
        )
        return cls(time_us, register, standard == 1)

    def take(self, rows: NDArray[np.intp]) -> Self:
        """Select some of them by positions."""
        return type(self)(self.time_us[rows], self.register_m3[rows], self.standard[rows])


def _rise(grid: Grid, row: NDArray[np.intp], before: _Beside, after: _Beside) -> Floats:
    """Subtract registers; a roll-over is movement, any other fall, or another register, is not known."""
    meters = grid.meters
    elapsed_us = after.time_us - before.time_us
    registers = (before.register_m3, after.register_m3)
    moved = moved_m3(meters, meters.meter_key[row], elapsed_us, *registers, after.standard)
    unknown = (moved < -meters.register_step_m3[row]) | (before.standard != after.standard)
    return np.where(unknown, np.nan, np.maximum(moved, 0.0))


def _decimals(grid: Grid, at: NDArray[np.intp]) -> Floats:
    out = np.zeros(grid.volume_m3.shape)
    shown = shown_decimals(grid.rollups.balance_last[at]).astype(np.float64)
    np.maximum.at(out, (grid.row[at], grid.day[at]), shown)
    return out


def _learned_price(grid: Grid, account: Account, day: int) -> Floats:
    spent, volume = (
        past(values, grid.era, day, _WEEK, LOOKBACK_DAYS - 1) for values in (account.spent, account.volume_m3)
    )
    enough: Mask = volume >= _LEAST_STEPS * grid.meters.register_step_m3[:, None]
    with np.errstate(divide="ignore", invalid="ignore"):
        prices = np.where(enough & (spent > 0), spent / volume, np.nan)
    return np.where(count(prices) >= _LEAST_HISTORY, median(prices), np.nan)
