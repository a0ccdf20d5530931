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
from analytics.usage.correction import standard_per_m3
from analytics.usage.grid import Grid, sum_by
from analytics.usage.settled import FallHours
from analytics.usage.tariff import given_prices, week_prices
from analytics.usage.verdict import DayFlags, Judged, flags, judge_days
from analytics.usage.week import WEEK, Week
from analytics.usage.windows import count, first_day_of, median, past
from fleet.columns import Columns

CODE = "balance_mismatch"

_HISTORY_DAYS = 28
LOOKBACK_DAYS = WEEK + _HISTORY_DAYS
#: Days with use that teach a price.
_LEAST_HISTORY = 14
#: A price is learned from days with this many register steps of gas.
_LEAST_STEPS = 10


@dataclass(frozen=True, slots=True, eq=False)
class Account:
    """What left the balance and what was measured meanwhile, by day; shapes (m, D)."""

    #: In the balance's unit; NaN where the day has no interval between two balances.
    spent: Floats
    #: m³ over the same intervals, those of top-ups left out.
    volume_m3: Floats
    #: Decimals that the balance shows on the day; 0 where it shows none.
    decimals: Floats
    #: Whether gas was measured on the day and the balance never fell.
    stood: Mask
    hours: FallHours

    @classmethod
    def of(cls, grid: Grid) -> Self:
        """Add up the intervals within the rows and those between them.

        An interval in which the balance rose is a top-up, whose own gas nobody can tell apart. An
        interval belongs to the day in which it begins, and must end on that day or the next. A day
        on which gas was measured and the balance never fell is marked. One on which the balance came
        now beside the working register, now beside the standard one, is not known.
        """
        r = grid.rollups
        at = np.flatnonzero(~np.isnan(r.balance_first))
        row, day = grid.row[at], grid.day[at]
        first, last = (_Beside.of(r, end, at) for end in ("first", "last"))
        total = _rise(grid, row, first, last)
        within = total - r.added_volume[at]
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
        spent[seen == 0], volume[seen == 0] = np.nan, np.nan
        fell, used = r.balance_spent[at] > 0, total > 0
        fell[there] |= fall > 0
        used[there] |= moved > 0
        stood = (spent == 0) & (volume > 0)
        return cls(spent, volume, _decimals(grid, at), stood, FallHours.of(grid, at, fell, used))

    def spent_where_moved(self, settled: Mask) -> Floats:
        """Blank what was spent on days that are left to `balance_frozen`; `settled` has shape (m,).

        A settled balance stands on the day after one without gas, or of which nothing is known, and
        nothing is wrong.
        """
        rested = np.ones_like(self.stood)
        rested[:, 1:] = ~(self.volume_m3[:, :-1] > 0)
        return np.where(self.stood & ~(settled[:, None] & rested), np.nan, self.spent)


def check_balance_mismatch(grid: Grid, judged: range) -> DayFlags:
    """Flag days that end a week in which the balance lost more, or less, than the gas measured costs.

    Rule. Over seven days the balance's losses are held against volume times price; the price is that
    of the policy's `tariff` on the day, of several steps the nearest (`week_prices`), or `price_per_m3`,
    else (neither known) the median of loss per m³ over 28 days before, of which 14 must have use.
    SUSPECT if they differ by more than `balance_mismatch_share` of
    the cost (`balance_mismatch_learned_share` for a learned price) and `balance_mismatch_steps` steps of
    register and balance, and at least half of the days with use, four or more, differ to the same side
    by themselves. FAIL above `balance_mismatch_fail_share`, but never for a learned price, for it cannot
    tell a new tariff from a wrong one. Looks back `LOOKBACK_DAYS`.

    A meter with a corrector may be charged by either of its registers. Where the price is given, the
    week is held against the working volume, and against that times what the day's standard volume was
    to its working volume; the nearer one counts. A learned price is that of the working volume.

    A balance that is settled at most twice a day, though gas flows in more hours (`settled`), is behind
    by up to a day. There the limits of SUSPECT and FAIL grow by what the largest day of the week, or
    the day before it, cost; so a mismatch below a day's share of the week is not seen.

    Top-ups are no mismatch. MISSING at a meter that is not prepaid, or that reports no balance; UNKNOWN
    with fewer than four days with use and a price. A new tariff is a mismatch until the policy says
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
    account, steps = Account.of(grid), given_prices(grid)
    known = ~np.isnan(meters.price_per_m3)
    standard = np.where(known[:, None], account.volume_m3 * standard_per_m3(grid), np.nan)
    share = np.where(
        known,
        meters.limit(lambda p: p.balance_mismatch_share),
        meters.limit(lambda p: p.balance_mismatch_learned_share),
    )

    def judge(day: int) -> Judged:
        settled = account.hours.settled(grid, day, LOOKBACK_DAYS)
        moved = account.spent_where_moved(settled)
        prepaid = np.where(meters.prepaid[:, None], moved, np.nan)
        learned = _learned_price(grid, moved, account.volume_m3, day, settled)
        spent, *volumes = (
            past(v, grid.era, day, 0, WEEK - 1) for v in (prepaid, account.volume_m3, standard)
        )
        prices = [
            np.where(known[:, None], week_prices(grid, steps, day, spent, v), learned[:, None])
            for v in volumes
        ]
        price = np.fmax.reduce(prices[0], axis=1)
        shown = past(account.decimals, grid.era, day, 0, WEEK - 1)
        slack = meters.register_step_m3 * price + 10.0 ** -np.fmax.reduce(shown, axis=1, initial=0.0)
        of_working, of_standard = (
            Week.of(spent, v, p, share, slack) for v, p in zip(volumes, prices, strict=True)
        )
        week = of_working.or_nearer(of_standard)
        largest = [_largest_day(grid, v, day) for v in (account.volume_m3, standard)]
        late = np.where(settled, np.where(week.standard, largest[1], largest[0]) * price, 0.0)
        limit = share * week.cost + meters.limit(lambda p: p.balance_mismatch_steps) * slack + late
        fail = meters.limit(lambda p: p.balance_mismatch_fail_share) * week.cost + late
        flag = flags(
            missing=np.isnan(prepaid[:, day]),
            unknown=~week.enough,
            suspect=(np.abs(week.off) > limit) & week.one_sided,
            fail=known & (np.abs(week.off) > fail),
        )
        return Judged(flag, np.abs(week.off), limit, first_day_of(week.bad, day, WEEK - 1))

    return judge_days(CODE, judge, grid.calendar, judged, meters.origin_of("balance_mismatch_share"))


@dataclass(frozen=True, slots=True, eq=False)
class _Beside(Columns):
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


def _largest_day(grid: Grid, volume_m3: Floats, day: int) -> Floats:
    """Take the largest day of the week and the day before it, shape (m,), m³."""
    days = past(volume_m3, grid.era, day, 0, WEEK)
    return np.asarray(np.fmax.reduce(days, axis=1, initial=0.0), dtype=np.float64)


def _learned_price(grid: Grid, spent: Floats, volume_m3: Floats, day: int, settled: Mask) -> Floats:
    """Learn the price from the four weeks before, shape (m,).

    A day of a settled balance has the gas of another day, so there the sums count, not the days.
    """
    spent, volume = (past(values, grid.era, day, WEEK, LOOKBACK_DAYS - 1) for values in (spent, volume_m3))
    enough: Mask = volume >= _LEAST_STEPS * grid.meters.register_step_m3[:, None]
    with np.errstate(divide="ignore", invalid="ignore"):
        prices = np.where(enough & (spent > 0), spent / volume, np.nan)
        whole = np.nansum(spent, axis=1) / np.nansum(np.where(np.isnan(spent), 0.0, volume), axis=1)
    price = np.where(settled, whole, median(prices))
    return np.where(count(prices) >= _LEAST_HISTORY, price, np.nan)
