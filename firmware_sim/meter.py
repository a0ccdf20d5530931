"""The history of many simulated meters as columns: no Python per reading."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from firmware_sim import burning, electronics
from firmware_sim.delivery import deliver
from firmware_sim.device import DeviceTable
from firmware_sim.faults import Fault
from firmware_sim.population import Population
from firmware_sim.timeline import sample_times
from fleet.readings import ReadingBatch

#: Meters generated at once: enough to keep NumPy busy, few enough to keep the scratch memory small.
_BLOCK_METERS = 500
_DUPLICATE_AFTER_US = 5_000_000
#: From the meter to the server, where nothing is in the way.
_TRANSPORT_US = 500_000


@dataclass(frozen=True, slots=True, eq=False)
class Telemetry:
    """What the meters read, and when they send it."""

    #: Sorted by meter and time; `meter_key` is the meter's place in the population, `received_us`
    #: is when a server would have it that listens all the time.
    readings: ReadingBatch
    #: When each reading is sent, microseconds since 1970 UTC.
    sent_us: NDArray[np.int64]
    #: Rows of `readings` that are sent a second time, and when.
    again: NDArray[np.int64]
    again_us: NDArray[np.int64]


def generate(population: Population, *, until: datetime | None = None) -> Telemetry:
    """Generate all readings from the population's start to `until` (its end, where not given).

    After the end the meters go on as they were left: a silent one stays silent. The boot
    number is the minute in which the history ends, so that another run is another boot.
    """
    start_us = _microseconds(population.start)
    until_us = _microseconds(until or population.end)
    blocks = [
        _block(population, slice(first, first + _BLOCK_METERS), start_us, until_us)
        for first in range(0, len(population.devices), _BLOCK_METERS)
    ]
    readings = ReadingBatch.concatenate([readings for readings, _ in blocks])
    sent_us = np.concatenate([sent for _, sent in blocks] or [np.empty(0, np.int64)])
    again = np.flatnonzero(_in_fault(population.devices, readings, Fault.DUPLICATE))
    return Telemetry(readings, sent_us, again, sent_us[again] + _DUPLICATE_AFTER_US)


def boot_of(end: datetime) -> int:
    """Choose the boot number of a run that ends then: minutes since 1970."""
    return _microseconds(end) // 60_000_000


def _microseconds(moment: datetime) -> int:
    return round(moment.timestamp() * 1e6)


def _in_fault(devices: DeviceTable, readings: ReadingBatch, fault: Fault) -> NDArray[np.bool_]:
    m, t = readings.meter_key, readings.device_time_us
    during = (t >= devices["fault_start_us"][m]) & (t < devices["fault_end_us"][m])
    return np.asarray(during & (devices["fault"][m] == fault))


def _block(
    population: Population, meters: slice, start_us: int, until_us: int
) -> tuple[ReadingBatch, NDArray[np.int64]]:
    line = sample_times(population.devices.take(meters), population.seed, start_us, until_us)
    burnt = burning.burn(line)
    delivery = deliver(line)
    columns: dict[str, Any] = {
        "meter_key": line.number,
        "device_time_us": delivery.device_time_us,
        "received_us": delivery.sent_us + _TRANSPORT_US,
        "seq": line.at + 1,
        "boot": np.full(len(line), boot_of(population.end)),
        **electronics.report(line, burnt),
    }
    kept = delivery.kept
    return ReadingBatch.build(**columns).take(kept), delivery.sent_us[kept]
