"""What the meter's electronics make of the gas: registers and correction; see also `purse` and `power`."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from firmware_sim.faults import Fault
from firmware_sim.load import local_hour
from firmware_sim.misburning import Burnt
from firmware_sim.noise import Channel, uniform
from firmware_sim.power import battery2_v, battery_v, status
from firmware_sim.purse import balance, valve
from firmware_sim.timeline import Timeline

#: China's base conditions: 101.325 kPa and 20 °C.
_BASE_KPA = 101.325
_BASE_K = 293.15
_ZERO_CELSIUS_K = 273.15
_REGISTER_DECIMALS = 3
#: A register that jumps adds what so many Qmax would have delivered in an interval, times its strength.
_JUMP_QMAX = 10.0
#: A pressure sensor has drifted all the way after this time.
_DRIFTS_IN_US = 12 * 3_600_000_000

Values = NDArray[np.float64]


def report(line: Timeline, burnt: Burnt) -> dict[str, Any]:
    """Give the measured columns of a `ReadingBatch`; NaN where a meter has no such part."""
    columns = {
        "flow_m3h": np.round(burnt.snapshot_m3h, 3),
        "volume_m3": _register(line, burnt),
        **_corrected(line, burnt),
        "balance": balance(line, burnt.passed_m3),
        "battery_v": battery_v(line),
        "battery2_v": battery2_v(line),
        "valve": valve(line),
        "status_bits": status(line),
    }
    return _drop_out(line, columns)


def _register(line: Timeline, burnt: Burnt) -> Values:
    counted_m3 = line.running_sum(_counted(line, burnt.passed_m3))
    strength, qmax = line["strength"], line["qmax_m3h"]
    fallen = np.where(line.after(Fault.REGISTER_REVERSED), strength * qmax, 0.0)
    fallen = np.where(line.during(Fault.REGISTER_GLITCH), strength * qmax, fallen)
    jumped = strength * _JUMP_QMAX * qmax * line.hours
    fallen = np.where(line.after(Fault.REGISTER_JUMP), -jumped, fallen)
    own = line["register_start_m3"] + counted_m3 - fallen
    return _shown(_exchanged(line, own, counted_m3), line["register_step_m3"])


def _counted(line: Timeline, passed_m3: Values) -> Values:
    """Leave out what passes a register that does not turn."""
    return np.where(line.during(Fault.REGISTER_STALLED_PAID), 0.0, passed_m3)


def _exchanged(line: Timeline, own_m3: Values, counted_m3: Values) -> Values:
    """From the end of the exchange on, show the register of the meter that took the place."""
    there = (line.time_us >= line["fault_end_us"]) & ~np.isnan(line["exchanged_start_m3"])
    if not there.any():
        return own_m3
    since_m3 = counted_m3 - line.at_moment(counted_m3, line["fault_end_us"])
    return np.where(there, line["exchanged_start_m3"] + since_m3, own_m3)


def _shown(volume_m3: Values, step_m3: Values) -> Values:
    # The tiny addition keeps 0.3 / 0.1 from showing 0.2.
    return np.round(np.floor(volume_m3 / step_m3 + 1e-6) * step_m3, _REGISTER_DECIMALS)


def _corrected(line: Timeline, burnt: Burnt) -> dict[str, Values]:
    """Convert to base conditions as a corrector does, without compressibility."""
    pressure_kpa, temperature_c = _pressure(line), _temperature(line)
    factor = pressure_kpa / _BASE_KPA * _BASE_K / (temperature_c + _ZERO_CELSIUS_K)
    passed = line.running_sum(_counted(line, burnt.passed_m3) * np.nan_to_num(factor))
    start_m3 = line["register_start_m3"] * line["pressure_kpa"] / _BASE_KPA
    glitch = line.during(Fault.SENSOR_GLITCH)
    return {
        "std_flow_m3h": np.round(burnt.snapshot_m3h * factor, 3),
        "std_volume_m3": _shown(_exchanged(line, start_m3 + passed, passed), line["register_step_m3"]),
        "pressure_kpa": np.round(pressure_kpa * (1.0 + _drift(line)), 2),
        "temperature_c": np.asarray(np.where(glitch, line["strength"], temperature_c)).round(1),
    }


def _drift(line: Timeline) -> Values:
    """Give by which share the reported pressure is off; what is corrected with is right."""
    since_us = np.where(line.after(Fault.PRESSURE_DRIFT), line.time_us - line["fault_start_us"], 0)
    strength = np.where(line["fault"] == Fault.PRESSURE_DRIFT, line["strength"], 0.0)
    return np.asarray(strength * np.clip(since_us / _DRIFTS_IN_US, 0.0, 1.0))


def _pressure(line: Timeline) -> Values:
    ripple = uniform(line.seed, Channel.PRESSURE, line.number, line.slot) - 0.5
    daily = np.cos(2 * np.pi * (local_hour(line.time_us) - 3.0) / 24.0)
    return np.asarray(line["pressure_kpa"] * (1.0 + 0.003 * daily + 0.002 * ripple))


def _temperature(line: Timeline) -> Values:
    ripple = uniform(line.seed, Channel.TEMPERATURE, line.number, line.slot) - 0.5
    daily = np.cos(2 * np.pi * (local_hour(line.time_us) - 15.0) / 24.0)
    return np.asarray(line["temperature_c"] + 3.0 * daily + 0.6 * ripple)


def _drop_out(line: Timeline, columns: dict[str, Any]) -> dict[str, Any]:
    """Zero what the corrector reports; the controller's own values stay."""
    lost = line.during(Fault.DROPOUT_FRAME)
    names = ("flow_m3h", "volume_m3", "std_flow_m3h", "std_volume_m3", "pressure_kpa", "temperature_c")
    return columns | {name: np.where(lost, 0.0, columns[name]) for name in names}
