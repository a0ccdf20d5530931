"""Is the frame itself believable? Every other check leaves out frames that a fault blanked."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from analytics.block import Block, Check, Floats, Verdict, tracked
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
    at = np.flatnonzero(readings.pressure_kpa == 0)
    blank = np.zeros(len(readings), dtype=np.bool_)
    if len(at):
        volume_m3 = readings.volume_m3[at]
        register_m3 = np.where(np.isnan(volume_m3), readings.std_volume_m3[at], volume_m3)
        blank[at] = (register_m3 == 0) & _zero_or_absent(readings.temperature_c[at])
    return blank


def _zero_or_absent(values: Floats) -> Mask:
    nothing: Mask = (values == 0) | np.isnan(values)
    return nothing


def blanked_in_use(readings: ReadingBatch, seg: Segments, state: NDArray[np.void], blank: Mask) -> Mask:
    """Add to `blank` frames of meters without a pressure, which only history tells.

    Registers, temperature, flow and battery are all 0 or not reported, a register and one of the
    others are, and a register was above 0 before. At a new meter, or one without the sensors, the
    same frame is good.
    """
    at = np.flatnonzero(np.isnan(readings.pressure_kpa) & ~blank)
    for name in ("volume_m3", "std_volume_m3", *_OTHERS):
        at = at[_zero_or_absent(getattr(readings, name)[at])]
    at = at[~(np.isnan(readings.volume_m3[at]) & np.isnan(readings.std_volume_m3[at]))]
    at = at[np.logical_or.reduce([getattr(readings, name)[at] == 0 for name in _OTHERS])]
    if len(at) == 0:
        return blank
    shown = _register_shows(readings)
    whole = blank.copy()
    whole[at] = seg.latest(shown, shown, state["in_use"])[at]
    return whole


_OTHERS = ("temperature_c", "flow_m3h", "std_flow_m3h", "battery_v")


def _register_shows(readings: ReadingBatch) -> Mask:
    shown: Mask = readings.volume_m3 > 0
    shown |= readings.std_volume_m3 > 0
    return shown


def registers(readings: ReadingBatch, blank: Mask, step_m3: Floats) -> tuple[Floats, Floats]:
    """Give the registers that count, NaN elsewhere.

    A working register of 0 beside a standard register above one step (of shape (n,)) is not
    filled in by that meter: the standard one is computed from it.
    """
    volume, std = readings.volume_m3, readings.std_volume_m3
    if blank.any():
        std = np.where(blank, np.nan, std)
    zero = np.flatnonzero((volume == 0) | blank)
    if len(zero):
        unfilled = blank[zero] | (std[zero] > step_m3[zero])
        volume = volume.copy()
        volume[zero[unfilled]] = np.nan
    return volume, std


def check_dropout(block: Block) -> Verdict:
    """Flag dropout frames FAIL, every other frame GOOD; value: the register as reported, m³."""
    flag = np.full(len(block), Flag.GOOD, dtype=np.uint8)
    if block.blanked:
        flag[block.dropout] = Flag.FAIL
    verdict = Verdict(flags={"dropout_frame": flag})
    value = block.readings.volume_m3
    block.track(verdict, block.decisions(flag, value), Tracker(code="dropout_frame"), np.nan)
    shown = np.logical_or.reduceat(_register_shows(block.readings), block.seg.starts)
    verdict.state["in_use"] = block.state["in_use"] | shown
    return verdict


CHECK = Check(
    codes=("dropout_frame",),
    run=check_dropout,
    # Whether a register was ever above 0.
    carries=(("in_use", "?"),),
    tracks=tracked("dropout_frame"),
)
