"""Does a value stand still for a time? Exact sliding ranges, worked out only where neighbours are near."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from analytics.kernels.borders import Borders, Floats, Found, Limit, Mask, Positions, members
from fleet.flags import Flag

Times = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Runs:
    """Stretches of two samples and more in which each is near the one before; shape (r,).

    `analytics.runs.Runs` is another thing: those may have begun in an earlier block, whose samples are
    gone, while a kernel's history brings a run's first sample along.
    """

    begin: Positions
    #: After the last sample.
    stop: Positions
    #: Shape (n,): whether a sample is near the one before; of all runs, also of those not taken.
    near: Mask

    @classmethod
    def of(cls, near: Mask) -> Self:
        """Find the runs; `near`, shape (n,), says of each sample whether it is near the one before.

        It has to be False at each segment's first sample.
        """
        if not len(near):
            return cls(np.empty(0, np.intp), np.empty(0, np.intp), near)
        edge = np.empty(len(near) + 1, dtype=np.bool_)
        edge[0], edge[-1] = near[0], near[-1]
        np.not_equal(near[1:], near[:-1], out=edge[1:-1])
        edges = np.flatnonzero(edge)
        return cls(edges[::2] - 1, edges[1::2], near)

    def take(self, which: Mask | Positions) -> Self:
        """Select runs."""
        return type(self)(self.begin[which], self.stop[which], self.near)

    @property
    def members(self) -> Positions:
        """Positions of all samples of all runs, one run after the other."""
        return members(self.begin, self.stop)


def near_before(
    size: Floats, tolerance: float = 0.0, elapsed_us: Floats | None = None, gap_us: Limit = np.inf
) -> Mask:
    """Say of each sample whether it differs by no more than `tolerance` from the one before.

    `size` is the amount of the rise, NaN where there is none before. A time longer than `gap_us`,
    shape (n,) or a number, parts them, for nobody knows what was in between.
    """
    near: Mask = size <= tolerance
    if elapsed_us is not None:
        near &= elapsed_us <= gap_us
    return near


def flat_line(
    time_us: Times,
    value: Floats,
    runs: Runs,
    borders: Borders,
    window_us: Limit,
    fail_us: Limit = np.inf,
    tolerance: float = 0.0,
) -> Found:
    """Flag samples over whose last `window_us` the values stay within `tolerance` SUSPECT, `fail_us` FAIL.

    The range (maximum - minimum) is that of all samples from the latest one at least the window
    back up to this one: a value has to be held for the whole window, however densely it was
    sampled, and a meter that is not known for that long is GOOD. A range equal to the tolerance
    is within it, so 0 asks for equal values. Missing samples are passed over. A first sample, or a single
    one, is GOOD.

    As `ioos_qc.qartod.flat_line_test` on even samples; where they are not even, that one turns
    the window into a number of samples by the median interval, so that a dense stretch is flagged
    before the time is over and a sparse one late. It wants a range below the tolerance, so that 0 finds
    nothing, and begins anew at a missing sample.

    Source: IOOS, "Manual for Real-Time Quality Control", test 8, by time instead of by count.

    Parameters
    ----------
    time_us, value
        Shape (n,), times rising within a meter, no NaN.
    runs
        `Runs.of(near_before(...))` of the same tolerance: a flat line lies within one.
    borders
        Of k meters.
    window_us, fail_us
        Above 0, of shape (k,) or a number; NaN is an unknown one, and leaves its meter UNKNOWN.
    tolerance
        In the unit of the values.

    """
    flag = flat_flags(time_us, value, runs, borders, window_us, fail_us, tolerance)
    at = np.flatnonzero(flag != Flag.GOOD)
    return Found(at, flag[at])


def flat_flags(
    time_us: Times, value: Floats, runs: Runs, borders: Borders, window_us: Limit, fail_us: Limit,
    tolerance: float,
) -> NDArray[np.uint8]:  # fmt: skip
    """Give the flags of `flat_line` for all n samples."""
    flag = np.full(borders.n, Flag.GOOD, dtype=np.uint8)
    for limit, grade in ((window_us, Flag.SUSPECT), (fail_us, Flag.FAIL)):
        if not np.isposinf(limit).all():
            held = _held_everywhere(time_us, value, runs, borders, limit, tolerance)
            if held is not None:
                # GOOD and one of both others: max() of the numbers, in passes over bytes.
                np.maximum(flag, held.view(np.uint8) * np.uint8(grade), out=flag)
    unknown = np.isnan(np.minimum(window_us, fail_us))
    if unknown.any():
        flag[_all_of(borders, unknown)] = Flag.UNKNOWN
    return flag


def _held_everywhere(
    time_us: Times, value: Floats, runs: Runs, borders: Borders, limit_us: Limit, tolerance: float
) -> Mask | None:
    """Say of each sample whether its window is flat; None: no sample's is."""
    window_us = np.broadcast_to(borders.pick(runs.begin, limit_us)[0], len(runs.begin))
    long = time_us[runs.stop - 1] - time_us[runs.begin] >= window_us
    if not long.any():
        return None
    runs, window_us = runs.take(long), window_us[long]
    # From when on each run's samples have a whole window behind them; never outside of runs.
    due_us = np.full(2 * len(runs.begin) + 1, np.iinfo(np.int64).max)
    due_us[1::2] = time_us[runs.begin] + np.ceil(window_us).astype(np.int64)
    edges = np.empty(len(due_us) + 1, dtype=np.intp)
    edges[0], edges[1:-1:2], edges[2:-1:2], edges[-1] = 0, runs.begin, runs.stop, borders.n
    held: Mask = time_us >= due_us.repeat(edges[1:] - edges[:-1])
    if tolerance > 0:
        _hold_within(held, time_us, value, runs, window_us, tolerance)
    return held


def _hold_within(
    held: Mask, time_us: Times, value: Floats, runs: Runs, window_us: Floats, tolerance: float
) -> None:
    """Look closely at runs that are not the same value from end to end, in place."""
    moved = np.flatnonzero(runs.near[1:] & (value[1:] != value[:-1])) + 1
    number = runs.begin.searchsorted(moved, side="right") - 1
    inside = (number >= 0) & (moved < runs.stop[number])
    moving = np.zeros(len(runs.begin), dtype=np.bool_)
    moving[number[inside]] = True
    if not moving.any():
        return
    some = runs.take(moving)
    at, length = some.members, some.stop - some.begin
    held[at] = _held(time_us[at], value[at], length, window_us[moving].repeat(length), tolerance)


def _all_of(borders: Borders, which: Mask | np.bool_) -> Mask:
    """Tell which samples are those of some segments."""
    return np.broadcast_to(which, len(borders)).repeat(borders.counts)


def _held(time_us: Times, value: Floats, length: Positions, window_us: Limit, tolerance: float) -> Mask:
    """Say of each member of runs of some lengths, one after the other, whether its window is flat."""
    first = np.cumsum(length) - length
    since_us = time_us - np.repeat(time_us[first], length)
    held: Mask = since_us >= window_us
    # Most runs are flat from end to end: then so is each of their windows.
    extent = np.maximum.reduceat(value, first) - np.minimum.reduceat(value, first)
    at = np.flatnonzero(held & np.repeat(extent > tolerance, length))
    if not len(at):
        return held
    # Times that go on from run to run, so that one search serves all of them.
    ends_us = np.cumsum(since_us[first + length - 1])
    clock_us = since_us + np.repeat(ends_us - since_us[first + length - 1], length)
    # The window as a whole number, for floats are too coarse for times since 1970.
    whole_us = np.ceil(np.broadcast_to(window_us, len(held))[at]).astype(np.int64)
    back = np.searchsorted(clock_us, clock_us[at] - whole_us, side="right") - 1
    held[at] = _ranges(value, back, at) <= tolerance
    return held


def _ranges(value: Floats, begin: Positions, end: Positions) -> Floats:
    """Work out maximum - minimum of value[begin..end], both included, by a sparse table.

    The table is gone through level by level: at level h it has the extremes of 2^h values from each on,
    and two of these cover a window of 2^h to 2^(h+1) - 1.
    """
    level = np.frexp((end - begin + 1).astype(np.float64))[1] - 1
    out = np.empty(len(begin))
    lowest = highest = value
    for h in range(int(level.max(initial=0)) + 1):
        here = np.flatnonzero(level == h)
        left, right = begin[here], end[here] - 2**h + 1
        out[here] = np.maximum(highest[left], highest[right]) - np.minimum(lowest[left], lowest[right])
        half = 2**h
        lowest = np.minimum(lowest[:-half], lowest[half:])
        highest = np.maximum(highest[:-half], highest[half:])
    return out
