"""Batteries that need changing by their voltage."""

from __future__ import annotations

import numpy as np

from analytics.block import Block, Check, Flags, Floats, Tracked, Verdict
from analytics.samples import Samples
from analytics.segments import Positions
from analytics.tracking import Tracker
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
    samples = Samples.of(block, volts, volts > 0).later(state[f"{name}_us"])
    seg, time_us, volts = samples.seg, samples.time_us, samples.value
    flags = {}
    for code, (limit, bad) in _GRADES.items():
        # Battery 1 goes without its number in the registry.
        limit_name = f"{name.removesuffix('1')}_{limit}"
        limit_v = getattr(block.meters, limit_name)
        at, flag = _both(samples, state[name], limit_v, bad)
        value, onset_us = np.full(len(seg), np.nan), time_us
        if len(at):
            value[at] = np.fmax(volts[at], seg.previous_of(volts, at, state[name]))
            onset_us = seg.previous(time_us, state[f"{name}_us"])
        entries = samples.decisions(flag, value, onset_us)
        tracker = Tracker(code=code, worse=np.fmin, part=part)
        tracked = code.replace("battery", name)
        block.track(verdict, entries, tracker, limit_v, limit_name=limit_name, name=tracked)
        flags[code] = samples.flags(flag)
    verdict.state |= {
        f"{name}_us": samples.closing(time_us, state[f"{name}_us"]),
        name: samples.closing(volts, state[name]),
    }
    return flags


def _both(samples: Samples, carried: Floats, limit_v: Floats, bad: Flag) -> tuple[Positions, Flags]:
    """Hold a report and the one before it against a limit; gives the bad ones, and all flags.

    NaN before the first is neither low nor good.
    """
    seg, volts, flag = samples.seg, samples.value, samples.good()
    low = np.flatnonzero(~(volts >= seg.spread(limit_v)))
    firsts = seg.starts[~(carried[seg.meters] >= limit_v[seg.meters])]
    flag[firsts] = Flag.UNKNOWN
    if len(low) == 0:
        return low, flag
    # Beside a low report neither it nor the next one is good.
    flag[low] = Flag.UNKNOWN
    after = seg.next_of(np.arange(len(seg)), low, -1)
    flag[after[after >= 0]] = Flag.UNKNOWN
    limit = limit_v[seg.meter_of(low)]
    both = low[(volts[low] < limit) & (seg.previous_of(volts, low, carried) < limit)]
    flag[both] = bad
    return both, flag


CHECK = Check(
    codes=tuple(_GRADES),
    run=check_voltage,
    # The last report of each battery.
    carries=(("battery1_us", "i8"), ("battery1", "f8"), ("battery2_us", "i8"), ("battery2", "f8")),
    tracks=tuple(
        Tracked(f"battery{part}_{level}", f"battery_{level}", part)
        for level in ("low", "critical")
        for part in (1, 2)
    ),
)
