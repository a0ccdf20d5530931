"""Does a battery need changing? By its voltage here, by the calendar in `battery_overdue`."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from analytics.block import US_PER_DAY, US_PER_S, Block, Flags, Floats, Verdict
from analytics.episodes import ONGOING_US, Episodes
from analytics.tracking import Decisions, Tracker
from fleet.checks import BY_CODE
from fleet.flags import Flag, worst
from fleet.meters import MeterTable
from fleet.policy import Policy


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
    name = f"battery{part}"
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
    block.track(verdict, entries, tracker, warn_v, f"{name}_low")
    verdict.state |= {
        f"{name}_us": seg.closing(time_us, state[f"{name}_us"]),
        name: seg.closing(volts, state[name]),
    }
    return flags


def battery_overdue(
    meters: MeterTable, now_us: int, utc_offset_s: NDArray[np.int64], policy: Policy
) -> Episodes:
    """Find batteries past the end of their life, by the registry's dates alone.

    SUSPECT from local midnight of the due day, FAIL once overdue by `battery_overdue_fail_days`.
    Onset: that midnight; value: days since; limit 0.
    """
    return Episodes.concatenate(
        [
            _overdue(meters, part, due_day, now_us, utc_offset_s, policy)
            for part, due_day in ((1, meters.battery_due_day), (2, meters.battery2_due_day))
        ]
    )


def _overdue(
    meters: MeterTable,
    part: int,
    due_day: Floats,
    now_us: int,
    utc_offset_s: NDArray[np.int64],
    policy: Policy,
) -> Episodes:
    rows = np.flatnonzero(~np.isnan(due_day))
    due_us = midnight_us(due_day[rows], utc_offset_s[rows])
    late = now_us >= due_us
    rows, due_us = rows[late], due_us[late]
    days = (now_us - due_us) / US_PER_DAY
    return Episodes.build(
        meter_key=meters.meter_key[rows],
        check=BY_CODE["battery_overdue"].number,
        flag=np.where(days > policy.battery_overdue_fail_days, Flag.FAIL, Flag.SUSPECT),
        part=part,
        started_us=due_us,
        ended_us=ONGOING_US,
        readings=0,
        value=days,
        limit=0.0,
    )


def midnight_us(day: Floats, utc_offset_s: NDArray[np.int64]) -> NDArray[np.int64]:
    """Give the instant at which a day begins at places of a given offset from UTC."""
    return np.asarray(day, dtype=np.int64) * US_PER_DAY - utc_offset_s * US_PER_S
