"""Is the frame itself believable? Dropout frames and single-sample temperature glitches.

These go first: every other check leaves out dropout frames, and nothing else is raised by a
temperature.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from analytics.block import Block, Flags, Floats, Revisions, Verdict
from analytics.segments import Mask, Segments, Tailed
from analytics.tracking import Decisions, Tracker
from fleet.checks import BY_CODE
from fleet.flags import Flag
from fleet.readings import ReadingBatch

_GLITCH = BY_CODE["sensor_glitch"].number


def dropout(readings: ReadingBatch) -> Mask:
    """Find frames that a transport fault blanked.

    Register and absolute pressure are reported as 0, which a pressure physically cannot be;
    the temperature is 0 or not reported. The register is the working one, the standard one only
    where there is no other: beside a blanked working register a real corrector kept its standard one.
    """
    volume_m3 = readings.volume_m3
    register_m3 = np.where(np.isnan(volume_m3), readings.std_volume_m3, volume_m3)
    blank: Mask = (register_m3 == 0) & (readings.pressure_kpa == 0)
    return blank & _zero_or_absent(readings.temperature_c)


def _zero_or_absent(values: Floats) -> Mask:
    nothing: Mask = (values == 0) | np.isnan(values)
    return nothing


def blanked_in_use(readings: ReadingBatch, seg: Segments, state: NDArray[np.void], blank: Mask) -> Mask:
    """Add to `blank` frames of meters without a pressure, which only history tells.

    Registers, temperature, flow and battery are all 0 or not reported, a register and one of the
    others are, and a register was above 0 before. At a new meter, or one without the sensors, the
    same frame is good.
    """
    zeros = ~blank & np.isnan(readings.pressure_kpa)
    others = (readings.temperature_c, readings.flow_m3h, readings.std_flow_m3h, readings.battery_v)
    for values in (readings.volume_m3, readings.std_volume_m3, *others):
        zeros &= _zero_or_absent(values)
    zeros &= ~(np.isnan(readings.volume_m3) & np.isnan(readings.std_volume_m3))
    zeros &= np.logical_or.reduce([values == 0 for values in others])
    if not zeros.any():
        return blank
    shown = _register_shows(readings)
    whole: Mask = blank | (zeros & seg.latest(shown, shown, state["in_use"]))
    return whole


def _register_shows(readings: ReadingBatch) -> Mask:
    shown: Mask = (readings.volume_m3 > 0) | (readings.std_volume_m3 > 0)
    return shown


def registers(readings: ReadingBatch, blank: Mask, step_m3: Floats) -> tuple[Floats, Floats]:
    """Give the registers that count, NaN elsewhere.

    A working register of 0 beside a standard register above one step (of shape (n,)) is not
    filled in by that meter: the standard one is computed from it.
    """
    std = np.where(blank, np.nan, readings.std_volume_m3)
    unfilled = (readings.volume_m3 == 0) & (std > step_m3)
    return np.where(blank | unfilled, np.nan, readings.volume_m3), std


def check_dropout(block: Block) -> Verdict:
    """Flag dropout frames FAIL, every other frame GOOD; value: the register as reported, m³."""
    flag = np.where(block.dropout, np.uint8(Flag.FAIL), np.uint8(Flag.GOOD))
    verdict = Verdict(flags={"dropout_frame": flag})
    value = block.readings.volume_m3
    block.track(verdict, block.decisions(flag, value), Tracker(code="dropout_frame"), np.nan)
    shown = _register_shows(block.readings)
    in_use = block.seg.latest(shown, shown, block.state["in_use"])
    verdict.state["in_use"] = block.seg.closing(in_use, block.state["in_use"])
    return verdict


def check_temperature(block: Block) -> Verdict:
    """Flag a temperature SUSPECT that is far from both its neighbours, to the same side.

    Neighbours are the meter's previous and next frames that report a temperature; far is more
    than `glitch_temperature_k`. A sample that is near the previous one is GOOD at once; one that
    is far from it is UNKNOWN until the next arrives, which then decides it (a revision). The
    first sample of a history stays UNKNOWN, and so does a second one of the same time.
    """
    state, far_k = block.state, block.policy.glitch_temperature_k
    present = ~np.isnan(block.readings.temperature_c)
    rows = block.samples(present, state["temperature_tail_us"])
    seg = block.seg.take(rows)
    tailed = Tailed.of(seg, ~np.isnan(state["temperature_tail"]))
    value = tailed.join(block.readings.temperature_c[rows], state["temperature_tail"])
    time_us = tailed.join(block.time_us[rows], state["temperature_tail_us"])
    seq = tailed.join(block.readings.seq[rows], state["temperature_tail_seq"])
    before = tailed.seg.previous(value, state["temperature_before"])
    flag, waited = _lone(tailed.seg, value, before, far_k)

    flags = block.flags(present, decidable=False)
    flags[rows] = flag[~tailed.is_tail]
    verdict = Verdict(flags={"sensor_glitch": flags})
    entries = Decisions(seg=tailed.seg, time_us=time_us, flag=flag, value=value)
    entries = entries.take(~tailed.is_tail | waited)
    block.track(verdict, entries, Tracker(code="sensor_glitch"), far_k, "glitch_temperature")
    verdict.revised.append(revisions(block, tailed, waited, time_us, seq, flag))
    own = tailed.seg.closing
    verdict.state |= {
        "temperature_tail_us": own(time_us, state["temperature_tail_us"]),
        "temperature_tail_seq": own(seq, state["temperature_tail_seq"]),
        "temperature_tail": own(value, state["temperature_tail"]),
        "temperature_before": own(before, state["temperature_before"]),
    }
    return verdict


def _lone(seg: Segments, value: Floats, before: Floats, far_k: float) -> tuple[Flags, Mask]:
    """Judge samples by their neighbours; tell also which have, or had, to wait for the next one."""
    after = seg.following(value, np.nan)
    up, down = value - before > far_k, before - value > far_k
    lone = (up & (value - after > far_k)) | (down & (after - value > far_k))
    flag = np.full(len(value), Flag.GOOD, dtype=np.uint8)
    flag[np.isnan(before) | ((up | down) & np.isnan(after))] = Flag.UNKNOWN
    flag[lone] = Flag.SUSPECT
    return flag, up | down


def revisions(
    block: Block,
    tailed: Tailed,
    waited: Mask,
    time_us: NDArray[np.int64],
    seq: NDArray[np.int64],
    flag: Flags,
    check: int = _GLITCH,
) -> Revisions:
    """Gather what is now decided of carried samples that waited."""
    at = np.flatnonzero(tailed.is_tail & waited)
    return Revisions(
        block.meters.meter_key[tailed.seg.row[at]],
        time_us[at],
        seq[at],
        np.full(len(at), check, dtype=np.uint8),
        flag[at],
    )
