"""Flow that stays below the meter's rated range, where it measures badly."""

from __future__ import annotations

import numpy as np

from analytics.block import US_PER_S, Block, Check, Verdict, tracked
from analytics.runs import Runs
from analytics.samples import flow
from analytics.tracking import Tracker
from fleet.flags import Flag
from fleet.meter_table import each


def check_under_range(block: Block) -> Verdict:
    """Flag snapshots SUSPECT that stay between 0 and Qmin for `under_range_for_s`.

    The run begins at its first snapshot (the onset) and ends at a snapshot of 0, or at or above
    Qmin; a gap longer than the meter's silence limit begins it anew, for nobody knows what
    flowed. So at least two readings make a finding. Value: the smallest snapshot, m³/h.
    """
    samples, qmin = block.once(flow), block.meters.qmin_m3h
    state, seg, time_us = block.state, samples.seg, samples.time_us
    under = samples.value > 0
    under &= samples.value < seg.spread(qmin)
    at = np.flatnonzero(under & seg.previous(under, state["under"]))
    within_us = time_us[at] - seg.previous_of(time_us, at, state["under_last_us"])
    runs = Runs.of(seg, at[within_us <= block.silent_limit_us[seg.meter_of(at)]])
    at, since_us = runs.at, runs.spread(runs.first_of(time_us, state["under_since_us"]))
    for_us = each(block.limit(lambda p: p.under_range_for_s * US_PER_S), seg.meter_of(at))
    found = time_us[at] - since_us >= for_us

    flag = samples.good()
    flag[at[found]] = Flag.SUSPECT
    samples.put_undecided(flag, ~np.isnan(qmin))
    verdict = Verdict(flags={"flow_under_range": samples.flags(flag)})
    onset_us = time_us.copy()
    onset_us[at] = since_us
    entries = samples.decisions(flag, samples.value, onset_us)
    tracker = Tracker(code="flow_under_range", worse=np.fmin)
    block.track(verdict, entries, tracker, qmin, limit_name="qmin_m3h", applies=~np.isnan(qmin))
    verdict.state |= {
        "under_last_us": samples.closing(time_us, state["under_last_us"]),
        "under": samples.closing(under, state["under"]),
        "under_since_us": samples.closing(onset_us, state["under_since_us"]),
    }
    return verdict


CHECK = Check(
    codes=("flow_under_range",),
    run=check_under_range,
    # The last snapshot, whether it was under range, and since when.
    carries=(("under_last_us", "i8"), ("under", "?"), ("under_since_us", "i8")),
    tracks=tracked("flow_under_range"),
)
