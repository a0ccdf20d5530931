"""Checks that hold one number of each sample against two limits: range, rate of change, spike, time gap.

Common to all: a limit of infinity is none, NaN is an unknown one, and leaves every sample of its
meter UNKNOWN. What equals a limit is GOOD. QARTOD's word for the first limit is SUSPECT, for the second
FAIL (IOOS, "Manual for Real-Time Quality Control", tests 2 to 7); each test has both here.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from analytics.kernels.borders import Borders, Floats, Found, Limit, Mask, Positions
from fleet.flags import Flag

_US_PER_S = 1e6
#: The cheap look may be wrong by rounding, and only towards looking twice.
_NEARLY = 1 - 1e-6
#: Longer than any time, and a float's and an integer's number alike.
_NEVER_US = 2.0**62


def gross_range(
    value: Floats,
    borders: Borders,
    low: Limit = -np.inf,
    high: Limit = np.inf,
    fail_low: Limit = -np.inf,
    fail_high: Limit = np.inf,
) -> Found:
    """Flag values below `low` or above `high` SUSPECT, beyond `fail_low` or `fail_high` FAIL.

    NaN is MISSING, an infinite value out of range. Neither order nor time matters, so repeated times are
    judged like any others. As `ioos_qc.qartod.gross_range_test`.

    Parameters
    ----------
    value
        Shape (n,).
    borders
        Of k meters.
    low, high, fail_low, fail_high
        Shape (k,) or a number, in the unit of the values.

    """
    least, most = np.maximum(low, fail_low), np.minimum(high, fail_high)
    inside = value <= borders.spread(most)
    if np.ndim(least) or not np.isneginf(least):
        inside &= value >= borders.spread(least)
    at = _others(inside)
    some = value[at]
    low, high, fail_low, fail_high = borders.pick(at, low, high, fail_low, fail_high)
    flag = np.full(len(at), Flag.GOOD, dtype=np.uint8)
    flag[(some < low) | (some > high)] = Flag.SUSPECT
    flag[(some < fail_low) | (some > fail_high)] = Flag.FAIL
    # Unlike a sum, a maximum is NaN only where one of them is.
    flag[np.isnan(np.maximum(np.maximum(low, high), np.maximum(fail_low, fail_high)))] = Flag.UNKNOWN
    flag[np.isnan(some)] = Flag.MISSING
    return Found(at, flag)


def rate_of_change(
    size: Floats,
    elapsed_us: NDArray[Any],
    borders: Borders,
    limit_per_s: Limit,
    fail_per_s: Limit = np.inf,
) -> Found:
    """Flag samples whose rate since the sample before, either way, is above a limit.

    UNKNOWN where there is no sample before, or none of an earlier time. As
    `ioos_qc.qartod.rate_of_change_test`, but that one cuts times to whole seconds (and divides by none within
    one second), calls a first sample GOOD, and after a missing one decides nothing and says GOOD;
    here the sample before the missing one is the one before.

    Parameters
    ----------
    size
        Shape (n,): amount of the change since the sample before, NaN where there is none.
    elapsed_us
        Shape (n,): the time since then.
    borders
        Of k meters.
    limit_per_s, fail_per_s
        Shape (k,) or a number, in the unit of the values per second.

    """
    bound = elapsed_us * borders.spread(np.minimum(limit_per_s, fail_per_s) * (_NEARLY / _US_PER_S))
    at = _others(size < bound)
    elapsed_s = elapsed_us[at] / _US_PER_S
    comes_later = elapsed_s > 0
    rate = np.full(len(at), np.nan)
    np.divide(size[at], elapsed_s, out=rate, where=comes_later)
    return Found(at, _grade(rate, borders, at, limit_per_s, fail_per_s))


def outstanding(rise: Floats, borders: Borders, limit: Limit, fail: Limit = np.inf) -> Positions:
    """Find the samples that may be spikes: all but those that are surely near their neighbours' average.

    A sample's distance from that average is half of the difference between its own rise and the
    next one's. `rise`, shape (n,), is that since the sample before, NaN where there is none: such a sample is
    found too, and so is each segment's last; limits as in `spike`.
    """
    off = np.empty(len(rise))
    np.subtract(rise[1:], rise[:-1], out=off[:-1])
    np.abs(off, out=off)
    off[borders.stops - 1] = np.nan
    return _others(off < borders.spread(np.minimum(limit, fail) * (2 * _NEARLY)))


def spike(
    at: Positions,
    value: Floats,
    before: Floats,
    after: Floats,
    borders: Borders,
    limit: Limit,
    fail: Limit = np.inf,
) -> Found:
    """Flag samples that are further than a limit from the average of the samples before and after.

    UNKNOWN without either neighbour: at a meter's first sample, and at its last one until the next
    comes. As `ioos_qc.qartod.spike_test(method="average")`, but that one is UNKNOWN beside a missing
    sample; here the neighbours are the nearest samples that are not missing, and of an
    earlier and a later time.

    Parameters
    ----------
    at
        Shape (c,): those to look at, see `outstanding`; every other sample is GOOD.
    value, before, after
        Shape (c,): they and their neighbours, NaN where there is none.
    borders
        Of k meters.
    limit, fail
        Shape (k,) or a number, in the unit of the values.

    """
    off = np.abs(value - (before + after) * 0.5)
    return Found(at, _grade(off, borders, at, limit, fail))


def time_gap(
    elapsed_us: NDArray[np.int64], borders: Borders, limit_us: Limit, fail_us: Limit = np.inf
) -> Found:
    """Flag readings that come longer than a limit after the reading before, whatever either carries.

    A second reading of the same time is GOOD; who has none before has to be called UNKNOWN by the caller. As
    `ioos_qc.qartod.time_gap_test` (since 3.0), but that one knows FAIL alone, cuts its limit to whole
    seconds and gives the first reading the flag of the second.

    Parameters
    ----------
    elapsed_us
        Shape (n,), since the reading before.
    borders
        Of k meters.
    limit_us, fail_us
        Shape (k,) or a number.

    """
    # One whole number for all meters, for most readings are within it; an unknown limit is below all.
    least_us = np.min(np.nan_to_num(np.minimum(limit_us, fail_us), nan=-np.inf), initial=_NEVER_US)
    at = _others(elapsed_us <= np.int64(max(least_us, -_NEVER_US)))
    return Found(at, _grade(elapsed_us[at], borders, at, limit_us, fail_us)).bad()


def _others(good: Mask) -> Positions:
    """Give what is left to look at; overwrites its argument."""
    return np.flatnonzero(np.logical_not(good, out=good))


def _grade(
    size: NDArray[Any], borders: Borders, at: Positions, limit: Limit, fail: Limit
) -> NDArray[np.uint8]:
    """Compare candidates with both limits; a NaN among the three is UNKNOWN."""
    limit, fail = borders.pick(at, limit, fail)
    flag = np.full(len(at), Flag.GOOD, dtype=np.uint8)
    flag[size > limit] = Flag.SUSPECT
    flag[size > fail] = Flag.FAIL
    flag[np.isnan(size) | np.isnan(limit) | np.isnan(fail)] = Flag.UNKNOWN
    return flag
