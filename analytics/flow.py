"""Is the flow within the meter's rated range? Snapshots and register means are separate findings.

A snapshot is never integrated: on an on/off burner the sum of snapshots was two and a half times
what the register moved. Volume and mean flow come from the register alone.
"""

from __future__ import annotations

import numpy as np

from analytics.block import US_PER_S, Block, Flags, Floats, Verdict
from analytics.segments import Mask
from analytics.tracking import Decisions, Tracker
from fleet.flags import Flag


def check_over_range(block: Block) -> Verdict:
    """Flag a snapshot above Qmax SUSPECT, above `overload_ratio` Qmax FAIL; value: m³/h.

    UNKNOWN where the meter's Qmax is not known.
    """
    flow = block.readings.flow_m3h
    qmax = block.meters.qmax_m3h[block.seg.row]
    flags = block.flags(~np.isnan(flow), decidable=~np.isnan(qmax))
    grade(flags, flow, qmax, block.policy.overload_ratio, ~block.dropout)
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


def grade(flags: Flags, value: Floats, qmax: Floats, overload_ratio: float, where: Mask) -> None:
    """Set SUSPECT above Qmax and FAIL above `overload_ratio` Qmax, in place."""
    # What is left of Qmax after a subtraction of large registers is not above it.
    flags[where & (value > qmax * _ABOVE)] = Flag.SUSPECT
    flags[where & (value > overload_ratio * qmax)] = Flag.FAIL
