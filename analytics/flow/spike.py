"""Single snapshots that stand out from both their neighbours."""

from __future__ import annotations

import numpy as np

from analytics.block import Block, Check, Flags, Floats, Verdict, tracked
from analytics.flow.snapshots import FIELDS, Snapshots
from analytics.kernels import graded
from analytics.kernels.borders import Found
from analytics.segments import Mask, Segments, Tailed
from analytics.tracking import Decisions, Tracker
from fleet.flags import Flag

_CODE = "flow_spike"


def check_spike(block: Block) -> Verdict:
    """Flag a snapshot that is far from the mean of the one before and the one after.

    SUSPECT if further than `spike_ratio` Qmax, FAIL if further than `spike_fail_ratio` Qmax. The mean of
    the neighbours is as far from what lies beside a spike, so a spike has to be on the same side of both
    its neighbours, and further than half of the limit from each; on/off burners, whose flow stays
    within the range, have none.

    A snapshot that is near the one before is GOOD at once; any other is UNKNOWN until the next one
    decides (a revision), and so is a meter's first for good, a second one of the same time, and
    every one where Qmax is not known. Value: the distance from the neighbours' mean, m³/h.

    Source: IOOS, "Manual for Real-Time Quality Control", test 6, as `kernels.graded.spike`, but for
    the neighbours of a spike, which that calls spikes too, and for waiting only where it matters.
    """
    state, qmax = block.state, block.meters.qmax_m3h
    snapshots = block.once(Snapshots.of)
    samples = snapshots.samples
    tailed = Tailed.of(samples.seg, ~np.isnan(state["flow_tail"]))
    value = tailed.join(samples.value, state["flow_tail"])
    time_us = tailed.join(samples.time_us, state["flow_tail_us"])
    limit = block.limit(lambda p: p.spike_ratio) * qmax
    fail = block.limit(lambda p: p.spike_fail_ratio) * qmax
    flag, waited, off = _judge(tailed.seg, value, state["flow_before"], limit, fail)

    verdict = Verdict(flags={_CODE: samples.flags(flag[tailed.own])}, state=snapshots.carried(block))
    waiting = waited[tailed.tails]
    block.revise(verdict, _CODE, "flow_tail", tailed.meters[waiting], flag[tailed.tails[waiting]])
    entries = Decisions(seg=tailed.seg, time_us=time_us, flag=tailed.unsaid(flag, waited), value=off)
    applies = ~np.isnan(qmax)
    block.track(verdict, entries, Tracker(code=_CODE), limit, limit_name="spike_ratio", applies=applies)
    verdict.state["flow_before"] = tailed.seg.before_last(value, state["flow_before"])
    return verdict


def _judge(
    seg: Segments, value: Floats, carried: Floats, limit: Floats, fail: Floats
) -> tuple[Flags, Mask, Floats]:
    """Give each snapshot's flag, whether it had, or has, to wait for the next, and its distance."""
    rise = seg.rises(value, carried)
    least, most = limit[seg.meters], fail[seg.meters]
    at = graded.outstanding(rise, seg.borders, least, most)
    this, before, after = value[at], seg.previous_of(value, at, carried), seg.next_of(value, at, np.nan)
    said = graded.spike(at, this, before, after, seg.borders, least, most).flag
    up, down = this - before, this - after
    half = limit[seg.meter_of(at)] / 2
    # Whatever comes next, one near its predecessor is no spike.
    near = np.abs(up) <= half
    beside = ~np.isnan(up) & ~np.isnan(half) & ((np.abs(down) <= half) | (up * down < 0))
    said = np.where(near | beside, np.uint8(Flag.GOOD), said)
    waited, off = np.zeros(len(value), dtype=np.bool_), np.full(len(value), np.nan)
    flag = Found(at, said).dense(len(value))
    off[at] = np.abs(this - (before + after) / 2)
    tails = seg.starts[np.abs(value[seg.starts] - carried[seg.meters]) > limit[seg.meters] / 2]
    waited[tails] = True
    return flag, waited, off


CHECK = Check(
    codes=(_CODE,),
    run=check_spike,
    # The last snapshot, which may still wait for the next one to be judged, and the one before it.
    carries=(*FIELDS, ("flow_before", "f8")),
    tracks=tracked(_CODE),
    looks_ahead=(_CODE,),
)
