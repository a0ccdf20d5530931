"""Registers that are shown later than gas flows, and how late: what they caught up with proves it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from analytics.block import US_PER_S, Block, Floats
from analytics.register.reversal import Registers, registered
from analytics.register.series import Series
from analytics.register.standing import CM3_PER_M3, Counts, Standing, added_cm3
from analytics.samples import Samples, creep_m3h, flow
from analytics.segments import Positions, lowest_so_far
from fleet.meter_table import each

#: Carried: the longest that was proven, microseconds.
FIELDS = (("stalled_lateness", "i8"),)
#: How much longer than it was ever shown late a register has to stand to be dead.
TIMES_LATE = 2
#: A register has caught up if it moved by what the snapshots add up to, within this factor.
_WITHIN = 2.0


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Stands:
    """The samples of the flow beside a register, where the register moved, and how it stood between."""

    samples: Samples
    #: Ascending positions among the samples.
    breaks: Positions
    standing: Standing
    lateness: Lateness

    @classmethod
    def of(cls, block: Block) -> Stands:
        """Look at a block; for `Block.once`."""
        disturbed = block.once(Registers.of).disturbed
        present = block.once(registered) & block.once(flow).usable
        samples = Samples.of(block, block.readings.flow_m3h, present | disturbed)
        broken = disturbed[samples.rows].copy()
        late = samples.seg.late(samples.time_us, block.state["stalled_last_us"], block.silent_limit_us)
        broken[late] = True
        breaks = np.flatnonzero(broken)
        standing = Standing.of(block, samples, breaks)
        lateness = Lateness.of(block, samples, _ends(block, samples, breaks, standing), late)
        return cls(samples=samples, breaks=breaks, standing=standing, lateness=lateness)


class _Ended(NamedTuple):
    """Stands that showed gas and ended, as arrays of shape (e,)."""

    #: Position of the sample that ends each, ascending; what its snapshots add up to, and since when they
    #: show gas.
    ends: Positions
    shown_cm3: Counts
    since_us: Counts


@dataclass(frozen=True, slots=True, eq=False)
class Lateness:
    """How late registers were proven to be shown.

    A telemetry unit may take a register over more rarely than it reports. Then it stands while gas flows,
    and moves by what flowed meanwhile. So a stand is proven to be late display if it showed gas for no
    longer than `stalled_late_at_most_s` and `stalled_steps` register steps or more, and the working register
    then moved by what the snapshots add up to, within a factor of 2 and a step. A dead register never
    catches up.
    """

    #: Rows of the block at which it was proven, ascending, and the longest until then; shape (p,).
    rows: Positions
    longest_us: Counts

    @classmethod
    def of(cls, block: Block, samples: Samples, ended: _Ended, late: Positions) -> Lateness:
        """Look at stands that showed gas and ended, but not by samples that came late."""
        ends, shown_cm3, since_us = ended
        rows, late_us = samples.row_of(ends), samples.time_us[ends] - since_us
        meter = samples.seg.meter_of(ends)
        shows = samples.value[ends] > creep_m3h(block)[meter]
        shown_cm3[shows] += added_cm3(block, samples, ends[shows])
        shown_m3, moved_m3 = shown_cm3 / CM3_PER_M3, _rise_at(block.once(Registers.of).volume, rows)
        step_m3 = block.meters.register_step_m3[meter]
        proven = shown_m3 >= each(block.limit(lambda p: p.stalled_steps), meter) * step_m3
        proven &= (moved_m3 >= shown_m3 / _WITHIN) & (moved_m3 <= shown_m3 * _WITHIN + step_m3)
        proven &= ~np.isin(ends, late)
        proven &= late_us <= each(block.limit(lambda p: p.stalled_late_at_most_s * US_PER_S), meter)
        rows, late_us, meter = rows[proven], late_us[proven], meter[proven]
        firsts = np.ones(len(rows), dtype=np.bool_)
        firsts[1:] = meter[1:] != meter[:-1]
        longest = -lowest_so_far(-late_us.astype(np.float64), firsts)
        return cls(rows, longest.astype(np.int64))

    def up_to(self, block: Block, rows: Positions, meters: Positions) -> Counts:
        """Tell how late registers were proven to be up to some rows of the block, microseconds.

        `meters` are the rows' meters; a row before its meter's first one asks for what was carried.
        """
        seg, carried_us = block.seg, block.state["stalled_lateness"][meters]
        if len(self.rows) == 0:
            return carried_us
        at = np.searchsorted(self.rows, rows, side="right") - 1
        here = (at >= 0) & (self.rows[at] >= seg.starts[seg.rank_of(meters)])
        return np.where(here, np.maximum(self.longest_us[at], carried_us), carried_us)

    def closing(self, block: Block) -> NDArray[np.int64]:
        """Give each meter the longest that was proven, shape (m,)."""
        seg, out = block.seg, block.state["stalled_lateness"].copy()
        out[seg.meters] = self.up_to(block, seg.stops - 1, seg.meters)
        return out


def _ends(block: Block, samples: Samples, breaks: Positions, standing: Standing) -> _Ended:
    """Find the samples that end stands, what each stand's snapshots add up to, and since when they show gas.

    A stand of earlier blocks may be ended by a break before anything of this block shows gas.
    """
    seg, state, runs = samples.seg, block.state, standing.runs
    over = np.flatnonzero(standing.stops < seg.stops[seg.segment_of(runs.lasts)])
    first = np.append(breaks, seg.n)[np.searchsorted(breaks, seg.starts)]
    heads = np.append(runs.at[runs.heads], seg.n)
    carried = (first < seg.stops) & (state["stalled_seen"][seg.meters] > 0)
    carried &= heads[np.searchsorted(heads, seg.starts)] > first
    old = seg.meters[carried]
    ends = np.concatenate([standing.stops[over], first[carried]])
    shown = np.concatenate([standing.sums[runs.heads + runs.counts - 1][over], state["stalled_cm3"][old]])
    since_us = np.concatenate([standing.since_us[over], state["stalled_since_us"][old]])
    order = np.argsort(ends, kind="stable")
    return _Ended(ends[order], shown[order], since_us[order])


def _rise_at(series: Series, rows: Positions) -> Floats:
    """Give the rise of a register at some rows of the block; NaN where it has no sample."""
    samples, rise = series.samples, series.rise[series.tailed.own]
    if isinstance(samples.rows, slice):
        return rise[rows]
    at = np.searchsorted(samples.rows, rows)
    there = np.append(samples.rows, -1)[at] == rows
    return np.where(there, np.append(rise, np.nan)[at], np.nan)
