"""A recorded history made fit to be published again: shifted in time, numbered, cleaned."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from firmware_sim.encode import can_be_sent
from firmware_sim.meter import Telemetry
from fleet.readings import ABSENT, ReadingBatch

_US_PER_MS = 1000
_DAY_US = 86_400_000_000


def shift_to_end_at(readings: ReadingBatch, end_us: int, *, align_us: int = _US_PER_MS) -> ReadingBatch:
    """Move all times by one amount, so that the newest reading is at `end_us`.

    The amount is a multiple of `align_us`, and never so large that a reading passes `end_us`:
    with an hour, clock-aligned windows hold the same readings before and after.
    """
    if not len(readings):
        return readings
    ahead_us = end_us - int(readings.device_time_us.max())
    shift_us = ahead_us - ahead_us % align_us
    received = np.where(readings.received_us == ABSENT, ABSENT, readings.received_us + shift_us)
    return replace(readings, device_time_us=readings.device_time_us + shift_us, received_us=received)


def with_sequence(readings: ReadingBatch, boot: int = 1) -> ReadingBatch:
    """Sort by meter and time, drop repeats, and number the meters that the file does not: `seq` from 1.

    A meter with any row without a number is numbered anew as a whole, as one boot.
    """
    readings = readings.sorted_by_meter_and_time().without_repeats()
    meter = readings.meter_key
    unnumbered = np.isin(meter, meter[readings.seq == ABSENT])
    seq = np.arange(len(readings), dtype=np.int64) - np.searchsorted(meter, meter, "left") + 1
    return replace(
        readings,
        boot=np.where(unnumbered | (readings.boot == ABSENT), boot, readings.boot),
        seq=np.where(unnumbered, seq, readings.seq),
    )


def as_telemetry(
    readings: ReadingBatch, *, end_us: int, boot: int = 1, align_us: int = _US_PER_MS
) -> Telemetry:
    """Make a recorded history ready for playback, ending at `end_us`.

    Readings without a single measurement are left out: the contract takes none of them.
    """
    kept = readings.take(can_be_sent(readings))
    numbered = with_sequence(shift_to_end_at(kept, end_us, align_us=align_us), boot)
    nothing = np.empty(0, dtype=np.int64)
    return Telemetry(numbered, numbered.device_time_us, nothing, nothing)


def older_than(readings: ReadingBatch, days: float, now_us: int) -> int:
    """Count the readings that lie further back than a server takes."""
    return int((readings.device_time_us < now_us - days * _DAY_US).sum())
