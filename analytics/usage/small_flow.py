"""Does gas flow, a little, at hours at which this customer used to use none? A leak does."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from analytics.block import Floats
from analytics.segments import Mask
from analytics.usage.grid import Grid
from analytics.usage.verdict import DayFlags, Judged, flags, judge_days
from analytics.usage.windows import count, median, past
from fleet.meter_table import MeterTable

CODE = "small_continuous_flow"

#: A run of days without rest is followed this far back, and the meter's history before that run.
_LONGEST_RUN = 14
_HISTORY_DAYS = 28
LOOKBACK_DAYS = _LONGEST_RUN + _HISTORY_DAYS
#: Days of that history that must be known.
_LEAST_HISTORY = 10
#: Over these days the flow must be constant.
_CONSTANT_DAYS = 3
#: A day with fewer known windows is undecided unless it shows rest.
_LEAST_WINDOWS = 18
#: Rest is this long, h; the longer, the coarser the register.
_SHORTEST_REST_H, _LONGEST_REST_H = 2, 6
#: A leak of this share of the limit must move the register by two steps while it would rest.
_LEAST_LEAK = 0.1


@dataclass(frozen=True, slots=True, eq=False)
class Rest:
    """Mean flows over windows of a few hours, each belonging to the day in which it ends."""

    #: Shape (m,): length of a meter's windows, h.
    length_h: NDArray[np.int64]
    #: Shape (m, H), m³/h; NaN where an hour of the window is not known.
    mean_m3h: Floats
    #: Shapes (m, D): the lowest of a day, how many are known, how many are 0.
    lowest_m3h: Floats
    known: Floats
    at_rest: Floats

    @classmethod
    def of(cls, grid: Grid, limit_m3h: Floats) -> Self:
        """Form the windows: 2 h, up to 6 h where the register is too coarse for the limit."""
        needed = 2 * grid.meters.register_step_m3 / (_LEAST_LEAK * limit_m3h)
        length = np.clip(
            np.ceil(np.nan_to_num(needed, nan=_LONGEST_REST_H)), _SHORTEST_REST_H, _LONGEST_REST_H
        )
        mean = np.full(grid.flow_m3h.shape, np.nan)
        for hours in range(_SHORTEST_REST_H, _LONGEST_REST_H + 1):
            rows = np.flatnonzero(length == hours)
            mean[rows] = _means(grid.flow_m3h[rows], grid.era[rows][:, grid.calendar.day_of_hour], hours)
        known = ~np.isnan(mean)
        return cls(
            length_h=length.astype(np.int64),
            mean_m3h=mean,
            lowest_m3h=grid.by_day(np.fmin, mean),
            known=grid.by_day(np.add, known.astype(np.float64)),
            at_rest=grid.by_day(np.add, (mean == 0).astype(np.float64)),
        )


def check_small_continuous_flow(grid: Grid, judged: range) -> DayFlags:
    """Flag days on which a small constant flow fills the hours that used to be at rest.

    Rule. A window of 2 h (up to 6 h at a coarse register) rests if the register does not move in it.
    A day is SUSPECT if it and the days before, `leak_days` in a row, had no rest; the lowest window of
    the last three days is below `leak_share_of_qmax` Qmax or below Qmin; the lowest windows of those
    days agree within `leak_constancy` and a register step; windows at that flow are at least
    `leak_filled_share` as many as the windows that used to rest; and the 28 days before the run had
    rest on `leak_rested_share` of them. FAIL after `leak_fail_days` if the flow is at least `leak_fail_m3h`.
    Looks back `LOOKBACK_DAYS`.

    A customer that never rests is UNKNOWN, not bad; so are the first ten days, a day with gaps that
    shows no rest, a slow reporter, a register at standard conditions, and no known Qmax and Qmin.
    A day with rest is GOOD, and so is one whose low flow is large or varies: work, not a leak.

    Parameters
    ----------
    grid
        Use of m meters; D days.
    judged
        Positions of the days to judge.

    Returns
    -------
    DayFlags
        Shapes (m, j). Value: the lowest flow, m³/h; limit: below what it is small, m³/h. Onset: the
        midnight after the last day with rest. Raises nothing.

    Notes
    -----
    A pilot flame lit when the heating season begins is the same to a register as a leak. Both are worth
    a visit; what a few pilots may burn pages nobody. 0.3 m³/h is a guess at that, and no quoted figure:
    some ten flames, and in a room with 20 m³ of fresh air an hour a third of the lower explosive limit.

    The rule is our own. "Continuous flow 30 h" in head-ends' forms knows no history, and calls every
    hotel a leak.

    """
    meters = grid.meters
    limit = np.fmax(meters.limit(lambda p: p.leak_share_of_qmax) * meters.qmax_m3h, meters.qmin_m3h)
    rest = Rest.of(grid, limit)
    # 1 for a day with rest, 0 for one without, NaN undecided.
    rested = np.where(rest.at_rest > 0, 1.0, np.where(rest.known >= _LEAST_WINDOWS, 0.0, np.nan))
    rested[grid.standard] = np.nan

    def judge(day: int) -> Judged:
        run, ends_in_rest = _run(past(rested, grid.era, day, 0, _LONGEST_RUN - 1))
        lowest, constant, filling = _floor(grid, rest, day)
        used_to, was_at_rest = _history(grid, rest, rested, day, run)
        leak = constant & (lowest < limit)
        leak &= filling >= meters.limit(lambda p: p.leak_filled_share) * was_at_rest * _CONSTANT_DAYS
        long_enough = run >= _least_days(meters)
        undecided = np.isnan(rested[:, day]) | (~long_enough & ~ends_in_rest) | np.isnan(limit)
        undecided |= long_enough & ~used_to
        flag = flags(
            missing=np.zeros(len(run), np.bool_),
            unknown=undecided & (rested[:, day] != 1),
            suspect=long_enough & leak,
            fail=(run >= meters.limit(lambda p: p.leak_fail_days))
            & (lowest >= meters.limit(lambda p: p.leak_fail_m3h)),
        )
        return Judged(flag, lowest, limit, np.clip(day - run + 1, 0, day))

    return judge_days(CODE, judge, grid.calendar, judged, meters.origin_of("leak_share_of_qmax"))


def _means(flow: Floats, era: NDArray[np.int32], hours: int) -> Floats:
    """Average over `hours` hours up to each; exact where all are 0. None reaches over an exchange."""
    total = flow.copy()
    for back in range(1, hours):
        total[:, back:] += flow[:, :-back]
        total[:, :back] = np.nan
    total[:, hours:][era[:, hours:] != era[:, :-hours]] = np.nan
    return np.asarray(total / hours)


def _least_days(meters: MeterTable) -> Floats:
    days = meters.limit(lambda p: p.leak_days)
    return np.broadcast_to(np.clip(days, _CONSTANT_DAYS, _LONGEST_RUN), len(meters))


def _run(rested: Floats) -> tuple[NDArray[np.intp], Mask]:
    """Count the days without rest up to the last one, and tell whether a day with rest is before them."""
    back = rested[:, ::-1]
    stops = back != 0
    run = np.where(stops.any(axis=1), np.argmax(stops, axis=1), back.shape[1])
    stop = np.take_along_axis(back, np.minimum(run, back.shape[1] - 1)[:, None], axis=1)[:, 0]
    return run, stop == 1


def _floor(grid: Grid, rest: Rest, day: int) -> tuple[Floats, Mask, NDArray[np.intp]]:
    """Give the lowest flow of the last days, whether they agree on it, and how many windows show it."""
    lows = past(rest.lowest_m3h, grid.era, day, 0, _CONSTANT_DAYS - 1)
    # A window at the first midnight may reach back into rest.
    lowest = np.fmin.reduce(lows[:, 1:], axis=1)
    slack = grid.meters.register_step_m3 / rest.length_h
    most = lowest * (1 + grid.meters.limit(lambda p: p.leak_constancy)) + slack
    # NaN is not below: a day without a window is no agreement.
    constant = (lows <= most[:, None]).all(axis=1)
    hours = slice(*_hours(grid, max(day - _CONSTANT_DAYS + 1, 0), day))
    filling = (rest.mean_m3h[:, hours] <= most[:, None]).sum(axis=1)
    return lowest, constant, filling


def _hours(grid: Grid, from_day: int, through_day: int) -> tuple[int, int]:
    ends = np.append(grid.calendar.first_hour, grid.calendar.hours)
    return int(ends[from_day]), int(ends[through_day + 1])


def _history(grid: Grid, rest: Rest, rested: Floats, day: int, run: NDArray[np.intp]) -> tuple[Mask, Floats]:
    """Tell whether the meter used to rest in the days before the run, and for how many windows a day."""
    oldest = LOOKBACK_DAYS - 1
    days_ago = np.arange(oldest, -1, -1)
    before = (days_ago >= run[:, None]) & (days_ago < run[:, None] + _HISTORY_DAYS)
    days = np.where(before, past(rested, grid.era, day, 0, oldest), np.nan)
    known = count(days)
    share = np.nansum(days, axis=1) / np.maximum(known, 1)
    used_to = (known >= _LEAST_HISTORY) & (share >= grid.meters.limit(lambda p: p.leak_rested_share))
    windows = past(rest.at_rest, grid.era, day, 0, oldest)
    return used_to, median(np.where(days == 1, windows, np.nan))
