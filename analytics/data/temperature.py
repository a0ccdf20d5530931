"""Is a temperature believable? Single samples that both neighbours contradict."""

from __future__ import annotations

import numpy as np

from analytics.block import Block, Check, Flags, Floats, Tracked, Verdict
from analytics.samples import Samples
from analytics.segments import Mask, Segments, Tailed
from analytics.tracking import Decisions, Tracker
from fleet.flags import Flag
from fleet.meter_table import Limit, each

_CODE = "sensor_glitch"


def check_temperature(block: Block) -> Verdict:
    """Flag a temperature SUSPECT that is far from both its neighbours, to the same side.

    Neighbours are the meter's previous and next frames that report a temperature; far is more
    than `glitch_temperature_k`. A sample that is near the previous one is GOOD at once; one that
    is far from it is UNKNOWN until the next arrives, which then decides it (a revision). The
    first sample of a history stays UNKNOWN, and so does a second one of the same time.
    """
    state, far_k = block.state, block.limit(lambda p: p.glitch_temperature_k)
    samples = Samples.of(block, block.readings.temperature_c).later(state["temperature_tail_us"])
    tailed = Tailed.of(samples.seg, ~np.isnan(state["temperature_tail"]))
    value = tailed.join(samples.value, state["temperature_tail"])
    time_us = tailed.join(samples.time_us, state["temperature_tail_us"])
    flag, waited = _lone(tailed.seg, value, state["temperature_before"], far_k)

    flags = samples.flags(flag[tailed.own])
    verdict = Verdict(flags={_CODE: flags})
    waiting = waited[tailed.tails]
    tails = tailed.tails[waiting]
    block.revise(verdict, _CODE, "temperature_tail", tailed.meters[waiting], flag[tails])
    entries = Decisions(seg=tailed.seg, time_us=time_us, flag=tailed.unsaid(flag, waited), value=value)
    tracker = Tracker(code=_CODE)
    block.track(
        verdict, entries, tracker, far_k, limit_name="glitch_temperature_k", name="glitch_temperature"
    )
    verdict.state |= {
        "temperature_tail_us": samples.closing(samples.time_us, state["temperature_tail_us"]),
        "temperature_tail_seq": samples.closing_of(block.readings.seq, state["temperature_tail_seq"]),
        "temperature_tail": samples.closing(samples.value, state["temperature_tail"]),
        "temperature_before": tailed.seg.before_last(value, state["temperature_before"]),
    }
    return verdict


def _lone(seg: Segments, value: Floats, carried: Floats, far_k: Limit) -> tuple[Flags, Mask]:
    """Judge samples by their neighbours; tell also which have, or had, to wait for the next one."""
    rise = seg.rises(value, carried)
    jumps = np.flatnonzero(~(np.abs(rise) <= seg.spread(far_k)))
    flag = np.full(len(value), Flag.GOOD, dtype=np.uint8)
    waited = np.zeros(len(value), dtype=np.bool_)
    rise, fall = rise[jumps], value[jumps] - seg.next_of(value, jumps, np.nan)
    far = each(far_k, seg.meter_of(jumps))
    up, down = rise > far, -rise > far
    undecided = np.isnan(rise) | np.isnan(fall)
    flag[jumps[undecided]] = Flag.UNKNOWN
    flag[jumps[(up & (fall > far)) | (down & (-fall > far))]] = Flag.SUSPECT
    waited[jumps] = up | down
    return flag, waited


CHECK = Check(
    codes=(_CODE,),
    run=check_temperature,
    # The last sample, which may still wait for the next one to be judged, and the one before it.
    carries=(
        ("temperature_tail_us", "i8"),
        ("temperature_tail_seq", "i8"),
        ("temperature_tail", "f8"),
        ("temperature_before", "f8"),
    ),
    tracks=(Tracked("glitch_temperature", _CODE),),
    looks_ahead=(_CODE,),
)
