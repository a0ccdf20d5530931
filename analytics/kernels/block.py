"""The five checks on one block of readings."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Self

import numpy as np
from numpy.typing import NDArray

from analytics.kernels.borders import Array, Borders, Floats, Found, Limit, Positions
from analytics.kernels.flat import Runs, Times, flat_line, near_before
from analytics.kernels.graded import gross_range, rate_of_change, spike, time_gap
from analytics.kernels.samples import History, Samples
from fleet.flags import Flag
from fleet.readings import ABSENT

Flags = NDArray[np.uint8]

#: Rows of `Judged.flags`.
CHECKS = ("gross_range", "rate_of_change", "spike", "flat_line", "time_gap")
RANGE, RATE, SPIKE, FLAT, GAP = range(len(CHECKS))
_OF_NEIGHBOURS = (RATE, SPIKE, FLAT)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Limits:
    """Limits of m meters, each of shape (m,) or one number for all; see the kernels."""

    low: Limit = -np.inf
    high: Limit = np.inf
    fail_low: Limit = -np.inf
    fail_high: Limit = np.inf
    rate_per_s: Limit = np.inf
    fail_rate_per_s: Limit = np.inf
    spike: Limit = np.inf
    fail_spike: Limit = np.inf
    flat_us: Limit = np.inf
    fail_flat_us: Limit = np.inf
    #: One for all, in the unit of the values.
    flat_tolerance: float = 0.0
    gap_us: Limit = np.inf
    fail_gap_us: Limit = np.inf

    def take(self, meters: Array) -> Self:
        """Select meters by a mask or by positions."""
        given = {field.name: getattr(self, field.name) for field in fields(self)}
        return replace(self, **{name: limit[meters] for name, limit in given.items() if np.ndim(limit)})

    @property
    def longest_flat_us(self) -> Limit:
        """The longer one of the flat line's two windows that are limits at all."""
        return np.where(
            np.isfinite(self.fail_flat_us), np.maximum(self.flat_us, self.fail_flat_us), self.flat_us
        )


@dataclass(frozen=True, slots=True, eq=False)
class Judged:
    """What the checks say of the readings from `start` to `stop`."""

    start: int
    stop: int
    #: Shape (5, stop - start), in the order of `CHECKS`; the next block overwrites it.
    flags: Flags
    #: Meters whose last sample of an earlier block or run had to wait for these readings, shape (r,);
    #: its position among the readings of this run, -1 in an earlier one; its flag of `spike`.
    late_meter: Positions
    late_at: Positions
    late_flag: Flags


@dataclass(frozen=True, slots=True, eq=False)
class Block:
    """n readings of k meters, each with at least one, and the limits of these."""

    start: int
    time_us: Times
    value: Floats
    borders: Borders
    #: Shape (k,), ascending.
    meter: Positions
    limits: Limits

    @property
    def last_us(self) -> Times:
        """Time of each meter's last reading, shape (k,)."""
        return self.time_us[self.borders.stops - 1]

    def judge(self, last_us: Times, history: History, out: Flags) -> tuple[Judged, History]:
        """Judge the readings into `out`, shape (5, n), and say what later ones need of them.

        `last_us`, shape (k,), is each meter's last reading before the block, `history` its samples.
        """
        out.fill(Flag.GOOD)
        elapsed_us = self._elapsed_us(last_us)
        gap = time_gap(elapsed_us, self.borders, self.limits.gap_us, self.limits.fail_gap_us)
        out[GAP][gap.at] = gap.flag
        limits = self.limits
        wide = gross_range(
            self.value, self.borders, limits.low, limits.high, limits.fail_low, limits.fail_high
        )
        out[RANGE][wide.at] = wide.flag
        samples = self._samples(history, out)
        return self._judge_samples(samples, out)

    def _elapsed_us(self, last_us: Times) -> Floats:
        elapsed_us = self.borders.elapsed_us(self.time_us)
        first = self.borders.starts
        elapsed_us[first] = np.where(last_us == ABSENT, np.nan, self.time_us[first] - last_us)
        return elapsed_us

    def _samples(self, history: History, out: Flags) -> Samples:
        """Select the samples, after their history; all other readings are MISSING or UNKNOWN."""
        # Not NaN, in one pass.
        present = self.value == self.value
        time_us, value, begin = self.time_us, self.value, self.borders.starts
        if present.all():
            at = np.arange(self.start, self.start + self.borders.n)
        else:
            at = np.flatnonzero(present)
            begin = at.searchsorted(begin)
            at += self.start
            time_us, value = time_us[present], value[present]
            missing = np.flatnonzero(np.logical_not(present, out=present))
            for check in _OF_NEIGHBOURS:
                out[check][missing] = Flag.MISSING
        samples = Samples.after(history, time_us, value, at, begin, self.meter)
        if len(samples.at) < len(at) + len(history):
            again = np.setdiff1d(at, samples.at, assume_unique=True)
            for check in _OF_NEIGHBOURS:
                out[check][again - self.start] = Flag.UNKNOWN
        return samples

    def _judge_samples(self, samples: Samples, out: Flags) -> tuple[Judged, History]:
        borders, limits = samples.borders, self.limits
        if len(samples.meter) < len(self.meter):
            limits = limits.take(np.searchsorted(self.meter, samples.meter))
        rise = borders.rises(samples.value)
        np.abs(rise, out=rise)
        rate = rate_of_change(rise, samples.elapsed_us, borders, limits.rate_per_s, limits.fail_rate_per_s)
        mean = borders.neighbour_means(samples.value)
        spikes = spike(samples.value, mean, borders, limits.spike, limits.fail_spike)
        tolerance = limits.flat_tolerance
        runs = Runs.of(near_before(rise, tolerance))
        flat = flat_line(
            samples.time_us, samples.value, runs, borders, limits.flat_us, limits.fail_flat_us, tolerance
        )
        for check, found in ((RATE, rate), (SPIKE, spikes), (FLAT, flat)):
            self._put(out[check], samples, found)
        left = samples.left(runs, limits.longest_flat_us, ends_suffice=tolerance == 0)
        return self._judged(samples, spikes, out), left

    def _put(self, out: Flags, samples: Samples, found: Found) -> None:
        place = samples.at[found.at] - self.start
        new = place >= 0
        out[place[new]] = found.flag[new]

    def _judged(self, samples: Samples, spikes: Found, out: Flags) -> Judged:
        """Say what became of the last samples before the block."""
        late = samples.waiting(self.start)
        flag = spikes.dense(samples.borders.n)[late] if len(late) else np.empty(0, np.uint8)
        meter = samples.meter[samples.borders.segment(late)]
        return Judged(self.start, self.start + self.borders.n, out, meter, samples.at[late], flag)
