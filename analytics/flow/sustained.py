"""Is the mean flow within the rated range? What the register shows between one window and the next."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from analytics.block import US_PER_H, US_PER_S, Block, Check, Floats, Verdict
from analytics.flow.over_range import grade
from analytics.register.reversal import Registers
from analytics.register.series import Limits, Series
from analytics.segments import Mask, Segments
from analytics.tracking import Decisions, Tracker
from fleet.flags import Flag
from fleet.meter_table import each
from fleet.policy import Policy

_CODE = "flow_over_range_sustained"


@dataclass(frozen=True, slots=True, eq=False)
class _Samples:
    """The register's samples that are decided by now, as arrays of shape (n,).

    One that rose faster than gas should is decided by its successor: misread or true.
    """

    #: Positions among the series' samples.
    at: NDArray[np.intp]
    seg: Segments
    #: Fell or leapt: nobody knows what flowed.
    breaks: Mask
    #: Fit to begin or end a window.
    usable: Mask

    @classmethod
    def of(cls, series: Series) -> _Samples:
        """Choose those of a series, and of the sample carried in front of it."""
        seg, is_tail = series.tailed.seg, series.tailed.is_tail
        waits = series.doubted & seg.last
        at = np.flatnonzero((~is_tail & ~waits) | (is_tail & series.doubted))
        breaks = series.disturbing[at]
        return cls(at, seg.take(at), breaks, ~breaks & ~series.misread[at])


@dataclass(frozen=True, slots=True, eq=False)
class _Anchors:
    """The first usable sample of each clock-aligned window, and the anchor before it."""

    #: Positions among the series' samples.
    at: NDArray[np.intp]
    seg: Segments
    time_us: NDArray[np.int64]
    volume_m3: Floats
    before_us: NDArray[np.int64]
    before_m3: Floats
    #: Whether the register fell or leapt in between.
    broken: Mask
    #: Shape (m,): whether it did after the last anchor.
    broken_since: Mask


def check_sustained(block: Block) -> Verdict:
    """Flag the register's mean SUSPECT above Qmax, FAIL above `overload_ratio` Qmax.

    An anchor is the first steady sample of the working register in each window of `mean_window_s`,
    aligned to 1970; so hourly and slower reporters are judged from reading to reading. A sample
    that rose faster than `overload_ratio` Qmax waits for the next one, for it may be misread. The
    mean is taken between consecutive anchors, less one register step, for so much the display may
    hide: (rise - step) / time. It is judged where the anchors are at least half a window apart
    and the register neither fell nor leapt between them. The flag sits on the anchor that closes
    the window, the others are UNKNOWN; onset: the anchor that opens the first such window; end:
    the anchor that opens the first good one. Value: the mean, m³/h.
    """
    volume = block.once(Registers.of).volume
    anchors = _anchors(block, volume)
    flag, mean = _judge(block, anchors)
    own = ~volume.tailed.is_tail
    flags = block.flags(~np.isnan(block.volume_m3), decidable=False)
    new = own[anchors.at]
    position = np.cumsum(own) - 1
    flags[volume.rows[position[anchors.at[new]]]] = flag[new]
    verdict = Verdict(flags={_CODE: flags})
    qmax = block.meters.qmax_m3h
    entries = Decisions(
        seg=anchors.seg, time_us=anchors.time_us, flag=flag, value=mean, onset_us=anchors.before_us
    )
    tracker = Tracker(code=_CODE, ends_at_onset=True)
    block.track(verdict, entries, tracker, qmax, limit_name="qmax_m3h", applies=~np.isnan(qmax))
    late = np.full(len(own), Flag.UNKNOWN, dtype=np.uint8)
    late[anchors.at] = flag
    decided = volume.tailed.is_tail & volume.doubted
    block.revise(verdict, _CODE, volume.tailed, decided, (volume.time_us, volume.seq, late))
    verdict.state |= {
        "anchor_us": anchors.seg.closing(anchors.time_us, block.state["anchor_us"]),
        "anchor": anchors.seg.closing(anchors.volume_m3, block.state["anchor"]),
        "anchor_broken": anchors.broken_since,
    }
    return verdict


def _judge(block: Block, anchors: _Anchors) -> tuple[NDArray[np.uint8], Floats]:
    """Give each anchor its flag, and the mean flow of the window that it closes."""
    row = anchors.seg.row
    elapsed_us = np.asarray(anchors.time_us - anchors.before_us, dtype=np.int64)
    rise = anchors.volume_m3 - anchors.before_m3
    limits = Limits.of(block, row, block.limit(lambda p: p.implausible_ratio))
    rise += np.where(limits.rolled(anchors.before_m3, anchors.volume_m3, elapsed_us), limits.top_m3, 0.0)
    qmax, step = block.meters.qmax_m3h[row], block.meters.register_step_m3[row]
    judged = ~np.isnan(rise) & ~np.isnan(qmax) & ~anchors.broken & (rise >= -step)
    judged &= 2 * elapsed_us >= each(block.limit(_window_us), row)
    mean = np.where(judged, (rise - step) * US_PER_H, 0.0) / np.maximum(elapsed_us, 1)
    flag = np.where(judged, np.uint8(Flag.GOOD), np.uint8(Flag.UNKNOWN))
    grade(flag, mean, qmax, each(block.limit(lambda p: p.overload_ratio), row), judged)
    return flag, mean


def _window_us(policy: Policy) -> int:
    return policy.mean_window_s * US_PER_S


def _anchors(block: Block, series: Series) -> _Anchors:
    state, window_us = block.state, block.limit(_window_us)
    samples = _Samples.of(series)
    usable = np.flatnonzero(samples.usable)
    window = series.time_us[samples.at[usable]] // each(window_us, samples.seg.row[usable])
    # Every usable sample since the last anchor lies in that anchor's window.
    opened = np.where(np.isnan(state["anchor"]), np.int64(-(2**62)), state["anchor_us"] // window_us)
    chosen = usable[window != samples.seg.take(usable).previous(window, opened)]
    seg, at = samples.seg.take(chosen), samples.at[chosen]
    count, start = _breaks(samples, state["anchor_broken"])
    last = samples.seg.last
    since = seg.closing(count[chosen], start)
    broken_since = state["anchor_broken"].copy()
    broken_since[samples.seg.row[last]] = count[last] > since[samples.seg.row[last]]
    return _Anchors(
        at,
        seg,
        series.time_us[at],
        series.value[at],
        seg.previous(series.time_us[at], state["anchor_us"]),
        seg.previous(series.value[at], state["anchor"]),
        count[chosen] > seg.previous(count[chosen], start),
        broken_since,
    )


def _breaks(samples: _Samples, carried: Mask) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Count falls and leaps up to each sample, and up to each meter's last anchor before the block."""
    count = np.cumsum(samples.breaks, dtype=np.int64)
    start = np.zeros(len(carried), dtype=np.int64)
    firsts = np.flatnonzero(samples.seg.first)
    row = samples.seg.row[firsts]
    start[row] = count[firsts] - samples.breaks[firsts] - carried[row]
    return count, start


CHECK = Check(
    codes=(_CODE,),
    run=check_sustained,
    # The last anchor of the register mean; whether the register leapt or fell since.
    carries=(("anchor_us", "i8"), ("anchor", "f8"), ("anchor_broken", "?")),
    tracks=(_CODE,),
)
