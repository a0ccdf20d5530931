"""What the meter's electronics make of the gas: registers, correction, balance, batteries, valve."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from firmware_sim.burning import Burnt
from firmware_sim.faults import Fault
from firmware_sim.load import local_hour
from firmware_sim.noise import Channel, uniform
from firmware_sim.timeline import Timeline
from fleet.wire import VALVES, status_bits

#: China's base conditions: 101.325 kPa and 20 °C.
_BASE_KPA = 101.325
_BASE_K = 293.15
_ZERO_CELSIUS_K = 273.15
_DAY_US = 86_400_000_000
_BATTERY_FALLS_IN_US = 6 * 3_600_000_000
_REGISTER_DECIMALS = 3

Values = NDArray[np.float64]


def report(line: Timeline, burnt: Burnt) -> dict[str, Any]:
    """Give the measured columns of a `ReadingBatch`; NaN where a meter has no such part."""
    passed_m3 = line.running_sum(burnt.passed_m3)
    battery_v = _battery(line)
    columns = {
        "flow_m3h": np.round(burnt.snapshot_m3h, 3),
        "volume_m3": _register(line, passed_m3),
        **_corrected(line, burnt),
        "balance": _balance(line, passed_m3),
        "battery_v": battery_v,
        "battery2_v": _battery2(line),
        "valve": _valve(line),
        "status_bits": np.where(battery_v < line["battery_warn_v"], status_bits(["battery_low"]), 0),
    }
    return _drop_out(line, columns)


def _register(line: Timeline, passed_m3: Values) -> Values:
    fallen = np.where(line.after(Fault.REGISTER_REVERSED), line["strength"] * line["qmax_m3h"], 0.0)
    return _shown(line["register_start_m3"] + passed_m3 - fallen, line["register_step_m3"])


def _shown(volume_m3: Values, step_m3: Values) -> Values:
    # The tiny addition keeps 0.3 / 0.1 from showing 0.2.
    return np.round(np.floor(volume_m3 / step_m3 + 1e-6) * step_m3, _REGISTER_DECIMALS)


def _corrected(line: Timeline, burnt: Burnt) -> dict[str, Values]:
    """Convert to base conditions as a corrector does, without compressibility."""
    pressure_kpa, temperature_c = _pressure(line), _temperature(line)
    factor = pressure_kpa / _BASE_KPA * _BASE_K / (temperature_c + _ZERO_CELSIUS_K)
    passed = line.running_sum(burnt.passed_m3 * np.nan_to_num(factor))
    start_m3 = line["register_start_m3"] * line["pressure_kpa"] / _BASE_KPA
    glitch = line.during(Fault.SENSOR_GLITCH)
    return {
        "std_flow_m3h": np.round(burnt.snapshot_m3h * factor, 3),
        "std_volume_m3": _shown(start_m3 + passed, line["register_step_m3"]),
        "pressure_kpa": np.round(pressure_kpa, 2),
        "temperature_c": np.asarray(np.where(glitch, line["strength"], temperature_c)).round(1),
    }


def _pressure(line: Timeline) -> Values:
    ripple = uniform(line.seed, Channel.PRESSURE, line.number, line.slot) - 0.5
    daily = np.cos(2 * np.pi * (local_hour(line.time_us) - 3.0) / 24.0)
    return np.asarray(line["pressure_kpa"] * (1.0 + 0.003 * daily + 0.002 * ripple))


def _temperature(line: Timeline) -> Values:
    ripple = uniform(line.seed, Channel.TEMPERATURE, line.number, line.slot) - 0.5
    daily = np.cos(2 * np.pi * (local_hour(line.time_us) - 15.0) / 24.0)
    return np.asarray(line["temperature_c"] + 3.0 * daily + 0.6 * ripple)


def _balance(line: Timeline, passed_m3: Values) -> Values:
    """Count down from the anchor or the start, and top up whenever the floor would be reached.

    What was spent only grows, so the number of top-ups follows from it without a loop.
    """
    spent = line["price"] * passed_m3
    anchor, floor, top_up = line["balance_at_fault"], line["top_up_floor"], line["top_up"]
    start = np.where(np.isnan(anchor), line["balance_start"], anchor + line.at_fault(spent))
    left = start - spent
    nobody_pays = (line["fault"] == Fault.BALANCE_EXHAUSTED) & (line.time_us < line["fault_end_us"])
    top_ups = np.where((left <= floor) & ~nobody_pays, np.floor((floor - left) / top_up) + 1.0, 0.0)
    balance = np.round(left + top_ups * top_up, 2)
    return np.where(line["prepaid"], np.maximum(balance, 0.0), np.nan)


def _battery(line: Timeline) -> Values:
    ripple = uniform(line.seed, Channel.BATTERY, line.number, line.slot) - 0.5
    start_us = line.time_us[line.first] if len(line) else line.time_us
    days = (line.time_us - start_us) / _DAY_US
    volts = line["battery_v"] - line["battery_v_per_day"] * days
    since_us = np.where(line.after(Fault.BATTERY_LOW), line.time_us - line["fault_start_us"], 0)
    fallen = np.clip(since_us / _BATTERY_FALLS_IN_US, 0.0, 1.0)
    target = np.where(np.isnan(line["battery_at_fault_v"]), volts, line["battery_at_fault_v"])
    return np.round(volts + (target - volts) * fallen + 0.02 * ripple, 2)


def _battery2(line: Timeline) -> Values:
    ripple = uniform(line.seed, Channel.BATTERY2, line.number, line.slot) - 0.5
    return np.round(line["battery2_v"] + 0.02 * ripple, 2)


def _valve(line: Timeline) -> NDArray[np.int8]:
    closed = line.during(Fault.BALANCE_EXHAUSTED)
    valve = np.where(closed, VALVES.index("closed"), VALVES.index("open"))
    return np.where(line["prepaid"], valve, -1).astype(np.int8)


def _drop_out(line: Timeline, columns: dict[str, Any]) -> dict[str, Any]:
    """Zero what the corrector reports; the controller's own values stay."""
    lost = line.during(Fault.DROPOUT_FRAME)
    names = ("flow_m3h", "volume_m3", "std_flow_m3h", "std_volume_m3", "pressure_kpa", "temperature_c")
    return columns | {name: np.where(lost, 0.0, columns[name]) for name in names}
