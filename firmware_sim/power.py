"""The meter's batteries, and the status bits that it reports."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from firmware_sim.faults import Fault
from firmware_sim.load import local_day, local_hour
from firmware_sim.noise import Channel, uniform
from firmware_sim.timeline import Timeline
from fleet.wire import status_bits

_DAY_US = 86_400_000_000
_YEAR_DAYS, _WARMEST_DAY = 365.25, 205.0
_FALLING = (Fault.BATTERY_LOW, Fault.BATTERY_CRITICAL, Fault.BATTERY_DECAY)

Values = NDArray[np.float64]


def battery_v(line: Timeline) -> Values:
    """Give the voltage of the first battery, which a fault makes fall to where it then stays."""
    ripple = uniform(line.seed, Channel.BATTERY, line.number, line.slot) - 0.5
    start_us = line.time_us[line.first] if len(line) else line.time_us
    days = (line.time_us - start_us) / _DAY_US
    volts = line["battery_v"] - line["battery_v_per_day"] * days
    renewed = (line["battery_renewed_us"] > 0) & (line.time_us >= line["battery_renewed_us"])
    volts = np.where(renewed, line["battery_fresh_v"], volts)
    volts = volts + np.where(line["seasonal"], _breath_v(line), 0.0)
    falling = np.isin(line["fault"], _FALLING) & (line.time_us >= line["fault_start_us"])
    since_us = np.where(falling, line.time_us - line["fault_start_us"], 0)
    fallen = np.clip(since_us / line["battery_falls_in_us"], 0.0, 1.0)
    target = np.where(np.isnan(line["battery_at_fault_v"]), volts, line["battery_at_fault_v"])
    return np.asarray(np.round(volts + (target - volts) * fallen + 0.02 * ripple, 2))


def _breath_v(line: Timeline) -> Values:
    """Give by how much a warm day, or a warm season, lifts the voltage."""
    daily = np.cos(2 * np.pi * (local_hour(line.time_us) - 15.0) / 24.0)
    yearly = np.cos(2 * np.pi * (local_day(line.time_us) - _WARMEST_DAY) / _YEAR_DAYS)
    return np.asarray(0.015 * daily + 0.03 * yearly)


def battery2_v(line: Timeline) -> Values:
    """Give the voltage of the controller's own battery; NaN without one."""
    ripple = uniform(line.seed, Channel.BATTERY2, line.number, line.slot) - 0.5
    return np.round(line["battery2_v"] + 0.02 * ripple, 2)


def status(line: Timeline) -> NDArray[np.int64]:
    """Give the status bits: a low battery, and whatever the fault makes the meter say."""
    low = np.where(battery_v(line) < line["battery_warn_v"], status_bits(["battery_low"]), 0)
    said = line.during(Fault.STATUS) | line.during(Fault.LOW_OIL)
    return np.asarray(low | np.where(said, line["status_at_fault"], 0), dtype=np.int64)
