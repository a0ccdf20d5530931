"""Flow that stays below the meter's rated range, where it measures badly."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from analytics.block import US_PER_S, Block, Check, Flags, Verdict, tracked
from analytics.runs import Runs
from analytics.samples import Samples, flow
from analytics.tracking import Tracker
from fleet.flags import Flag
from fleet.meter_table import each
from fleet.readings import ABSENT


def check_under_range(block: Block) -> Verdict:
    """Flag snapshots SUSPECT that stay between 0 and Qmin for `under_range_for_s`.

    The run begins at its first snapshot (the onset) and ends at a snapshot of 0, or at or above
    Qmin; a gap longer than the meter's silence limit begins it anew, for nobody knows what
    flowed. So at least two readings make a finding. Value: the smallest snapshot, m³/h.

    A pilot flame that burns each night is one condition, and one visit: a finding ends with the first
    good snapshot that is later than the last flagged one by more than `under_range_over_after_s`.
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
    found_us = _last_found_us(samples, flag, state["under_found_us"])
    entries = samples.decisions(_going_on(block, samples, flag, found_us), samples.value, onset_us)
    tracker = Tracker(code="flow_under_range", worse=np.fmin)
    block.track(verdict, entries, tracker, qmin, limit_name="qmin_m3h", applies=~np.isnan(qmin))
    verdict.state |= {
        "under_last_us": samples.closing(time_us, state["under_last_us"]),
        "under": samples.closing(under, state["under"]),
        "under_since_us": samples.closing(onset_us, state["under_since_us"]),
        "under_found_us": samples.closing(found_us, state["under_found_us"]),
    }
    return verdict


def _last_found_us(samples: Samples, flag: Flags, carried_us: NDArray[np.int64]) -> NDArray[np.int64]:
    """Give each snapshot the time of the last flagged one up to itself, ABSENT where there is none."""
    found = flag == Flag.SUSPECT
    if not found.any() and not (carried_us != ABSENT).any():
        return np.full(len(flag), ABSENT, dtype=np.int64)
    return samples.seg.latest(samples.time_us, found, carried_us)


def _going_on(block: Block, samples: Samples, flag: Flags, found_us: NDArray[np.int64]) -> Flags:
    """Take good snapshots soon after a flagged one for no end of the finding."""
    over_us = each(block.limit(lambda p: p.under_range_over_after_s * US_PER_S), samples.seg.row)
    soon = (flag == Flag.GOOD) & (found_us != ABSENT) & (samples.time_us - found_us <= over_us)
    return np.where(soon, np.uint8(Flag.UNKNOWN), flag) if soon.any() else flag


CHECK = Check(
    codes=("flow_under_range",),
    run=check_under_range,
    # The last snapshot, whether it was under range, and since when; the last one that was flagged.
    carries=(("under_last_us", "i8"), ("under", "?"), ("under_since_us", "i8"), ("under_found_us", "i8")),
    tracks=tracked("flow_under_range"),
)
