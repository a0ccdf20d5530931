"""Is the mean flow within the rated range? What the register shows between one window and the next."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from analytics.block import US_PER_H, US_PER_S, Block, Check, Flags, Floats, Verdict, tracked
from analytics.flow.over_range import grade
from analytics.register.lateness import Stands
from analytics.register.limits import Limits, Speeds
from analytics.register.reversal import Registers
from analytics.register.series import Series
from analytics.segments import Mask, Positions, Segments
from analytics.tracking import Decisions, Tracker
from fleet.flags import Flag
from fleet.meter_table import each
from fleet.policy import Policy

_CODE = "flow_over_range_sustained"


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

    A register that is shown late moves by what flowed since it moved before: the time of the mean begins that
    much earlier, as far as the register stood and it was proven to be late (`register.lateness`).
    """
    volume = block.once(Registers.of).volume
    anchors = _anchors(block, volume)
    flag, mean = _judge(block, volume, anchors)
    said = np.full(len(volume.value), Flag.UNKNOWN, dtype=np.uint8)
    said[anchors.at] = flag
    verdict = Verdict(flags={_CODE: volume.samples.flags(said[volume.tailed.own])})
    qmax = block.meters.qmax_m3h
    entries = Decisions(
        seg=anchors.seg, time_us=anchors.time_us, flag=flag, value=mean, onset_us=anchors.before_us
    )
    tracker = Tracker(code=_CODE, ends_at_onset=True)
    block.track(verdict, entries, tracker, qmax, limit_name="qmax_m3h", applies=~np.isnan(qmax))
    _revise(block, verdict, volume, said)
    verdict.state |= {
        "anchor_us": anchors.seg.closing(anchors.time_us, block.state["anchor_us"]),
        "anchor": anchors.seg.closing(anchors.volume_m3, block.state["anchor"]),
        "anchor_stood_us": _stood_us(block, volume, anchors),
        "anchor_broken": anchors.broken_since,
    }
    return verdict


def _revise(block: Block, verdict: Verdict, volume: Series, said: Flags) -> None:
    """Say what is decided now of carried samples that were doubted."""
    events, tailed = volume.events, volume.tailed
    doubted = tailed.seg.marks(events.at[events.doubted])[tailed.tails]
    block.revise(verdict, _CODE, "volume_tail", tailed.meters[doubted], said[tailed.tails[doubted]])


def _judge(block: Block, series: Series, anchors: _Anchors) -> tuple[NDArray[np.uint8], Floats]:
    """Give each anchor its flag, and the mean flow of the window that it closes."""
    row = anchors.seg.row
    elapsed_us = np.asarray(anchors.time_us - anchors.before_us, dtype=np.int64)
    rise = anchors.volume_m3 - anchors.before_m3
    _add_roll_overs(block, anchors, rise, elapsed_us)
    qmax, step = block.meters.qmax_m3h[row], block.meters.register_step_m3[row]
    judged = ~np.isnan(rise) & ~np.isnan(qmax) & ~anchors.broken & (rise >= -step)
    judged &= 2 * elapsed_us >= each(block.limit(_window_us), row)
    mean = np.where(judged, (rise - step) * US_PER_H, 0.0) / np.maximum(elapsed_us, 1)
    fast = np.flatnonzero(mean > qmax)
    mean[fast] *= elapsed_us[fast] / (elapsed_us[fast] + _late_us(block, series, anchors, fast))
    flag = np.where(judged, np.uint8(Flag.GOOD), np.uint8(Flag.UNKNOWN))
    # Without a judgement the mean is 0, which is above nothing.
    grade(flag, mean, qmax, each(block.limit(lambda p: p.overload_ratio), row))
    return flag, mean


def _add_roll_overs(block: Block, anchors: _Anchors, rise: Floats, elapsed_us: NDArray[np.int64]) -> None:
    at = np.flatnonzero(rise < 0)
    speeds = Speeds.of(block.meters, block.limit(lambda p: p.implausible_ratio))
    limits = Limits.of(block, anchors.seg.row[at], speeds)
    rolled = limits.rolled(anchors.before_m3[at], anchors.volume_m3[at], elapsed_us[at])
    rise[at] += np.where(rolled, limits.top_m3, 0.0)


def _window_us(policy: Policy) -> int:
    return policy.mean_window_s * US_PER_S


def _anchors(block: Block, series: Series) -> _Anchors:
    state, window_us = block.state, block.limit(_window_us)
    seg, at = _usable(series)
    time_us = series.time_us if at is None else series.time_us[at]
    window = time_us // seg.spread(window_us)
    # Every usable sample since the last anchor lies in that anchor's window.
    opened = np.where(np.isnan(state["anchor"]), np.int64(-(2**62)), state["anchor_us"] // window_us)
    chosen = np.flatnonzero(seg.rises(window, opened) != 0)
    seg = seg.take(chosen)
    at = chosen if at is None else at[chosen]
    time_us, volume_m3 = series.time_us[at], series.value[at]
    broken, broken_since = _breaks(series, seg, at, state["anchor_broken"])
    return _Anchors(
        at,
        seg,
        time_us,
        volume_m3,
        seg.previous(time_us, state["anchor_us"]),
        seg.previous(volume_m3, state["anchor"]),
        broken,
        broken_since,
    )


def _late_us(block: Block, series: Series, anchors: _Anchors, some: Positions) -> NDArray[np.int64]:
    """Tell how long before the windows that some anchors close what their rise shows may have flowed.

    As long as the register stood when the window began, and no longer than it was proven to be shown late.
    """
    seg, tails, at = anchors.seg, series.tailed.tails, anchors.at[some]
    meters, first = seg.meter_of(some), seg.first[some]
    stood_us = series.events.stand.shown_since_us(anchors.at[some - 1])
    stood_us = np.where(first, block.state["anchor_stood_us"][meters], stood_us)
    own = at - np.searchsorted(tails, at, side="right")
    # Of a carried sample everything that was proven up to it is carried, too.
    rows = np.where(np.isin(at, tails), -1, series.samples.row_of(np.maximum(own, 0)))
    proven_us = block.once(Stands.of).lateness.up_to(block, rows, meters)
    late_us: NDArray[np.int64] = np.minimum(anchors.before_us[some] - stood_us, proven_us)
    return late_us


def _stood_us(block: Block, series: Series, anchors: _Anchors) -> NDArray[np.int64]:
    """Give each meter since when its register shows what it does at the last anchor."""
    seg, stood_us = anchors.seg, block.state["anchor_stood_us"].copy()
    stood_us[seg.meters] = series.events.stand.shown_since_us(anchors.at[seg.stops - 1])
    return stood_us


def _usable(series: Series) -> tuple[Segments, Positions | None]:
    """Find samples fit to begin or end a window; None: all of them.

    One that rose faster than gas should is decided by its successor: misread or true. What the run before
    decided is not looked at again.
    """
    events, tailed = series.events, series.tailed
    fit = np.ones(len(tailed.seg), dtype=np.bool_)
    fit[tailed.tails] = False
    fit[events.at[events.doubted]] = True
    # Another meter's first sample is where its history begins.
    unfit = (events.disturbing & ~events.exchange) | events.misread | (events.doubted & events.waits)
    fit[events.at[unfit]] = False
    if fit.all():
        return tailed.seg, None
    at = np.flatnonzero(fit)
    return tailed.seg.take(at), at


def _breaks(series: Series, seg: Segments, at: Positions, carried: Mask) -> tuple[Mask, Mask]:
    """Tell whether the register fell or leapt before each anchor, and, shape (m,), after the last one."""
    events, whole = series.events, series.tailed.seg
    breaks = events.at[_decided(series)]
    count = np.searchsorted(breaks, at, side="right")
    start, stop = np.searchsorted(breaks, whole.starts), np.searchsorted(breaks, whole.stops)
    base = np.zeros(len(carried), dtype=np.intp)
    base[whole.meters] = start - carried[whole.meters]
    broken = count > seg.previous(count, base)
    since = carried.copy()
    since[whole.meters] |= stop > start
    since[seg.meters] = stop[whole.rank_of(seg.meters)] > count[seg.stops - 1]
    return broken, since


def _decided(series: Series) -> Mask:
    """Tell which events break a window that no window of an earlier run was broken by."""
    events, tailed = series.events, series.tailed
    carried = np.isin(events.at, tailed.tails) & ~events.doubted
    return events.disturbing & ~carried


CHECK = Check(
    codes=(_CODE,),
    run=check_sustained,
    # The last anchor of the register mean, since when the register stood there, and whether it leapt or
    # fell since.
    carries=(("anchor_us", "i8"), ("anchor", "f8"), ("anchor_stood_us", "i8"), ("anchor_broken", "?")),
    tracks=tracked(_CODE),
)
