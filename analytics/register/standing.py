"""Snapshots that show gas beside registers that stand still, and whether so many can be chance."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from analytics.block import US_PER_H, Block, Floats
from analytics.runs import Runs
from analytics.samples import Samples, creep_m3h
from analytics.segments import Mask, Positions, Segments
from fleet.readings import ABSENT

Counts = NDArray[np.int64]

CM3_PER_M3 = 1_000_000
#: m³/h; what a snapshot counts for at most where Qmax is not known.
_MOST_M3H = 1e6
#: What is carried of the run that a meter's last sample is in.
FIELDS = (
    # The last sample; since when gas was seen in the run, ABSENT where it was not.
    ("stalled_last_us", "i8"),
    ("stalled_since_us", "i8"),
    # What the run's snapshots would have added, and the most that one of them would; whole numbers, so
    # that sums do not depend on how the history is cut.
    ("stalled_cm3", "i8"),
    ("stalled_most_cm3", "i8"),
    # How many snapshots the run has, and how many of them show gas.
    ("stalled_looked", "i8"),
    ("stalled_seen", "i8"),
)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Standing:
    """r runs of samples over which no register moved, of those that show gas; c samples show it.

    A run begins at a sample that breaks the one before: a register moved there, or a gap lies before
    it. That sample belongs to no run, but gas that it shows is the beginning of what is seen.
    """

    #: Those that show gas.
    runs: Runs
    #: Position before which each run ends: that of the next break, or its segment's end; shape (r,).
    stops: Positions
    #: Position of the break before each run, -1 where it began in a block before; shape (r,).
    broken: Positions
    #: Since when gas was seen, microseconds; the most that one snapshot before this block would have
    #: added, cm³; shape (r,).
    since_us: Counts
    most_before: Counts
    #: What each sample would have added, and it and those before it together; cm³, shape (c,).
    added: Counts
    sums: Counts
    #: How many samples the run has up to each one, and how many of them show gas; shape (c,).
    looked: Counts
    seen: Counts
    #: The state's fields, per meter.
    carried: dict[str, NDArray[Any]]

    @classmethod
    def of(cls, block: Block, samples: Samples, breaks: Positions) -> Standing:
        """Find them among samples of the flow; `breaks` are ascending positions."""
        seg, state = samples.seg, block.state
        gas = _gas(block, samples)
        at = np.flatnonzero(gas & ~seg.marks(breaks))
        segment, rank = seg.segment_of(at), np.searchsorted(breaks, at)
        begins = np.ones(len(at), dtype=np.bool_)
        begins[1:] = (rank[1:] != rank[:-1]) | (segment[1:] != segment[:-1])
        heads = np.flatnonzero(begins)
        runs, starts, rank = Runs.at_heads(seg, at, heads), seg.starts[segment[heads]], rank[heads]
        broken = np.append(-1, breaks)[rank]
        broken[broken < starts] = -1
        old = {name: np.where(broken < 0, state[name][runs.meters], 0) for name, _ in FIELDS}
        added = added_cm3(block, samples, at)
        total = np.cumsum(added)
        return cls(
            runs=runs,
            stops=np.minimum(np.append(breaks, seg.n)[rank], seg.stops[segment[heads]]),
            broken=broken,
            since_us=_since(samples, runs, broken, gas, old["stalled_since_us"]),
            most_before=old["stalled_most_cm3"],
            added=added,
            sums=total + runs.spread(old["stalled_cm3"] - total[heads] + added[heads]),
            looked=at + runs.spread(old["stalled_looked"] - np.where(broken < 0, starts - 1, broken)),
            seen=np.arange(len(at)) + runs.spread(old["stalled_seen"] - heads + 1),
            carried=_without_gas(block, samples, breaks, gas),
        ).closed(seg)

    def closed(self, seg: Segments) -> Standing:
        """Carry what is seen in the runs that each meter's last sample is in."""
        runs, carried = self.runs, self.carried
        open_ = np.flatnonzero(self.stops == seg.stops[seg.segment_of(runs.lasts)])
        last = runs.heads[open_] + runs.counts[open_] - 1
        meters = runs.meters[open_]
        carried["stalled_since_us"][meters] = self.since_us[open_]
        carried["stalled_cm3"][meters] = self.sums[last]
        carried["stalled_most_cm3"][meters] = self.most()[open_]
        carried["stalled_seen"][meters] = self.seen[last]
        return self

    def most(self) -> Counts:
        """Give the most that one snapshot of each run would have added, cm³, shape (r,)."""
        if len(self.runs) == 0:
            return self.most_before
        most: Counts = np.maximum(self.most_before, np.maximum.reduceat(self.added, self.runs.heads))
        return most


def _gas(block: Block, samples: Samples) -> Mask:
    """Mark snapshots above what a creeping zero may show."""
    gas: Mask = samples.value > samples.seg.spread(creep_m3h(block))
    return gas


def added_cm3(block: Block, samples: Samples, at: Positions) -> Counts:
    """Work out what some snapshots would have added since the sample before each; no more than Qmax."""
    seg, time_us = samples.seg, samples.time_us
    elapsed_us = time_us[at] - seg.previous_of(time_us, at, block.state["stalled_last_us"])
    most = np.fmin(block.meters.qmax_m3h, _MOST_M3H)[seg.meter_of(at)]
    added = np.minimum(samples.value[at], most) * (elapsed_us * (CM3_PER_M3 / US_PER_H))
    cm3: Counts = np.rint(added).astype(np.int64)
    return cm3


def _since(samples: Samples, runs: Runs, broken: Positions, gas: Mask, old_us: Counts) -> Counts:
    """Tell since when each run shows gas: since the sample that broke the one before it, if that does."""
    begin = runs.at[runs.heads]
    begin = np.where((broken >= 0) & gas[broken], broken, begin)
    since_us: Counts = samples.time_us[begin]
    return np.where((broken < 0) & (old_us != ABSENT), old_us, since_us)


def _without_gas(block: Block, samples: Samples, breaks: Positions, gas: Mask) -> dict[str, NDArray[Any]]:
    """Carry the runs that each meter's last sample is in as if they showed no gas in this block."""
    seg, state = samples.seg, block.state
    carried = {name: state[name].copy() for name, _ in FIELDS}
    at = seg.latest_event(breaks)
    new = at >= 0
    meters, at = seg.meters[new], at[new]
    for name in ("stalled_cm3", "stalled_most_cm3", "stalled_seen", "stalled_looked"):
        carried[name][meters] = 0
    carried["stalled_since_us"][meters] = np.where(gas[at], samples.time_us[at], ABSENT)
    carried["stalled_looked"][seg.meters] += seg.counts
    carried["stalled_looked"][meters] = seg.stops[new] - 1 - at
    carried["stalled_last_us"] = seg.closing(samples.time_us, state["stalled_last_us"])
    return carried


def improbability(shown: Floats, most: Floats, looked: Counts, passed: Floats) -> Floats:
    """Bound the chance of snapshots that show too much: natural logarithm of it, negated; shape (k,).

    Where `passed` m³ went through a meter at most, snapshots taken at random times add up, each times
    the time since the one before, to no more than that in the mean. Each of `looked` snapshots adds from
    0 to `most` m³. Then the sum is `shown` m³ or more with a probability of at most exp(-result).

    Source: Hoeffding, "Probability inequalities for sums of bounded random variables" (1963), theorem 1,
    (2.1). With hardly any snapshot above 0 it is the tail of a Poisson distribution, with all of them
    above 0 the power of a share.
    """
    room = looked * most
    with np.errstate(divide="ignore", invalid="ignore"):
        result = shown * np.log(shown / passed)
        left = room - shown
        result += np.where(left > 0, left * np.log(left / (room - passed)), 0.0)
        result /= most
    return np.where((shown > passed) & (room >= shown), result, 0.0)
