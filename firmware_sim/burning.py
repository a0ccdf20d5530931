"""What flows through a meter: the snapshot that it sends, and the mean that its register integrates."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from firmware_sim.faults import Fault
from firmware_sim.load import HOUR_US, local_day, utilisation, utilisation_between
from firmware_sim.misburning import Burnt, Flow, with_faults
from firmware_sim.noise import Channel, uniform
from firmware_sim.timeline import Timeline

#: A healthy flow is 0 or well inside the rated range.
_LOWEST_QMIN, _HIGHEST_QMAX = 1.35, 0.78
_SNAPSHOT_LOWEST_QMIN, _SNAPSHOT_HIGHEST_QMAX = 1.32, 0.79
#: Appliances that are too much for their meter have no such bound.
_UNBOUNDED_QMAX = 2.0
#: More gas is burnt in winter, by so much either way.
_SEASON = 0.15
_YEAR_DAYS, _COLDEST_DAY = 365.25, 20.0
#: What is burnt on the odd day of an idle season.
_IDLE_SHARE = 0.2


def burn(line: Timeline) -> Burnt:
    """Follow the load profile, then let the faults act."""
    now, mean = _shares(line)
    habits = _in_season(line) * (0.75 + 0.25 * _noise(line, Channel.DAY, local_day(line.time_us)))
    steady, steady_snapshot = _modulating(line, now * habits, mean * habits)
    cycled, cycled_snapshot = _on_off(line, now * habits, mean * habits)
    on_off = line["on_off"]
    snapshot = np.where(on_off, cycled_snapshot, steady_snapshot)
    passed = np.where(on_off, cycled, steady) * line.hours
    return with_faults(line, snapshot, passed)


def _shares(line: Timeline) -> tuple[Flow, Flow]:
    """Give the profile's share of the peak at each sample, and its mean over the interval.

    The middle of the interval stands for both, so that what burns at the sample burnt before it.
    Where an interval is longer than an hour, its hours differ.
    """
    begins_us = line.time_us - line["interval_us"]
    before_us = np.minimum(line["interval_us"], HOUR_US) // 2
    now = utilisation(line["profile"], line.time_us - before_us)
    long = line["interval_us"] > HOUR_US
    mean = utilisation_between(line["profile"], begins_us, line.time_us)
    return now, np.where(long, mean, now)


def _in_season(line: Timeline) -> Flow:
    """Let use drift with the year, and rest in idle seasons."""
    day = local_day(line.time_us)
    drift = 1.0 + _SEASON * np.cos(2 * np.pi * (day - _COLDEST_DAY) / _YEAR_DAYS)
    share = np.where(line["seasonal"], drift / (1.0 + _SEASON), 1.0)
    idle = (line.time_us >= line["idle_start_us"]) & (line.time_us < line["idle_end_us"])
    odd_day = _noise(line, Channel.IDLE, day) < line["idle_use"]
    share = np.where(idle, np.where(odd_day, _IDLE_SHARE, 0.0) * share, share)
    return np.asarray(share)


def _shift(line: Timeline) -> Flow:
    """Give by how much more, or less, the customer burns where his use has shifted."""
    shifted = line.during(Fault.USAGE_UP) | line.during(Fault.USAGE_DOWN)
    return np.where(shifted, line["strength"], 1.0)


def _noise(line: Timeline, channel: Channel, slot: NDArray[Any] | None = None) -> Flow:
    return uniform(line.seed, channel, line.number, line.slot if slot is None else slot)


def _modulating(line: Timeline, now: Flow, mean: Flow) -> tuple[Flow, Flow]:
    qmin, qmax = line["qmin_m3h"], line["qmax_m3h"]
    bounded = line["fault"] != Fault.UNDERSIZED
    demand = _shift(line) * line["peak"] * qmax * (0.85 + 0.3 * _noise(line, Channel.DEMAND))
    highest = np.where(bounded, _HIGHEST_QMAX, _UNBOUNDED_QMAX) * qmax
    at_once = np.clip(now * demand, _LOWEST_QMIN * qmin, highest)
    steady = np.where(mean > 0, np.where(now == mean, at_once, mean * demand), 0.0)
    swing = 0.93 + 0.14 * _noise(line, Channel.SNAPSHOT)
    highest = np.where(bounded, _SNAPSHOT_HIGHEST_QMAX, _UNBOUNDED_QMAX) * qmax
    snapshot = np.clip(at_once * swing, _SNAPSHOT_LOWEST_QMIN * qmin, highest)
    return np.minimum(steady, highest), np.where(now > 0, snapshot, 0.0)


def _on_off(line: Timeline, now: Flow, mean: Flow) -> tuple[Flow, Flow]:
    """Switch a burner of one size: a snapshot of 0 while the register moves is common here."""
    # Its duty has a bound; who burns more has a larger one.
    highest = np.maximum(line["peak"], _HIGHEST_QMAX)
    level = np.minimum(_shift(line) * line["peak"], highest) * line["qmax_m3h"]
    demand = 0.85 + 0.3 * _noise(line, Channel.DEMAND)
    lit = _noise(line, Channel.BURNER) < np.clip(now * demand, 0.0, 1.0)
    swing = 0.98 + 0.04 * _noise(line, Channel.SNAPSHOT)
    return np.clip(mean * demand, 0.0, 1.0) * level, np.where(lit, level * swing, 0.0)
