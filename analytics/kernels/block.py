"""The five checks on one block of readings."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Self

import numpy as np
from numpy.typing import NDArray

from analytics.kernels.borders import Array, Borders, Floats, Found, Limit, Positions
from analytics.kernels.flat import Runs, Times, flat_flags, near_before
from analytics.kernels.graded import gross_range, outstanding, rate_of_change, spike, time_gap
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
        borders, limits = self.borders, self.limits
        elapsed_us = borders.elapsed_us(self.time_us)
        elapsed_us[borders.starts] = self.time_us[borders.starts] - last_us
        gap = time_gap(elapsed_us, borders, limits.gap_us, limits.fail_gap_us)
        out[GAP][gap.at] = gap.flag
        out[GAP][borders.starts[last_us == ABSENT]] = Flag.UNKNOWN
        wide = gross_range(self.value, borders, limits.low, limits.high, limits.fail_low, limits.fail_high)
        out[RANGE][wide.at] = wide.flag
        missing = wide.at[wide.flag == Flag.MISSING]
        samples = Samples.after(
            history, self.time_us, self.value, missing, borders, elapsed_us, self.meter, self.start
        )
        judged, left = self._judge_samples(samples, out)
        again = samples.reading_of(samples.out.at) - self.start
        for check in _OF_NEIGHBOURS:
            out[check][again] = Flag.UNKNOWN
            out[check][missing] = Flag.MISSING
        return judged, left

    def _judge_samples(self, samples: Samples, out: Flags) -> tuple[Judged, History]:
        borders, limits = samples.borders, self.limits
        rise = borders.rises(samples.value)
        spikes = self._spikes(samples, rise)
        size = np.abs(rise, out=rise)
        rate = rate_of_change(size, samples.elapsed_us, borders, limits.rate_per_s, limits.fail_rate_per_s)
        for check, found in ((RATE, rate), (SPIKE, spikes)):
            self._put(out[check], samples, found)
        tolerance = limits.flat_tolerance
        runs = Runs.of(near_before(size, tolerance))
        flat = flat_flags(
            samples.time_us, samples.value, runs, borders, limits.flat_us, limits.fail_flat_us, tolerance
        )
        out[FLAT] = flat if isinstance(samples.at, int) else flat[samples.at >= self.start]
        left = samples.left(runs, limits.longest_flat_us, ends_suffice=tolerance == 0)
        return self._judged(samples, spikes, out), left

    def _spikes(self, samples: Samples, rise: Floats) -> Found:
        """Judge spikes by the rises, into which what is left out has not put false rises of 0."""
        limits, out = self.limits, samples.out
        rise_of_filled = rise[out.at]
        rise[out.at] = np.nan
        at = outstanding(rise, samples.borders, limits.spike, limits.fail_spike)
        rise[out.at] = rise_of_filled
        before, after = samples.neighbours(at)
        value = samples.value[at]
        return spike(at, value, before, after, samples.borders, limits.spike, limits.fail_spike)

    def _put(self, out: Flags, samples: Samples, found: Found) -> None:
        place, flag = found
        if not isinstance(samples.at, int):
            place = samples.at[place] - self.start
            place, flag = place[place >= 0], flag[place >= 0]
        out[place] = flag

    def _judged(self, samples: Samples, spikes: Found, out: Flags) -> Judged:
        """Say what became of the last samples before the block."""
        late = samples.waiting(self.start)
        flag = spikes.dense(samples.borders.n)[late] if len(late) else np.empty(0, np.uint8)
        meter = samples.meter[samples.borders.segment(late)]
        at = samples.reading_of(late)
        return Judged(self.start, self.start + self.borders.n, out, meter, at, flag)
