"""Batteries that need changing by their voltage."""

from __future__ import annotations

import numpy as np

from analytics.block import Block, Check, Flags, Floats, Verdict
from analytics.tracking import Decisions, Tracker
from fleet.flags import Flag, worst


def check_battery(block: Block) -> Verdict:
    """Flag a battery SUSPECT below its warning voltage, FAIL below its critical one.

    A report counts only together with the one before it, so that a single glitch neither sends
    somebody out nor calls him back: low where both are low, good where both are good, UNKNOWN
    where they disagree and at the first. Onset: the first of the two low reports; value: the
    lowest confirmed voltage, V.

    0 V or less is no report: a frame needs power to be sent, and registers of meters without
    the sensor hold 0; a battery on its way to 0 V has passed the critical voltage before, and
    what was found then stays open. Each of the two batteries has episodes of its own (`part`).
    """
    readings, meters = block.readings, block.meters
    verdict = Verdict()
    flags = [
        _one(block, verdict, 1, readings.battery_v, meters.battery_warn_v, meters.battery_critical_v),
        _one(block, verdict, 2, readings.battery2_v, meters.battery2_warn_v, meters.battery2_critical_v),
    ]
    verdict.flags["battery_low"] = worst(*flags)
    return verdict


def _one(
    block: Block, verdict: Verdict, part: int, volts: Floats, warn_v: Floats, critical_v: Floats
) -> Flags:
    name, limit = f"battery{part}", "battery" if part == 1 else "battery2"
    state = block.state
    present = volts > 0
    flags = block.flags(present, decidable=False)
    rows = block.samples(present, state[f"{name}_us"])
    seg, time_us, volts = block.seg.take(rows), block.time_us[rows], volts[rows]
    before_us, before = seg.previous(time_us, state[f"{name}_us"]), seg.previous(volts, state[name])
    warn, critical = warn_v[seg.row], critical_v[seg.row]
    # NaN before the first report: neither low nor good.
    flag = np.full(len(rows), Flag.UNKNOWN, dtype=np.uint8)
    flag[(volts >= warn) & (before >= warn)] = Flag.GOOD
    flag[(volts < warn) & (before < warn)] = Flag.SUSPECT
    flag[(volts < critical) & (before < critical)] = Flag.FAIL

    flags[rows] = flag
    confirmed = np.fmax(volts, before)
    entries = Decisions(seg=seg, time_us=time_us, flag=flag, value=confirmed, onset_us=before_us)
    tracker = Tracker(code="battery_low", worse=np.fmin, part=part)
    block.track(verdict, entries, tracker, warn_v, limit_name=f"{limit}_warn_v", name=f"{name}_low")
    verdict.state |= {
        f"{name}_us": seg.closing(time_us, state[f"{name}_us"]),
        name: seg.closing(volts, state[name]),
    }
    return flags


CHECK = Check(
    codes=("battery_low",),
    run=check_battery,
    # The last report of each battery.
    carries=(("battery1_us", "i8"), ("battery1", "f8"), ("battery2_us", "i8"), ("battery2", "f8")),
    tracks=("battery1_low", "battery2_low"),
)
