"""What faults do to the gas that flows, and to the snapshot of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from firmware_sim.faults import Fault
from firmware_sim.load import local_hour
from firmware_sim.noise import Channel, uniform
from firmware_sim.timeline import Timeline

#: A burst over the rated range is over before the register's hourly mean can follow.
_BURST_HOURS = 1 / 60
#: Of Qmax for each second between two samples: faster changes no appliance makes.
_RATE_PER_S = 0.02
#: What a small leak is measured against, of Qmax.
_LEAK_QMAX = 0.02
#: Of the peak: where a stuck sensor stands.
_STUCK_PEAK = 0.6
#: The hours of a night's rest, local.
_NIGHT = (1.0, 5.0)
#: Intervals for which the reminder at the alarm balance keeps the valve closed.
_REMINDER_INTERVALS = 2

Flow = NDArray[np.float64]
Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class Burnt:
    """Flow of n samples at metering conditions."""

    #: m³/h at the moment of the sample.
    snapshot_m3h: Flow
    #: m³ that passed in the interval that ends with the sample.
    passed_m3: Flow


def with_faults(line: Timeline, snapshot: Flow, passed: Flow) -> Burnt:
    """Let every fault act on what the customer burns."""
    snapshot, passed = _added(line, *_replaced(line, snapshot, passed))
    snapshot, passed = _misread(line, snapshot, passed)
    return Burnt(*_shut(line, snapshot, passed))


def _replaced(line: Timeline, snapshot: Flow, passed: Flow) -> tuple[Flow, Flow]:
    """Let another flow take the place of the customer's for as long as the fault lasts."""
    qmax, strength, flicker = line["qmax_m3h"], line["strength"], _flicker(line, 0.02)
    steady: tuple[tuple[Fault, NDArray[Any]], ...] = (
        (Fault.OVER_RANGE_LONG, qmax),
        (Fault.UNDER_RANGE, line["qmin_m3h"]),
        (Fault.VALVE_LEAK, qmax),
        (Fault.FLOW_NO_BALANCE, qmax),
    )
    for fault, reference in steady:
        flow = strength * reference * flicker
        snapshot = np.where(line.during(fault), flow, snapshot)
        passed = np.where(line.during(fault), flow * line.hours, passed)
    return snapshot, passed


def _added(line: Timeline, snapshot: Flow, passed: Flow) -> tuple[Flow, Flow]:
    """Let gas flow that no load profile knows: a leak, a pilot flame, a burner left on at night."""
    qmax, strength = line["qmax_m3h"], line["strength"]
    flow = strength * qmax * _flicker(line, 0.1)
    leaks = line.during(Fault.SMALL_LEAK) | line.during(Fault.SMALL_LEAK_RESTLESS)
    leak = np.where(leaks, _LEAK_QMAX * flow, 0.0)
    lit = line.time_us >= line["pilot_lit_us"]
    leak += np.where(lit, line["pilot_qmax"], 0.0) * qmax * _flicker(line, 0.1)
    hour = local_hour(line.time_us)
    night = line.during(Fault.NIGHT_FLOW) & (hour >= _NIGHT[0]) & (hour < _NIGHT[1])
    left_on = np.where(night, flow, 0.0)
    snapshot = np.maximum(snapshot + leak, left_on)
    return snapshot, np.maximum(passed + leak * line.hours, left_on * line.hours)


def _misread(line: Timeline, snapshot: Flow, passed: Flow) -> tuple[Flow, Flow]:
    """Let the snapshot say what does not flow, or the register miss what does."""
    qmax, strength = line["qmax_m3h"], line["strength"]
    burst = line.during(Fault.OVER_RANGE_BURST)
    passed = np.where(burst, passed + strength * qmax * _BURST_HOURS, passed)
    snapshot = np.where(burst | line.during(Fault.FLOW_SPIKE), strength * qmax, snapshot)
    leap = strength * _RATE_PER_S * line["interval_us"] / 1e6 * qmax
    snapshot = np.where(line.during(Fault.FLOW_RATE), leap, snapshot)
    stuck = np.maximum(_STUCK_PEAK * line["peak"] * qmax, 1.5 * line["qmin_m3h"])
    snapshot = np.where(line.during(Fault.FLOW_STUCK), stuck, snapshot)
    stalled = line.during(Fault.REGISTER_STALLED)
    snapshot = np.where(stalled, np.maximum(snapshot, strength * qmax), snapshot)
    snapshot = np.where(line.during(Fault.REGISTER_STALLED_PAID), 0.0, snapshot)
    return snapshot, np.where(stalled, 0.0, passed)


def _shut(line: Timeline, snapshot: Flow, passed: Flow) -> tuple[Flow, Flow]:
    """Let nothing flow where the valve is closed, nor be seen where the meter is stuck."""
    closed, stuck = shut(line), line.during(Fault.STUCK)
    snapshot = np.where(closed | stuck, 0.0, snapshot)
    # The valve closes at a sample; the interval that ends with it still burnt gas.
    began = line.time_us == line.first_sample_us(line["fault_start_us"])
    return snapshot, np.where((closed & ~began) | stuck, 0.0, passed)


def shut(line: Timeline) -> Mask:
    """Tell where the valve is closed and holds: no money, or the reminder at the alarm balance."""
    first_us = line.first_sample_us(line["fault_start_us"])
    reminded = line.time_us < first_us + _REMINDER_INTERVALS * line["interval_us"]
    reminder = line.during(Fault.BALANCE_LOW) & line["prepaid"] & reminded
    return np.asarray(line.during(Fault.BALANCE_EXHAUSTED) | reminder)


def _flicker(line: Timeline, width: float) -> Flow:
    noise = uniform(line.seed, Channel.SNAPSHOT, line.number, line.slot)
    return np.asarray(1.0 - width / 2 + width * noise)
