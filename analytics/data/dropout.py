"""Is the frame itself believable? Every other check leaves out frames that a fault blanked."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from analytics.block import Block, Check, Floats, Verdict
from analytics.segments import Mask, Segments
from analytics.tracking import Tracker
from fleet.flags import Flag
from fleet.readings import ReadingBatch


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


CHECK = Check(
    codes=("dropout_frame",),
    run=check_dropout,
    # Whether a register was ever above 0.
    carries=(("in_use", "?"),),
    tracks=("dropout_frame",),
)
