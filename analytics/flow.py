"""Is the flow within the meter's rated range? Snapshots and register means are separate findings.

A snapshot is never integrated: on an on/off burner the sum of snapshots was two and a half times
what the register moved. Volume and mean flow come from the register alone.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from analytics.block import US_PER_H, US_PER_S, Block, Flags, Floats, Verdict
from analytics.register_series import Limits, Series
from analytics.segments import Mask, Segments
from analytics.tracking import Decisions, Tracker
from fleet.flags import Flag


def check_over_range(block: Block) -> Verdict:
    """Flag a snapshot above Qmax SUSPECT, above `overload_ratio` Qmax FAIL; value: m³/h.

    UNKNOWN where the meter's Qmax is not known.
    """
    flow = block.readings.flow_m3h
    qmax = block.meters.qmax_m3h[block.seg.row]
    flags = block.flags(~np.isnan(flow), decidable=~np.isnan(qmax))
    _grade(flags, flow, qmax, block.policy.overload_ratio, ~block.dropout)
    verdict = Verdict(flags={"flow_over_range": flags})
    limit = block.meters.qmax_m3h
    tracker = Tracker(code="flow_over_range")
    block.track(verdict, block.decisions(flags, flow), tracker, limit, applies=~np.isnan(limit))
    return verdict


def check_under_range(block: Block) -> Verdict:
    """Flag snapshots SUSPECT that stay between 0 and Qmin for `under_range_for_s`.

    The run begins at its first snapshot (the onset) and ends at a snapshot of 0, or at or above
    Qmin; a gap longer than the meter's silence limit begins it anew, for nobody knows what
    flowed. So at least two readings make a finding. Value: the smallest snapshot, m³/h.
    """
    state, flow = block.state, block.readings.flow_m3h
    qmin = block.meters.qmin_m3h[block.seg.row]
    present = ~np.isnan(flow)
    flags = block.flags(present, decidable=~np.isnan(qmin))
    rows = np.flatnonzero(present & ~block.dropout)
    seg, time_us, flow = block.seg.take(rows), block.time_us[rows], flow[rows]
    under = (flow > 0) & (flow < qmin[rows])
    elapsed_us = time_us - seg.previous(time_us, state["under_last_us"])
    goes_on = under & seg.previous(under, state["under"]) & (elapsed_us <= block.silent_limit_us[seg.row])
    since_us = seg.latest(time_us, ~goes_on, state["under_since_us"])
    found = goes_on & (time_us - since_us >= block.policy.under_range_for_s * US_PER_S)

    flags[rows[found]] = Flag.SUSPECT
    verdict = Verdict(flags={"flow_under_range": flags})
    entries = Decisions(seg=seg, time_us=time_us, flag=flags[rows], value=flow, onset_us=since_us)
    tracker = Tracker(code="flow_under_range", worse=np.fmin)
    limit = block.meters.qmin_m3h
    block.track(verdict, entries, tracker, limit, applies=~np.isnan(limit))
    verdict.state |= {
        "under_last_us": seg.closing(time_us, state["under_last_us"]),
        "under": seg.closing(under, state["under"]),
        "under_since_us": seg.closing(since_us, state["under_since_us"]),
    }
    return verdict


_ABOVE = 1 + 1e-9


@dataclass(frozen=True, slots=True, eq=False)
class _Anchors:
    """The first steady register sample of each clock-aligned window, and the anchor before it."""

    #: Positions in the block.
    rows: NDArray[np.intp]
    seg: Segments
    time_us: NDArray[np.int64]
    volume_m3: Floats
    before_us: NDArray[np.int64]
    before_m3: Floats
    #: Whether the register fell or leapt in between.
    broken: Mask


def check_sustained(block: Block, volume: Series) -> Verdict:
    """Flag the register's mean SUSPECT above Qmax, FAIL above `overload_ratio` Qmax.

    An anchor is the first steady sample of the working register in each window of `mean_window_s`,
    aligned to 1970; so hourly and slower reporters are judged from reading to reading. The mean
    is taken between consecutive anchors, less one register step, for so much the display may
    hide: (rise - step) / time. It is judged where the anchors are at least half a window apart
    and the register neither fell nor leapt between them. The flag sits on the anchor that closes
    the window, the others are UNKNOWN; onset: the anchor that opens the first such window; end:
    the anchor that opens the first good one. Value: the mean, m³/h.
    """
    anchors = _anchors(block, volume)
    meters, row, seg = block.meters, anchors.seg.row, anchors.seg
    elapsed_us = np.asarray(anchors.time_us - anchors.before_us, dtype=np.int64)
    rise = anchors.volume_m3 - anchors.before_m3
    limits = Limits.of(block, row, block.policy.implausible_ratio)
    rise += np.where(limits.rolled(anchors.before_m3, anchors.volume_m3, elapsed_us), limits.top_m3, 0.0)
    qmax, step = meters.qmax_m3h[row], meters.register_step_m3[row]
    judged = ~np.isnan(rise) & ~np.isnan(qmax) & ~anchors.broken & (rise >= -step)
    judged &= 2 * elapsed_us >= block.policy.mean_window_s * US_PER_S
    mean = np.where(judged, (rise - step) * US_PER_H, 0.0) / np.maximum(elapsed_us, 1)

    flag = np.where(judged, np.uint8(Flag.GOOD), np.uint8(Flag.UNKNOWN))
    _grade(flag, mean, qmax, block.policy.overload_ratio, judged)
    flags = block.flags(~np.isnan(block.volume_m3), decidable=False)
    flags[anchors.rows] = flag
    verdict = Verdict(flags={"flow_over_range_sustained": flags})
    entries = Decisions(seg=seg, time_us=anchors.time_us, flag=flag, value=mean, onset_us=anchors.before_us)
    tracker = Tracker(code="flow_over_range_sustained", ends_at_onset=True)
    block.track(verdict, entries, tracker, meters.qmax_m3h, applies=~np.isnan(meters.qmax_m3h))
    verdict.state |= {
        "anchor_us": seg.closing(anchors.time_us, block.state["anchor_us"]),
        "anchor": seg.closing(anchors.volume_m3, block.state["anchor"]),
        "anchor_broken": _still_broken(block, anchors, volume.suspicious),
    }
    return verdict


def _anchors(block: Block, volume: Series) -> _Anchors:
    state, window_us = block.state, block.policy.mean_window_s * US_PER_S
    steady = np.flatnonzero(volume.steady)
    window = block.time_us[steady] // window_us
    # Every steady sample since the last anchor lies in that anchor's window.
    opened = np.where(np.isnan(state["anchor"]), np.int64(-(2**62)), state["anchor_us"] // window_us)
    rows = steady[window != block.seg.take(steady).previous(window, opened)]
    seg = block.seg.take(rows)
    time_us, volume_m3 = block.time_us[rows], block.volume_m3[rows]
    breaks, start = _breaks(block, volume.suspicious)
    return _Anchors(
        rows,
        seg,
        time_us,
        volume_m3,
        seg.previous(time_us, state["anchor_us"]),
        seg.previous(volume_m3, state["anchor"]),
        breaks[rows] > seg.previous(breaks[rows], start),
    )


def _breaks(block: Block, suspicious: Mask) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Count falls and leaps up to each reading, and up to each meter's last anchor before the block."""
    count = np.cumsum(suspicious, dtype=np.int64)
    firsts = np.flatnonzero(block.seg.first)
    start: NDArray[np.int64] = count[firsts] - suspicious[firsts] - block.state["anchor_broken"]
    return count, start


def _still_broken(block: Block, anchors: _Anchors, suspicious: Mask) -> Mask:
    """Tell of which meters the register fell or leapt after the last anchor."""
    count, start = _breaks(block, suspicious)
    at_anchor = anchors.seg.closing(count[anchors.rows], start)
    broken: Mask = count[block.seg.last] > at_anchor
    return broken


def _grade(flags: Flags, value: Floats, qmax: Floats, overload_ratio: float, where: Mask) -> None:
    """Set SUSPECT above Qmax and FAIL above `overload_ratio` Qmax, in place."""
    # What is left of Qmax after a subtraction of large registers is not above it.
    flags[where & (value > qmax * _ABOVE)] = Flag.SUSPECT
    flags[where & (value > overload_ratio * qmax)] = Flag.FAIL
