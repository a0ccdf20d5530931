"""Flow that stays below the meter's rated range, where it measures badly."""

from __future__ import annotations

import numpy as np

from analytics.block import US_PER_S, Block, Check, Verdict
from analytics.tracking import Decisions, Tracker
from fleet.flags import Flag
from fleet.meter_table import each


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
    for_us = each(block.limit(lambda p: p.under_range_for_s * US_PER_S), seg.row)
    found = goes_on & (time_us - since_us >= for_us)

    flags[rows[found]] = Flag.SUSPECT
    verdict = Verdict(flags={"flow_under_range": flags})
    entries = Decisions(seg=seg, time_us=time_us, flag=flags[rows], value=flow, onset_us=since_us)
    tracker = Tracker(code="flow_under_range", worse=np.fmin)
    limit = block.meters.qmin_m3h
    block.track(verdict, entries, tracker, limit, limit_name="qmin_m3h", applies=~np.isnan(limit))
    verdict.state |= {
        "under_last_us": seg.closing(time_us, state["under_last_us"]),
        "under": seg.closing(under, state["under"]),
        "under_since_us": seg.closing(since_us, state["under_since_us"]),
    }
    return verdict


CHECK = Check(
    codes=("flow_under_range",),
    run=check_under_range,
    # The last snapshot, whether it was under range, and since when.
    carries=(("under_last_us", "i8"), ("under", "?"), ("under_since_us", "i8")),
    tracks=("flow_under_range",),
)
