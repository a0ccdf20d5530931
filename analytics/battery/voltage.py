"""Batteries that need changing by their voltage."""

from __future__ import annotations

import numpy as np

from analytics.block import Block, Check, Flags, Floats, Verdict
from analytics.segments import Mask
from analytics.tracking import Decisions, Tracker
from fleet.flags import Flag, worst

#: Check -> the limit it holds the voltage against, and the flag of a voltage below.
_GRADES = {"battery_low": ("warn_v", Flag.SUSPECT), "battery_critical": ("critical_v", Flag.FAIL)}


def check_voltage(block: Block) -> Verdict:
    """Flag a battery SUSPECT for `battery_low`, and FAIL for `battery_critical`, below the voltage of each.

    A report counts only together with the one before it, so that a single glitch neither sends
    somebody out nor calls him back: low where both are below the limit, good where neither is,
    UNKNOWN where they disagree and at the first. Onset: the first of the two low reports; value:
    the lowest confirmed voltage, V. A critical battery is low as well: two findings.

    0 V or less is no report: a frame needs power to be sent, and registers of meters without
    the sensor hold 0; a battery on its way to 0 V has passed the critical voltage before, and
    what was found then stays open. Each of the two batteries has episodes of its own (`part`).
    """
    verdict = Verdict()
    first = _one(block, verdict, 1, block.readings.battery_v)
    second = _one(block, verdict, 2, block.readings.battery2_v)
    verdict.flags = {code: worst(first[code], second[code]) for code in _GRADES}
    return verdict


def _one(block: Block, verdict: Verdict, part: int, volts: Floats) -> dict[str, Flags]:
    """Judge one battery; gives each check's flags of the block's readings."""
    name, state = f"battery{part}", block.state
    present: Mask = volts > 0
    rows = block.samples(present, state[f"{name}_us"])
    seg, time_us, volts = block.seg.take(rows), block.time_us[rows], volts[rows]
    before_us, before = seg.previous(time_us, state[f"{name}_us"]), seg.previous(volts, state[name])
    flags = {}
    for code, (limit, bad) in _GRADES.items():
        # Battery 1 goes without its number in the registry.
        limit_name = f"{name.removesuffix('1')}_{limit}"
        limit_v = getattr(block.meters, limit_name)
        flag = _both(volts, before, limit_v[seg.row], bad)
        entries = Decisions(
            seg=seg, time_us=time_us, flag=flag, value=np.fmax(volts, before), onset_us=before_us
        )
        tracker = Tracker(code=code, worse=np.fmin, part=part)
        tracked = code.replace("battery", name)
        block.track(verdict, entries, tracker, limit_v, limit_name=limit_name, name=tracked)
        flags[code] = block.flags(present, decidable=False)
        flags[code][rows] = flag
    verdict.state |= {
        f"{name}_us": seg.closing(time_us, state[f"{name}_us"]),
        name: seg.closing(volts, state[name]),
    }
    return flags


def _both(volts: Floats, before: Floats, limit_v: Floats, bad: Flag) -> Flags:
    """Hold a report and the one before it against a limit; NaN before the first is neither low nor good."""
    flag = np.full(len(volts), Flag.UNKNOWN, dtype=np.uint8)
    flag[(volts >= limit_v) & (before >= limit_v)] = Flag.GOOD
    flag[(volts < limit_v) & (before < limit_v)] = bad
    return flag


CHECK = Check(
    codes=tuple(_GRADES),
    run=check_voltage,
    # The last report of each battery.
    carries=(("battery1_us", "i8"), ("battery1", "f8"), ("battery2_us", "i8"), ("battery2", "f8")),
    tracks=("battery1_low", "battery2_low", "battery1_critical", "battery2_critical"),
)
