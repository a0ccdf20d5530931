"""A meter's days before, and robust numbers of them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from analytics.block import Floats
from analytics.segments import Mask

#: Times the median absolute deviation: the standard deviation of normal noise (1 / Phi^-1(3/4)).
MAD_TO_SIGMA = 1.4826


def past(values: Floats, era: NDArray[np.int32], day: int, newest: int, oldest: int) -> Floats:
    """Give the days from `oldest` to `newest` days before `day`, oldest first, shape (m, n).

    A day before the first one of `values`, shape (m, D), or of an earlier meter is NaN.
    """
    wanted = oldest - newest + 1
    out = np.full((len(values), wanted), np.nan)
    start, stop = max(day - oldest, 0), day - newest + 1
    if stop <= start:
        return out
    same = era[:, start:stop] == era[:, day, None]
    np.copyto(out[:, wanted - (stop - start) :], values[:, start:stop], where=same)
    return out


def median(values: Floats) -> Floats:
    """Take the median over the last axis, NaN left out; NaN of nothing."""
    if values.shape[-1] == 0:
        return np.full(values.shape[:-1], np.nan)
    ordered = np.sort(values, axis=-1)
    known = count(values)
    low, high = np.maximum(known - 1, 0) // 2, known // 2
    high = np.minimum(high, values.shape[-1] - 1)
    middle = [np.take_along_axis(ordered, at[..., None], axis=-1)[..., 0] for at in (low, high)]
    out: Floats = np.where(known > 0, (middle[0] + middle[1]) / 2, np.nan)
    return out


def deviation(values: Floats, centre: Floats) -> Floats:
    """Estimate the spread around `centre` over the last axis: 1.4826 times the median distance."""
    return MAD_TO_SIGMA * median(np.abs(values - centre[..., None]))


def count(values: Floats) -> NDArray[np.intp]:
    """Count what is known along the last axis."""
    return np.asarray((~np.isnan(values)).sum(axis=-1), dtype=np.intp)


def theil_sen(times: Floats, values: Floats) -> Floats:
    """Take the median slope of all pairs along the last axis, shape (..., n) to (...); NaN left out."""
    first, second = np.triu_indices(values.shape[-1], k=1)
    slopes = (values[..., second] - values[..., first]) / (times[second] - times[first])
    return median(slopes)


def first_day_of(mask: Mask, day: int, oldest: int) -> NDArray[np.intp]:
    """Give the first day of a window of `past` on which a mask, shape (m, n), holds; else `day`.

    `oldest` is how many days before `day` the window begins.
    """
    at = np.argmax(mask, axis=1)
    return np.asarray(np.where(mask.any(axis=1), day - oldest + at, day), dtype=np.intp)
