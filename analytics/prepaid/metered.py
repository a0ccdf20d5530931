"""What the registers gained since a run of readings began."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from analytics.block import Block, Floats
from analytics.register.limits import Limits, Speeds
from analytics.register.reversal import Registers
from analytics.register.series import Series
from analytics.segments import Mask, Segments, lowest_so_far

#: Registers count in steps, and the difference of two large numbers is a little more than a step.
_MORE_THAN = 1 + 1e-3


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Rise:
    """What was measured since each sample's run began, as arrays of shape (n,)."""

    #: m³ of the working register, or of the standard one where that is not known; NaN where
    #: neither is, and where it is more than can have flowed.
    gained_m3: Floats
    #: Whether a register was known in the run.
    known: Mask
    #: Of each register, what it showed first in the run: fields of the state.
    base: dict[str, Floats]


def more_than(gained_m3: Floats, limit_m3: Floats) -> Mask:
    """Tell where a register gained more than the limit, shapes (n,)."""
    more: Mask = gained_m3 > limit_m3 * _MORE_THAN
    return more


def since_start(
    block: Block,
    rows: NDArray[np.intp],
    starts: Mask,
    since_us: NDArray[np.int64],
    name: str,
) -> Rise:
    """Work out what the registers gained in runs of samples.

    Counted is from the first sample of the run whose register counts to this one; one that fell,
    leapt, or rose so fast that the next sample has to confirm it does not count. A roll-over is
    movement. More than `implausible_ratio` of Qmax can deliver since the run began is nothing known.

    Parameters
    ----------
    block
        The readings.
    rows
        Shape (n,): the samples, as rows of the block.
    starts
        Shape (n,): samples that begin a run; a first one that does not goes on with the run before.
    since_us
        Shape (n,): when the run began.
    name
        Prefix of the state's fields `_volume` and `_std`: what each register showed first.

    """
    registers, seg = block.once(Registers.of), block.seg.take(rows)
    elapsed_us = block.time_us[rows] - since_us
    looks = (
        (f"{name}_volume", registers.volume, block.volume_m3, block.limit(lambda p: p.implausible_ratio)),
        (
            f"{name}_std",
            registers.std_volume,
            block.std_volume_m3,
            block.limit(lambda p: p.implausible_std_ratio),
        ),
    )
    gained, known = np.full(len(rows), np.nan), np.zeros(len(rows), dtype=np.bool_)
    base: dict[str, Floats] = {}
    for field, series, register, times_qmax in looks:
        value = settled(series, register, rows)
        base[field] = first_of_run(seg, value, starts, block.state[field])
        limits = Limits.of(block, seg.row, Speeds.of(block.meters, times_qmax))
        gained = np.where(np.isnan(gained), _gained(base[field], value, elapsed_us, limits), gained)
        known |= ~np.isnan(base[field])
    return Rise(gained_m3=gained, known=known, base=base)


def settled(series: Series, register: Floats, rows: NDArray[np.intp]) -> Floats:
    """Take a register at some rows of the block, NaN where its value may be misread."""
    counts = series.steady[rows] & ~leapt(series)[rows]
    return np.where(counts, register[rows], np.nan)


def leapt(series: Series) -> Mask:
    """Tell at which of the block's readings a register fell, or rose faster than gas should."""
    events = series.events
    doubted = series.samples.row_of(series.tailed.own_of(events.at[events.doubted]))
    if len(doubted) == 0:
        return series.suspicious
    out = series.suspicious.copy()
    out[doubted] = True
    return out


def first_of_run(seg: Segments, values: Floats, starts: Mask, carried: NDArray[Any]) -> Floats:
    """Give each sample the first value of its run up to itself, NaN where there is none yet."""
    at = np.arange(len(values))
    # The first sample with a value at or after each one, and where each one's run begins.
    known = np.where(~np.isnan(values), at, len(values))
    known = np.minimum.accumulate(known[::-1])[::-1]
    begin = np.maximum.accumulate(np.where(starts | seg.first, at, 0))
    first = known[begin]
    seen = first <= at
    out = np.full(len(values), np.nan)
    out[seen] = values[first[seen]]
    old = np.where(starts[begin], np.nan, carried[seg.row])
    return np.where(np.isnan(old), out, old)


def highest_of_run(seg: Segments, values: Floats, starts: Mask, carried: NDArray[Any]) -> Floats:
    """Give each sample the highest value of its run up to itself, NaN where there is none yet."""
    starts_here = starts | seg.first
    lowest = lowest_so_far(np.where(np.isnan(values), np.inf, -values), starts_here)
    goes_on = ~starts[np.maximum.accumulate(np.where(starts_here, np.arange(len(values)), 0))]
    highest = np.where(np.isinf(lowest), np.nan, -lowest)
    return np.fmax(highest, np.where(goes_on, carried[seg.row], np.nan))


def _gained(base: Floats, value: Floats, elapsed_us: NDArray[np.int64], limits: Limits) -> Floats:
    rolled = limits.rolled(base, value, elapsed_us)
    gained = value - base + np.where(rolled, limits.top_m3, 0.0)
    return np.where(gained <= limits.tolerance_m3 + limits.fastest * elapsed_us, gained, np.nan)
