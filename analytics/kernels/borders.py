"""Where one meter's samples end and the next one's begin, and each sample's look at its neighbours."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from fleet.flags import Flag

Array = NDArray[Any]
Floats = NDArray[np.float64]
Positions = NDArray[np.intp]
Mask = NDArray[np.bool_]

#: A limit of every segment, shape (k,), or one for all.
Limit = NDArray[Any] | float


class Found(NamedTuple):
    """Samples that are not GOOD; every other one is."""

    #: Ascending, shape (c,).
    at: Positions
    #: Shape (c,).
    flag: NDArray[np.uint8]

    def joined(self, other: Found) -> Found:
        """Put two together that have no sample in common."""
        at = np.concatenate([self.at, other.at])
        order = np.argsort(at, kind="stable")
        return Found(at[order], np.concatenate([self.flag, other.flag])[order])

    def bad(self) -> Found:
        """Leave out what was looked at and is GOOD."""
        bad = self.flag != Flag.GOOD
        return Found(self.at[bad], self.flag[bad])

    def dense(self, n: int) -> NDArray[np.uint8]:
        """Write the flags of all n samples."""
        flags = np.full(n, Flag.GOOD, dtype=np.uint8)
        flags[self.at] = self.flag
        return flags


@dataclass(frozen=True, slots=True, eq=False)
class Borders:
    """n samples of k meters, each meter's together in order of time and none without a sample."""

    n: int
    #: Position of each segment's first sample, shape (k,).
    starts: Positions
    #: Position after each segment's last sample, shape (k,).
    stops: Positions

    @classmethod
    def at(cls, n: int, starts: Positions) -> Self:
        """Take borders that are known."""
        stops = np.empty_like(starts)
        stops[:-1] = starts[1:]
        stops[-1:] = n
        return cls(n, starts, stops)

    @classmethod
    def of(cls, row: Array) -> Self:
        """Find the borders in a column that is equal within a meter and differs from the next one's."""
        n = len(row)
        inner = np.flatnonzero(row[1:] != row[:-1])
        starts = np.empty(min(n, 1) + len(inner), dtype=np.intp)
        starts[:1] = 0
        np.add(inner, 1, out=starts[1:])
        return cls.at(n, starts)

    @classmethod
    def ascending(cls, row: Array) -> Self:
        """Find the borders in an ascending column of whole numbers, by halving where few can be in it."""
        most = int(row[-1]) - int(row[0]) + 1 if len(row) else 0
        if most > len(row) // 8:
            return cls.of(row)
        starts = row.searchsorted(np.arange(row[0], row[0] + most, dtype=row.dtype))
        return cls.at(len(row), starts[np.diff(starts, prepend=-1) > 0])

    def __len__(self) -> int:
        return len(self.starts)

    @property
    def counts(self) -> Positions:
        """Samples of each segment, shape (k,)."""
        return self.stops - self.starts

    def spread(self, limit: Limit) -> Limit:
        """Give every sample its segment's limit; a number stays one."""
        return limit.repeat(self.counts) if isinstance(limit, np.ndarray) and limit.ndim else limit

    def pick(self, positions: Positions, *limits: Limit) -> list[Limit]:
        """Give some samples their segment's limits; a number stays one."""
        if not any(isinstance(limit, np.ndarray) and limit.ndim for limit in limits):
            return list(limits)
        segment = self.segment(positions)
        return [limit[segment] if isinstance(limit, np.ndarray) and limit.ndim else limit for limit in limits]

    def segment(self, positions: Positions) -> Positions:
        """Find the segment of some samples."""
        return self.starts.searchsorted(positions, side="right") - 1

    def elapsed_us(self, time_us: NDArray[np.int64]) -> NDArray[np.int64]:
        """Measure the time since the sample before; without meaning at each segment's first."""
        out = np.empty(self.n, dtype=np.int64)
        np.subtract(time_us[1:], time_us[:-1], out=out[1:])
        out[self.starts] = 0
        return out

    def rises(self, value: Floats) -> Floats:
        """Measure the rise since the sample before; NaN at each segment's first."""
        out = np.empty(self.n)
        np.subtract(value[1:], value[:-1], out=out[1:])
        out[self.starts] = np.nan
        return out


def members(begins: Positions, stops: Positions) -> Positions:
    """Give all positions of some stretches, one stretch after the other."""
    length = stops - begins
    shift = begins - (np.cumsum(length) - length)
    return np.repeat(shift, length) + np.arange(length.sum())
