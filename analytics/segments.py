"""Tools over flat arrays in which each meter's samples stand together, in order of time."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from analytics.kernels.borders import Borders
from analytics.kernels.graded import time_gap
from fleet.flags import Flag

Array = NDArray[Any]
Mask = NDArray[np.bool_]
Positions = NDArray[np.intp]

#: Halving among the borders costs a position about as much as filling so many elements of a column.
_MANY = 8


@dataclass(frozen=True, eq=False)
class Segments:
    """n samples of m meters; a segment is one meter's samples, and none is empty.

    What came before a segment's first sample is an argument of shape (m,): the carried state.
    """

    n: int
    #: Position of each segment's first sample, and the meter's row, 0 to m-1, ascending; shape (k,).
    starts: Positions
    meters: Positions

    @classmethod
    def of(cls, row: NDArray[np.integer[Any]]) -> Self:
        """Find the borders between meters; `row` is each sample's."""
        starts = Borders.of(row).starts
        return cls(len(row), starts, row[starts].astype(np.intp))

    def __len__(self) -> int:
        return self.n

    @cached_property
    def stops(self) -> Positions:
        """Position after each segment's last sample, shape (k,)."""
        return self.borders.stops

    @cached_property
    def counts(self) -> Positions:
        """Samples of each segment, shape (k,)."""
        return self.borders.counts

    @cached_property
    def borders(self) -> Borders:
        """The same for the kernels."""
        return Borders.at(self.n, self.starts)

    @cached_property
    def row(self) -> Positions:
        """Row of each sample's meter, shape (n,)."""
        return self.meters.repeat(self.counts)

    @cached_property
    def rank(self) -> Positions:
        """Each sample's segment, shape (n,)."""
        return np.arange(len(self.starts)).repeat(self.counts)

    @cached_property
    def first(self) -> Mask:
        """Whether the sample is its meter's first one."""
        return self.marks(self.starts)

    @cached_property
    def last(self) -> Mask:
        """Whether the sample is its meter's last one."""
        return self.marks(self.stops - 1)

    def marks(self, at: Positions) -> Mask:
        """Make a mask of positions."""
        out = np.zeros(self.n, dtype=np.bool_)
        out[at] = True
        return out

    def segment_of(self, at: Positions) -> Positions:
        """Find the segment of each position."""
        return self.rank[at] if self._many(at) else self.borders.segment(at)

    def meter_of(self, at: Positions) -> Positions:
        """Find the row of the meter of each position."""
        return self.row[at] if self._many(at) else self.meters[self.borders.segment(at)]

    def _many(self, at: Positions) -> bool:
        """Tell whether looking up a column pays, even if it is to be made first."""
        return len(at) > self.n // _MANY

    def rank_of(self, meters: Positions) -> Positions:
        """Find the segments of rows of meters that have one."""
        return np.searchsorted(self.meters, meters)

    def spread(self, limit: Any) -> Any:
        """Give every sample its meter's limit; one number for all stays one."""
        return limit[self.meters].repeat(self.counts) if isinstance(limit, np.ndarray) else limit

    def take(self, which: Array) -> Segments:
        """Select samples by a mask or by ascending positions."""
        at = which.nonzero()[0] if which.dtype == np.bool_ else which
        if len(at) == self.n:
            return self
        starts = at.searchsorted(self.starts)
        some = Borders.at(len(at), starts).stops > starts
        return Segments(len(at), starts[some], self.meters[some])

    def previous(self, values: Array, carried: Array) -> Array:
        """Shift by one within each segment; the first takes its meter's carried value."""
        out = np.empty_like(values)
        out[1:] = values[:-1]
        out[self.starts] = carried[self.meters]
        return out

    def rises(self, values: Array, carried: Array) -> Array:
        """Measure the rise since the one before; the first's is over its meter's carried value."""
        out = np.empty_like(values)
        np.subtract(values[1:], values[:-1], out=out[1:])
        out[self.starts] = values[self.starts] - carried[self.meters]
        return out

    def late(self, time_us: Array, carried_us: Array, limit_us: Array) -> Positions:
        """Find the samples that come longer than their meter's limit, shape (m,), after the one before."""
        elapsed_us = self.rises(time_us, carried_us)
        return time_gap(elapsed_us, self.borders, limit_us[self.meters]).at

    def next_of(self, values: Array, at: Positions, fill: Any) -> Array:
        """Look one ahead of some positions; a segment's last takes `fill`."""
        ahead = at + 1
        ends = ahead == self.stops[self.segment_of(at)]
        ahead[ends] = 0
        return np.where(ends, fill, values[ahead])

    def previous_of(self, values: Array, at: Positions, carried: Array) -> Array:
        """Look one back from some positions; a segment's first takes its meter's carried value."""
        out = values[at - 1]
        segment = self.segment_of(at)
        firsts = at == self.starts[segment]
        out[firsts] = carried[self.meters[segment[firsts]]]
        return out

    def latest(self, values: Array, event: Mask, carried: Array) -> Array:
        """Give each sample the value of the latest event up to and including itself.

        Before a segment's first event that is the meter's carried value.
        """
        at = np.where(event | self.first, np.arange(len(values)), 0)
        at = np.maximum.accumulate(at)
        out = values[at]
        unseen = ~event[at]
        out[unseen] = carried[self.row[unseen]]
        return out

    def latest_event(self, events: Positions) -> Positions:
        """Find each segment's last event among ascending positions; -1 where it has none."""
        if len(events) == 0:
            return np.full(len(self.starts), -1, dtype=np.intp)
        at = events[np.searchsorted(events, self.stops) - 1]
        return np.where((at >= self.starts) & (at < self.stops), at, -1)

    def closing(self, values: Array, carried: Array) -> Array:
        """Give each meter the value of its last sample; one without samples keeps what it carried."""
        out = np.array(carried, dtype=values.dtype)
        out[self.meters] = values[self.stops - 1]
        return out

    def before_last(self, values: Array, carried: Array) -> Array:
        """Give each meter the value of its last sample but one; with one sample, what was carried before.

        That is the closing of `previous(values, carried)`.
        """
        out = np.array(carried, dtype=values.dtype)
        several = self.counts > 1
        out[self.meters[several]] = values[self.stops[several] - 2]
        return out


@dataclass(frozen=True, slots=True, eq=False)
class Tailed:
    """Samples with the last one of the run before put in front of each segment that has one.

    With it a rule that looks one sample ahead decides on the sample that had to wait.
    """

    seg: Segments
    #: Positions of the carried samples; and, where there are any, of the others.
    tails: Positions
    own: Positions | slice
    #: Rows of the meters of the carried samples.
    meters: Positions

    @classmethod
    def of(cls, seg: Segments, has_tail: Mask) -> Self:
        """Make room before the first sample of each meter for which `has_tail`, shape (m,), holds."""
        tailed = has_tail[seg.meters]
        if not tailed.any():
            nothing = np.empty(0, dtype=np.intp)
            return cls(seg, nothing, slice(None), nothing)
        shift = np.cumsum(tailed)
        starts = seg.starts + shift - tailed
        whole = Segments(len(seg) + int(shift[-1]), starts, seg.meters)
        own = np.arange(len(seg)) + np.repeat(shift, seg.counts)
        return cls(whole, starts[tailed], own, seg.meters[tailed])

    def join(self, values: Array, carried: Array) -> Array:
        """Put each meter's carried value before its samples."""
        if len(self.tails) == 0:
            return values
        out = np.empty(len(self.seg), dtype=values.dtype)
        out[self.own] = values
        out[self.tails] = carried[self.meters]
        return out

    def own_of(self, at: Positions) -> Positions:
        """Find where positions stand among the samples without carried ones; those are left out."""
        if len(self.tails) == 0:
            return at
        before = np.searchsorted(self.tails, at, side="right")
        carried = (before > 0) & (self.tails[before - 1] == at)
        own: Positions = (at - before)[~carried]
        return own

    def unsaid(self, flag: Array, waited: Mask) -> Array:
        """Make flags UNKNOWN of carried samples that did not wait: the run before spoke of them."""
        spoken_of = self.tails[~waited[self.tails]]
        if len(spoken_of) == 0:
            return flag
        out = flag.copy()
        out[spoken_of] = Flag.UNKNOWN
        return out


def lowest_so_far(values: NDArray[np.float64], starts: Mask) -> NDArray[np.float64]:
    """Run a minimum from each start to the next; exact, and free of NaN as the input must be.

    Ranks stand in for the values: a later stretch's ranks are pushed below all earlier ones, so
    that one running minimum over the whole array never looks back over a start.
    """
    order = np.argsort(values, kind="stable")
    rank = np.empty(len(values), dtype=np.int64)
    rank[order] = np.arange(len(values))
    shift = np.cumsum(starts) * len(values)
    lowest: NDArray[np.float64] = values[order[np.minimum.accumulate(rank - shift) + shift]]
    return lowest
