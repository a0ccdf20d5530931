"""Is a temperature believable? Single samples that both neighbours contradict."""

from __future__ import annotations

import numpy as np

from analytics.block import Block, Check, Flags, Floats, Verdict
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
    present = ~np.isnan(block.readings.temperature_c)
    rows = block.samples(present, state["temperature_tail_us"])
    seg = block.seg.take(rows)
    tailed = Tailed.of(seg, ~np.isnan(state["temperature_tail"]))
    value = tailed.join(block.readings.temperature_c[rows], state["temperature_tail"])
    time_us = tailed.join(block.time_us[rows], state["temperature_tail_us"])
    seq = tailed.join(block.readings.seq[rows], state["temperature_tail_seq"])
    before = tailed.seg.previous(value, state["temperature_before"])
    flag, waited = _lone(tailed.seg, value, before, each(far_k, tailed.seg.row))

    flags = block.flags(present, decidable=False)
    flags[rows] = flag[~tailed.is_tail]
    verdict = Verdict(flags={_CODE: flags})
    entries = Decisions(seg=tailed.seg, time_us=time_us, flag=flag, value=value)
    entries = entries.take(~tailed.is_tail | waited)
    tracker = Tracker(code=_CODE)
    block.track(
        verdict, entries, tracker, far_k, limit_name="glitch_temperature_k", name="glitch_temperature"
    )
    block.revise(verdict, _CODE, tailed, waited, (time_us, seq, flag))
    own = tailed.seg.closing
    verdict.state |= {
        "temperature_tail_us": own(time_us, state["temperature_tail_us"]),
        "temperature_tail_seq": own(seq, state["temperature_tail_seq"]),
        "temperature_tail": own(value, state["temperature_tail"]),
        "temperature_before": own(before, state["temperature_before"]),
    }
    return verdict


def _lone(seg: Segments, value: Floats, before: Floats, far_k: Limit) -> tuple[Flags, Mask]:
    """Judge samples by their neighbours; tell also which have, or had, to wait for the next one."""
    after = seg.following(value, np.nan)
    up, down = value - before > far_k, before - value > far_k
    lone = (up & (value - after > far_k)) | (down & (after - value > far_k))
    flag = np.full(len(value), Flag.GOOD, dtype=np.uint8)
    flag[np.isnan(before) | ((up | down) & np.isnan(after))] = Flag.UNKNOWN
    flag[lone] = Flag.SUSPECT
    return flag, up | down


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
    tracks=("glitch_temperature",),
)
