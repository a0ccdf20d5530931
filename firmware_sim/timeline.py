"""The samples of a block of meters, flat: which meter, when, and in which fault."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from firmware_sim.device import DeviceTable
from firmware_sim.faults import Fault


@dataclass(frozen=True, slots=True, eq=False)
class Timeline:
    """n samples of a block of meters, sorted by meter and time; each array has shape (n,)."""

    devices: DeviceTable
    seed: int
    #: Row of the sample's meter in `devices`.
    meter: NDArray[np.intp]
    #: The sample's place among its meter's, 0 first.
    at: NDArray[np.int64]
    #: Position of the first sample of the sample's meter.
    first: NDArray[np.int64]
    time_us: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.time_us)

    def __getitem__(self, name: str) -> NDArray[Any]:
        return np.asarray(self.devices[name][self.meter])

    @property
    def number(self) -> NDArray[np.int64]:
        """Number of the sample's meter in the population."""
        return np.asarray(self.devices.number[self.meter])

    @property
    def slot(self) -> NDArray[np.int64]:
        """Number of the sample since 1970; noise depends on it."""
        return np.asarray(self.time_us // self["interval_us"])

    @property
    def hours(self) -> NDArray[np.float64]:
        """Length of the interval that ends with the sample, hours."""
        return np.asarray(self["interval_us"] / 3.6e9)

    def during(self, fault: Fault) -> NDArray[np.bool_]:
        """Tell which samples lie in this fault of their meter."""
        t = self.time_us
        within = (t >= self["fault_start_us"]) & (t < self["fault_end_us"])
        return np.asarray(within & (self["fault"] == fault))

    def after(self, fault: Fault) -> NDArray[np.bool_]:
        """Tell which samples lie after the beginning of this fault of their meter."""
        return np.asarray((self.time_us >= self["fault_start_us"]) & (self["fault"] == fault))

    def first_sample_us(self, moment_us: NDArray[np.int64]) -> NDArray[np.int64]:
        """Give the time of the meter's first sample at a moment or after it."""
        return np.asarray(moment_us + (self.time_us - moment_us) % self["interval_us"])

    def at_moment(self, values: NDArray[np.float64], moment_us: NDArray[np.int64]) -> NDArray[np.float64]:
        """Give each sample the value that its meter has at its first sample from a moment on."""
        steps = (self.first_sample_us(moment_us) - self.time_us) // self["interval_us"]
        last = self.first + np.bincount(self.meter, minlength=len(self.devices))[self.meter] - 1
        return np.asarray(values[np.clip(np.arange(len(self)) + steps, self.first, last)])

    def running_sum(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Sum up values meter by meter, 0 at each meter's first sample."""
        if not len(self):
            return values
        total = np.cumsum(values)
        return np.asarray(total - total[self.first])


def sample_times(devices: DeviceTable, seed: int, start_us: int, until_us: int) -> Timeline:
    """Lay out the samples of [start, until): regular, each meter at its own phase."""
    interval, phase = devices["interval_us"], devices["phase_us"]
    first_us = start_us + (phase - start_us) % interval
    counts = np.maximum(0, -((first_us - until_us) // interval))
    offsets = np.cumsum(counts) - counts
    meter = np.repeat(np.arange(len(devices)), counts)
    at = np.arange(int(counts.sum())) - offsets[meter]
    return Timeline(devices, seed, meter, at, offsets[meter], first_us[meter] + at * interval[meter])
