"""Groups of neighbouring rows, and what is first, last, least and summed up in each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from analytics.segments import Array, Mask

Rows = NDArray[np.intp]


@dataclass(frozen=True, slots=True, eq=False)
class Groups:
    """k rows picked out of those of g groups; a group's rows stand together, some groups have none."""

    #: Where the picked rows stand, ascending, shape (k,).
    at: Rows
    #: The groups that have a picked row, and where in `at` the rows of each begin and end.
    group: Rows
    starts: Rows
    stops: Rows

    @classmethod
    def of(cls, heads: Mask, picked: Mask | None = None) -> Self:
        """Pick rows by a mask of shape (n,); `heads` marks each group's first row."""
        number = np.cumsum(heads) - 1
        at = np.arange(len(heads)) if picked is None else np.flatnonzero(picked)
        number = number[at]
        starts = np.flatnonzero(np.append(True, number[1:] != number[:-1])) if len(at) else at
        return cls(at, number[starts], starts, np.append(starts[1:], len(at))[: len(starts)])

    @property
    def first(self) -> Rows:
        """Give the first picked row of each group that has one."""
        return self.at[self.starts]

    @property
    def last(self) -> Rows:
        """Give the last picked row of each group that has one."""
        return self.at[self.stops - 1]

    def reduce(self, how: np.ufunc, values: Array) -> Array:
        """Reduce the picked rows of `values`, shape (n,), in each group that has one."""
        if len(self.at) == 0:
            return values[:0]
        out: Array = how.reduceat(values[self.at], self.starts)
        return out

    def count(self) -> Rows:
        """Count the picked rows of each group that has one."""
        return self.stops - self.starts

    def before(self) -> tuple[Rows, Rows]:
        """Pair neighbours: each picked row that follows another of its group, and that other."""
        inner = np.ones(len(self.at), dtype=np.bool_)
        inner[self.starts] = False
        later = np.flatnonzero(inner)
        return self.at[later - 1], self.at[later]

    def spread(self, size: int, values: Array, nothing: Any) -> Array:
        """Put a value per group that has a row into one per group of all `size` groups."""
        out = np.full(size, nothing, dtype=values.dtype)
        out[self.group] = values
        return out
