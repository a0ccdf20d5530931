"""Runs of samples of which each goes on with what the one before it was."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from analytics.segments import Array, Mask, Positions, Segments, lowest_so_far


@dataclass(frozen=True, slots=True, eq=False)
class Runs:
    """r runs among the samples of segments; a run's first sample, which goes on with nothing, is left out.

    Where a segment's first sample goes on, the run began before, and its first sample was carried.
    """

    seg: Segments
    #: Positions of all c samples that go on, ascending.
    at: Positions
    #: Where each run begins in `at`, shape (r,).
    heads: Positions

    @classmethod
    def of(cls, seg: Segments, at: Positions) -> Runs:
        """Find the runs of the samples that go on."""
        begins = np.ones(len(at), dtype=np.bool_)
        np.not_equal(at[1:], at[:-1] + 1, out=begins[1:])
        if len(at):
            begins |= at == seg.starts[seg.segment_of(at)]
        return cls(seg, at, np.flatnonzero(begins))

    def __len__(self) -> int:
        return len(self.heads)

    @property
    def counts(self) -> Positions:
        """How many samples of each run go on, shape (r,)."""
        return np.diff(self.heads, append=len(self.at))

    @property
    def lasts(self) -> Positions:
        """Position of each run's last sample, shape (r,)."""
        lasts: Positions = self.at[self.heads + self.counts - 1]
        return lasts

    @property
    def meters(self) -> Positions:
        """Row of the meter of each run, shape (r,)."""
        return self.seg.meter_of(self.at[self.heads])

    def first_of(self, values: Array, carried: Array) -> Array:
        """Give the value of each run's first sample; `carried`, shape (m,), for those that began before."""
        return self.seg.previous_of(values, self.at[self.heads], carried)

    def spread(self, values: Array) -> Array:
        """Give every sample that goes on the value of its run."""
        return np.repeat(values, self.counts)

    def take(self, which: Mask) -> Runs:
        """Select runs."""
        counts = self.counts[which]
        return Runs(self.seg, self.at[np.repeat(which, self.counts)], np.cumsum(counts) - counts)

    def closing(self, values: Array, run_values: Array, carried: Array) -> Array:
        """Give each meter the value of its last sample, or that of the run to which this belongs."""
        out = self.seg.closing(values, carried)
        open_ = self.lasts == self.seg.stops[self.seg.segment_of(self.lasts)] - 1
        out[self.meters[open_]] = run_values[open_]
        return out


def lowest_of(runs: Runs, values: NDArray[np.float64], first: NDArray[np.float64]) -> NDArray[Any]:
    """Give each run's smallest value, the first sample's among them, shape (r,)."""
    if len(runs) == 0:
        return first
    return np.minimum(first, np.minimum.reduceat(values[runs.at], runs.heads))


def lowest_so_far_of(
    runs: Runs, values: NDArray[np.float64], first: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Give each sample that goes on the smallest value of its run up to itself; no value may be NaN."""
    some = values[runs.at]
    some[runs.heads] = np.minimum(some[runs.heads], first)
    starts = np.zeros(len(some), dtype=np.bool_)
    starts[runs.heads] = True
    return lowest_so_far(some, starts)
