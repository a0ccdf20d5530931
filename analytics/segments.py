"""Tools over flat arrays in which each meter's samples stand together, in order of time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class Segments:
    """n samples of m meters; a segment is one meter's samples.

    What came before a segment's first sample is an argument of shape (m,): the carried state.
    """

    #: Position of the sample's meter, 0 to m-1, ascending.
    row: NDArray[np.intp]
    #: Whether the sample is its meter's first or last one.
    first: Mask
    last: Mask

    @classmethod
    def of(cls, row: NDArray[np.intp]) -> Self:
        """Find the borders between meters."""
        first = np.ones(len(row), dtype=np.bool_)
        np.not_equal(row[1:], row[:-1], out=first[1:])
        last = np.ones(len(row), dtype=np.bool_)
        last[:-1] = first[1:]
        return cls(row, first, last)

    def __len__(self) -> int:
        return len(self.row)

    def take(self, which: Array) -> Self:
        """Select samples by a mask or by ascending positions."""
        return self.of(self.row[which])

    def previous(self, values: Array, carried: Array) -> Array:
        """Shift by one within each segment; the first takes its meter's carried value."""
        out = np.empty_like(values)
        out[1:] = values[:-1]
        out[self.first] = carried[self.row[self.first]]
        return out

    def following(self, values: Array, fill: Any) -> Array:
        """Look one ahead within each segment; the last takes `fill`."""
        out = np.empty_like(values)
        out[:-1] = values[1:]
        out[self.last] = fill
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

    def closing(self, values: Array, carried: Array) -> Array:
        """Give each meter the value of its last sample; one without samples keeps what it carried."""
        out = np.array(carried, dtype=values.dtype)
        out[self.row[self.last]] = values[self.last]
        return out


@dataclass(frozen=True, slots=True, eq=False)
class Tailed:
    """Samples with the last one of the run before put in front of each segment that has one.

    With it a rule that looks one sample ahead decides on the sample that had to wait.
    """

    seg: Segments
    #: Whether the sample is such a carried one.
    is_tail: Mask
    _at: NDArray[np.intp]
    _rows: NDArray[np.intp]

    @classmethod
    def of(cls, seg: Segments, has_tail: Mask) -> Self:
        """Make room before the first sample of each meter for which `has_tail`, shape (m,), holds."""
        at = np.flatnonzero(seg.first & has_tail[seg.row])
        rows = seg.row[at]
        is_tail = np.insert(np.zeros(len(seg), dtype=np.bool_), at, values=True)
        return cls(Segments.of(np.insert(seg.row, at, rows)), is_tail, at, rows)

    def join(self, values: Array, carried: Array) -> Array:
        """Put each meter's carried value before its samples."""
        return np.insert(values, self._at, carried[self._rows].astype(values.dtype))


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
