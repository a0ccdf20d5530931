"""When readings are sent and when they arrive: at once, hours late, or never."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from firmware_sim.faults import Fault
from firmware_sim.load import DAY_US, HOUR_US, LOCAL_OFFSET_US, local_day, local_hour
from firmware_sim.noise import Channel, uniform
from firmware_sim.timeline import Timeline

_LATENCY_US = (1_000_000, 4_000_000)
#: The batch of the fault of that name goes out after so many intervals.
_LATE_AFTER_INTERVALS = 2.5
#: Readings are kept back, or not taken, from some hour of the day for so many hours.
_LATE_FROM_H, _LATE_FOR_H = (2.0, 10.0), (3.0, 12.0)
_OUTAGE_FROM_H, _OUTAGE_FOR_H = (0.0, 16.0), 8.0
_LOSABLE = 8
_CLOCKS = ((Fault.CLOCK_AHEAD, 1.0), (Fault.CLOCK_BEHIND, -1.0))
_GAPS = (Fault.METER_EXCHANGED, Fault.METER_EXCHANGED_UNTOLD)

Times = NDArray[np.int64]
Mask = NDArray[np.bool_]
Values = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Delivery:
    """What becomes of n readings; arrays of shape (n,)."""

    #: Ever sent at all.
    kept: Mask
    #: By the true time, microseconds since 1970 UTC, likewise below.
    sent_us: Times
    #: The time that the meter's own clock gives the reading.
    device_time_us: Times


def deliver(line: Timeline) -> Delivery:
    """Decide what is lost, what is late, and what the meter's clock says."""
    skew_s = sum(np.where(line.during(fault), sign * line["strength"], 0.0) for fault, sign in _CLOCKS)
    skew_s = skew_s + line["clock_ahead_s"]
    skew_us = (np.round(skew_s) * 1_000_000).astype(np.int64)
    return Delivery(kept=_kept(line), sent_us=_sent_us(line), device_time_us=line.time_us + skew_us)


def _draw(line: Timeline, channel: Channel, slot: NDArray[np.int64]) -> NDArray[np.float64]:
    return uniform(line.seed, channel, line.number, slot)


def _kept(line: Timeline) -> Mask:
    kept = ~line.after(Fault.SILENCE)
    for fault in _GAPS:
        kept &= ~line.during(fault)
    heard = _draw(line, Channel.RECEPTION, line.slot) >= np.nan_to_num(line["strength"])
    kept &= ~line.during(Fault.LOW_RECEPTION) | heard
    # Never two in a row, nor more than one in eight, which would be another matter.
    lost = _draw(line, Channel.LOSS, line.slot) < _LOSABLE * line["loss_share"]
    kept &= ~(lost & (line.slot % _LOSABLE == 0))
    return np.asarray(kept & ~outage(line))


def outage(line: Timeline) -> Mask:
    """Tell which readings an outage of the day swallows."""
    day, hour = local_day(line.time_us), local_hour(line.time_us)
    days = _Days.of(line.seed, line.number, day, line["outage_share"], line["late_share"])
    within = (hour >= days.outage_from_h) & (hour < days.outage_from_h + _OUTAGE_FOR_H)
    return np.asarray(within & days.outage)


@dataclass(frozen=True, slots=True, eq=False)
class _Days:
    """What is drawn for days of meters; arrays of one shape."""

    outage: Mask
    outage_from_h: Values
    late: Mask
    #: Everything waits; else every second reading does.
    whole: Mask
    late_from_h: Values
    late_for_h: Values

    @classmethod
    def of(cls, seed: int, number: Times, day: Times, outage_share: Values, late_share: Values) -> _Days:
        def draw(channel: Channel, low: float = 0.0, high: float = 1.0) -> Values:
            return low + (high - low) * uniform(seed, channel, number, day)

        late = draw(Channel.LATE_DAY)
        return cls(
            outage=draw(Channel.OUTAGE) < outage_share,
            outage_from_h=draw(Channel.OUTAGE_HOUR, *_OUTAGE_FROM_H),
            late=late < late_share,
            whole=late < late_share / 2,
            late_from_h=draw(Channel.LATE_FROM, *_LATE_FROM_H),
            late_for_h=draw(Channel.LATE_FOR, *_LATE_FOR_H),
        )


Stretch = tuple[int, int]


def bad_days(
    seed: int, number: int, device: Mapping[str, Any], start_us: int, end_us: int
) -> tuple[list[Stretch], list[Stretch]]:
    """List when the line of a meter was bad: [from, until) of each outage, and of each late batch."""
    if not (device["outage_share"] or device["late_share"]):
        return [], []
    first, last = local_day(np.array([start_us, end_us]))
    day = np.arange(first, last + 1)
    numbers, shares = np.full(len(day), number), np.ones(len(day))
    days = _Days.of(seed, numbers, day, shares * device["outage_share"], shares * device["late_share"])
    found: list[list[Stretch]] = []
    for bad, from_h, for_h in (
        (days.outage, days.outage_from_h, shares * _OUTAGE_FOR_H),
        (days.late, days.late_from_h, days.late_for_h),
    ):
        from_us = day * DAY_US - LOCAL_OFFSET_US + (from_h * HOUR_US).astype(np.int64)
        until_us = from_us + (for_h * HOUR_US).astype(np.int64)
        found.append(list(zip(from_us[bad].tolist(), until_us[bad].tolist(), strict=True)))
    outages, late = found
    return outages, late


def _sent_us(line: Timeline) -> Times:
    """Send at once, but for late batches.

    Every other reading of the fault's batch is kept back and sent after a newer one, yet before
    the meter could count as silent: never are two in a row missing when the next arrives.
    """
    low, high = _LATENCY_US
    latency = low + (high - low) * _draw(line, Channel.LATENCY, line.slot)
    first_late_us = line.first_sample_us(line["fault_start_us"])
    kept_back = (line.time_us - first_late_us) // line["interval_us"] % 2 == 0
    release_us = first_late_us + (_LATE_AFTER_INTERVALS * line["interval_us"]).astype(np.int64)
    late = line.during(Fault.LATE_BATCH) & kept_back
    sent_us = np.where(late, release_us, line.time_us + latency.astype(np.int64))
    return _held_back(line, sent_us)


def _held_back(line: Timeline, sent_us: Times) -> Times:
    """Keep back what a bad day's bad hours hold, and send it in one batch when they are over.

    On half of such days everything waits, on the others only every second reading, so that newer
    ones overtake.
    """
    day, hour = local_day(line.time_us), local_hour(line.time_us)
    days = _Days.of(line.seed, line.number, day, line["outage_share"], line["late_share"])
    until_h = days.late_from_h + days.late_for_h
    within = days.late & (hour >= days.late_from_h) & (hour < until_h)
    release_us = line.time_us + ((until_h - hour) * HOUR_US).astype(np.int64)
    # Sent within a second of each other, whatever was rounded on the way here.
    release_us += 1_000_000 - release_us % 1_000_000
    return np.where(within & (days.whole | (line.slot % 2 == 0)), release_us, sent_us)
