"""When readings are sent and when they arrive: at once, hours late, or never."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from firmware_sim.faults import Fault
from firmware_sim.load import local_day, local_hour
from firmware_sim.noise import Channel, uniform
from firmware_sim.timeline import Timeline

_LATENCY_US = (1_000_000, 4_000_000)
#: The batch of the fault of that name goes out after so many intervals.
_LATE_AFTER_INTERVALS = 2.5
_HOUR_US = 3_600_000_000
#: Readings are kept back, or not taken, from some hour of the day for so many hours.
_LATE_FROM_H, _LATE_FOR_H = (2.0, 10.0), (3.0, 12.0)
_OUTAGE_FOR_H = 8.0
_CLOCKS = ((Fault.CLOCK_AHEAD, 1.0), (Fault.CLOCK_BEHIND, -1.0))
_GAPS = (Fault.METER_EXCHANGED, Fault.METER_EXCHANGED_UNTOLD)

Times = NDArray[np.int64]
Mask = NDArray[np.bool_]


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
    # Never two in a row, which would be another matter.
    lost = _draw(line, Channel.LOSS, line.slot) < 2 * line["loss_share"]
    kept &= ~(lost & (line.slot % 2 == 0))
    return np.asarray(kept & ~outage(line))


def outage(line: Timeline) -> Mask:
    """Tell which readings an outage of the day swallows."""
    day = local_day(line.time_us)
    begins_h = 16.0 * _draw(line, Channel.OUTAGE_HOUR, day)
    hour = local_hour(line.time_us)
    within = (hour >= begins_h) & (hour < begins_h + _OUTAGE_FOR_H)
    return np.asarray(within & (_draw(line, Channel.OUTAGE, day) < line["outage_share"]))


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
    begins_h, hours = (
        low + (high - low) * _draw(line, channel, day)
        for channel, (low, high) in ((Channel.LATE_ROW, _LATE_FROM_H), (Channel.LATE_KIND, _LATE_FOR_H))
    )
    drawn = _draw(line, Channel.LATE_DAY, day)
    within = (drawn < line["late_share"]) & (hour >= begins_h) & (hour < begins_h + hours)
    whole = drawn < line["late_share"] / 2
    release_us = line.time_us + ((begins_h + hours - hour) * _HOUR_US).astype(np.int64)
    # Sent within a second of each other, whatever was rounded on the way here.
    release_us -= release_us % 1_000_000
    return np.where(within & (whole | (line.slot % 2 == 0)), release_us, sent_us)
