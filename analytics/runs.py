"""Runs of samples of which each goes on with what the one before it was."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from analytics.segments import Array, Mask, Positions, Segments


@dataclass(frozen=True, slots=True, eq=False)
class Runs:
    """r runs among the samples of segments; a run's first sample, which goes on with nothing, is left out.

    Where a segment's first sample goes on, the run began before, and its first sample was carried: it
    is numbers of the state and has no position, which is why these are not `kernels.flat.Runs`.
    """

    seg: Segments
    #: Positions of all c samples that go on, ascending.
    at: Positions
    #: Where each run begins in `at`, and how many samples of it go on, shape (r,).
    heads: Positions
    counts: Positions
    #: Position of each run's last sample, and the row of its meter, shape (r,).
    lasts: Positions
    meters: Positions

    @classmethod
    def of(cls, seg: Segments, at: Positions) -> Runs:
        """Find the runs of the samples that go on."""
        begins = np.ones(len(at), dtype=np.bool_)
        np.not_equal(at[1:], at[:-1] + 1, out=begins[1:])
        if len(at):
            begins |= seg.first[at]
        return cls.at_heads(seg, at, np.flatnonzero(begins))

    @classmethod
    def at_heads(cls, seg: Segments, at: Positions, heads: Positions) -> Runs:
        """Take runs whose beginnings are known."""
        stops = np.empty_like(heads)
        stops[:-1] = heads[1:]
        stops[-1:] = len(at)
        return cls(seg, at, heads, stops - heads, at[stops - 1], seg.meter_of(at[heads]))

    def __len__(self) -> int:
        return len(self.heads)

    def first_of(self, values: Array, carried: Array) -> Array:
        """Give the value of each run's first sample; `carried`, shape (m,), for those that began before."""
        return self.seg.previous_of(values, self.at[self.heads], carried)

    def spread(self, values: Array) -> Array:
        """Give every sample that goes on the value of its run."""
        return np.repeat(values, self.counts)

    def take(self, which: Mask) -> Runs:
        """Select runs."""
        counts = self.counts[which]
        return Runs.at_heads(self.seg, self.at[np.repeat(which, self.counts)], np.cumsum(counts) - counts)
