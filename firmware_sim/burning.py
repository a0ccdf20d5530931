"""What flows through a meter: the snapshot that it sends, and the mean that its register integrates."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from firmware_sim.faults import Fault
from firmware_sim.load import local_day, utilisation
from firmware_sim.noise import Channel, uniform
from firmware_sim.timeline import Timeline

#: A healthy flow is 0 or well inside the rated range.
_LOWEST_QMIN, _HIGHEST_QMAX = 1.35, 0.78
_SNAPSHOT_LOWEST_QMIN, _SNAPSHOT_HIGHEST_QMAX = 1.32, 0.79
#: A burst over the rated range is over before the register's hourly mean can follow.
_BURST_HOURS = 1 / 60

Flow = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Burnt:
    """Flow of n samples at metering conditions."""

    #: m³/h at the moment of the sample.
    snapshot_m3h: Flow
    #: m³ that passed in the interval that ends with the sample.
    passed_m3: Flow


def burn(line: Timeline) -> Burnt:
    """Follow the load profile, then let the faults act."""
    # The middle of the interval, for the snapshot too: what burns at the sample burnt before it.
    share = utilisation(line["profile"], line.time_us - line["interval_us"] // 2)
    share = share * (0.75 + 0.25 * _noise(line, Channel.DAY, local_day(line.time_us)))
    steady, steady_snapshot = _modulating(line, share)
    cycled, cycled_snapshot = _on_off(line, share)
    on_off = line["on_off"]
    snapshot = np.where(on_off, cycled_snapshot, steady_snapshot)
    passed = np.where(on_off, cycled, steady) * line.hours
    return _with_faults(line, snapshot, passed)


def _noise(line: Timeline, channel: Channel, slot: NDArray[Any] | None = None) -> Flow:
    return uniform(line.seed, channel, line.number, line.slot if slot is None else slot)


def _modulating(line: Timeline, share: Flow) -> tuple[Flow, Flow]:
    qmin, qmax = line["qmin_m3h"], line["qmax_m3h"]
    wanted = share * line["peak"] * qmax * (0.85 + 0.3 * _noise(line, Channel.DEMAND))
    mean = np.where(share > 0, np.clip(wanted, _LOWEST_QMIN * qmin, _HIGHEST_QMAX * qmax), 0.0)
    swing = 0.93 + 0.14 * _noise(line, Channel.SNAPSHOT)
    snapshot = np.clip(mean * swing, _SNAPSHOT_LOWEST_QMIN * qmin, _SNAPSHOT_HIGHEST_QMAX * qmax)
    return mean, np.where(share > 0, snapshot, 0.0)


def _on_off(line: Timeline, share: Flow) -> tuple[Flow, Flow]:
    """Switch a burner of one size: a snapshot of 0 while the register moves is common here."""
    level = line["peak"] * line["qmax_m3h"]
    duty = np.clip(share * (0.85 + 0.3 * _noise(line, Channel.DEMAND)), 0.0, 1.0)
    lit = _noise(line, Channel.BURNER) < duty
    swing = 0.98 + 0.04 * _noise(line, Channel.SNAPSHOT)
    return duty * level, np.where(lit, level * swing, 0.0)


def _with_faults(line: Timeline, snapshot: Flow, passed: Flow) -> Burnt:
    qmax, strength = line["qmax_m3h"], line["strength"]
    flicker = 0.99 + 0.02 * _noise(line, Channel.SNAPSHOT)

    burst = line.during(Fault.OVER_RANGE_BURST)
    snapshot = np.where(burst, strength * qmax, snapshot)
    passed = np.where(burst, passed + strength * qmax * _BURST_HOURS, passed)
    for fault, reference in ((Fault.OVER_RANGE_LONG, qmax), (Fault.UNDER_RANGE, line["qmin_m3h"])):
        flow = strength * reference * flicker
        snapshot = np.where(line.during(fault), flow, snapshot)
        passed = np.where(line.during(fault), flow * line.hours, passed)

    stalled = line.during(Fault.REGISTER_STALLED)
    snapshot = np.where(stalled, np.maximum(snapshot, strength * qmax), snapshot)
    # The valve closes at the sample with which the money is gone; that interval still burnt gas.
    closed = line.during(Fault.BALANCE_EXHAUSTED)
    snapshot = np.where(closed, 0.0, snapshot)
    began = line.time_us == line.first_sample_us(line["fault_start_us"])
    return Burnt(snapshot, np.where(stalled | (closed & ~began), 0.0, passed))
