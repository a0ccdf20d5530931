"""One quantity's samples in a block, selected once for all the checks that look at it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray

from analytics.segments import Array, Mask, Positions, Segments
from analytics.tracking import Decisions
from fleet.flags import Flag

if TYPE_CHECKING:
    from analytics.block import Block

Flags = NDArray[np.uint8]
Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Samples:
    """k samples of a block of n readings: those that report a quantity and are no dropout frames.

    A dozen checks look at each selection, so it is made once, and earlier samples are numbers of the state;
    the kernels' own `Samples` serve one look and keep all in place, with the earlier ones in front.
    """

    seg: Segments
    #: Position of each sample in the block; all of it where nothing is left out.
    rows: Positions | slice
    #: Shape (k,).
    time_us: NDArray[np.int64]
    value: Floats
    #: Shape (n,): MISSING where nothing is reported, UNKNOWN at dropout frames, else GOOD.
    base: Flags
    #: Shape (n,): readings that report the quantity, dropout frames left out.
    usable: Mask = field(repr=False)
    #: Whether each reading of the block is later than its meter's one before.
    apart: bool

    @classmethod
    def of(cls, block: Block, values: Floats, reported: Mask | None = None) -> Self:
        """Select from a column of the block; `reported`, shape (n,), where it is not just "not NaN"."""
        usable = ~np.isnan(values) if reported is None else reported
        base = missing_or_good(usable)
        if block.blanked:
            usable = usable & ~block.dropout
            base[block.dropout] = Flag.UNKNOWN
        apart = block.once(_apart)
        if usable.all():
            return cls(block.seg, slice(None), block.time_us, values, base, usable, apart)
        rows = np.flatnonzero(usable)
        return cls(block.seg.take(rows), rows, block.time_us[rows], values[rows], base, usable, apart)

    def later(self, carried_us: NDArray[np.int64]) -> Samples:
        """Leave out second samples of one time, for they cannot confirm the first.

        `carried_us` has shape (m,): the last sample of the run before.
        """
        seg = self.seg
        if self.apart and bool((self.time_us[seg.starts] > carried_us[seg.meters]).all()):
            return self
        elapsed = seg.rises(self.time_us, carried_us)
        chosen = np.flatnonzero(elapsed > 0)
        rows = self.row_of(chosen)
        again = self.row_of(np.flatnonzero(elapsed <= 0))
        base, usable = self.base.copy(), self.usable.copy()
        base[again] = Flag.UNKNOWN
        usable[again] = False
        seg = self.seg.take(chosen)
        return Samples(seg, rows, self.time_us[chosen], self.value[chosen], base, usable, apart=True)

    def row_of(self, at: Positions) -> Positions:
        """Find where some samples stand in the block."""
        return at if isinstance(self.rows, slice) else self.rows[at]

    def flags(self, flag: Flags, base: Flags | None = None) -> Flags:
        """Spread the samples' flags over the readings of the block; the others have those of `base`.

        Where a sample is GOOD, `base` says whether its reading is.
        """
        if isinstance(self.rows, slice):
            return flag
        out = (self.base if base is None else base).copy()
        odd = flag != Flag.GOOD
        if 4 * np.count_nonzero(odd) > len(flag):
            out[self.rows] = flag
        else:
            at = np.flatnonzero(odd)
            out[self.rows[at]] = flag[at]
        return out

    def good(self) -> Flags:
        """Begin with flags of samples that are all GOOD, shape (k,)."""
        return np.full(len(self.seg), Flag.GOOD, dtype=np.uint8)

    def put_undecided(self, flag: Flags, known: Mask) -> None:
        """Set samples of meters UNKNOWN for which `known`, shape (m,), does not hold, in place."""
        if not known.all():
            flag[~self.seg.spread(known)] = Flag.UNKNOWN

    def decisions(self, flag: Flags, value: Floats, onset_us: NDArray[np.int64] | None = None) -> Decisions:
        """Pair every sample with its flag and value."""
        return Decisions(seg=self.seg, time_us=self.time_us, flag=flag, value=value, onset_us=onset_us)

    def closing_of(self, column: Array, carried: Array) -> Array:
        """Give each meter the value that a column of the block has at its last sample."""
        out = np.array(carried, dtype=column.dtype)
        out[self.seg.meters] = column[self.row_of(self.seg.stops - 1)]
        return out

    def closing(self, values: Any, carried: Array) -> Array:
        """Give each meter the value, shape (k,), of its last sample."""
        return self.seg.closing(values, carried)


def _apart(block: Block) -> bool:
    later = block.time_us[1:] > block.time_us[:-1]
    later[block.seg.starts[1:] - 1] = True
    return bool(later.all())


def missing_or_good(present: Mask) -> Flags:
    """Make flags: GOOD where something is reported, else MISSING."""
    out = np.logical_not(present).view(np.uint8)
    out *= np.uint8(Flag.MISSING - Flag.GOOD)
    out += np.uint8(Flag.GOOD)
    return out


def flow(block: Block) -> Samples:
    """Select the snapshots of the flow; for `Block.once`."""
    return Samples.of(block, block.readings.flow_m3h)


def creep_m3h(block: Block) -> Floats:
    """Work out the flow that a creeping zero may show, shape (m,); 0 where Qmax is not known."""
    share = block.limit(lambda p: p.creep_share_of_qmax)
    return np.nan_to_num(share * block.meters.qmax_m3h)
