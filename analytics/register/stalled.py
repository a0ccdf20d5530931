"""Registers that stand still while gas flows."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from analytics.block import US_PER_S, Block, Check, Floats, Verdict, tracked
from analytics.kernels.borders import members
from analytics.register import lateness
from analytics.register.lateness import TIMES_LATE, Stands
from analytics.register.reversal import registered
from analytics.register.standing import CM3_PER_M3, FIELDS, Standing, improbability
from analytics.samples import Samples, flow
from analytics.segments import Mask, Positions, lowest_so_far
from analytics.tracking import Decisions, Tracker
from fleet.flags import Flag
from fleet.meter_table import each
from fleet.readings import ABSENT

_CODE = "register_stalled"
#: Fewer snapshots with gas prove nothing, however fine the register.
_SEEN_AT_LEAST = 3


def check_stalled(block: Block) -> Verdict:
    """Flag a register SUSPECT that stands still while gas flows.

    Looked at are readings with a snapshot and a register. A run goes on while no register moves, falls or
    leaps and no gap is longer than the meter's silence limit; a snapshot of 0 does not end it. A
    snapshot above `creep_share_of_qmax` Qmax shows gas, and would have added flow (up to Qmax) times the
    time since the sample before. It is a finding, up to the run's end, once

    - three snapshots show gas, the last of them `stalled_for_s` and `stalled_after_intervals` intervals
      after the first (or after the sample at which the register moved last, if that shows gas);
    - together they would have moved the register by `stalled_steps` steps;
    - that many and that large ones are no chance: if less than a step had passed in short bursts, their
      probability would be at most `stalled_chance` (`standing.improbability`);
    - the last of them is twice as long after the first as the register was ever shown late (`Lateness`).

    Onset: the first of them; value: what they would have added, m³, an estimate. A snapshot of 0 while
    the register moves is normal on an on/off burner and is nothing.
    """
    stands = block.once(Stands.of)
    samples, present = stands.samples, block.once(registered) & block.once(flow).usable
    decisions = _decisions(block, stands)

    flags, found = block.flags(present), np.flatnonzero(decisions.flag != Flag.GOOD)
    flags[samples.row_of(found)] = decisions.flag[found]
    carried = {**stands.standing.carried, "stalled_lateness": stands.lateness.closing(block)}
    verdict = Verdict(flags={_CODE: flags}, state=carried)
    made_of = ("stalled_steps", "register_step_m3")
    block.track(verdict, decisions, Tracker(code=_CODE), _limit_m3(block), limit_name=made_of)
    return verdict


def _limit_m3(block: Block) -> Floats:
    limit: Floats = block.limit(lambda p: p.stalled_steps) * block.meters.register_step_m3
    return limit


def _for_us(block: Block, stands: Stands) -> Floats:
    """Work out how long gas must have been seen in each run, shape (r,)."""
    runs, broken = stands.standing.runs, stands.standing.broken
    intervals = block.limit(lambda p: p.stalled_after_intervals) * block.meters.interval_s
    least_us = np.fmax(intervals, block.limit(lambda p: p.stalled_for_s)) * US_PER_S
    rows = np.where(broken < 0, -1, stands.samples.row_of(broken))
    late_us = stands.lateness.up_to(block, rows, runs.meters)
    for_us: Floats = np.fmax(least_us[runs.meters], TIMES_LATE * late_us)
    return for_us


def _decisions(block: Block, stands: Stands) -> Decisions:
    """Flag all samples from each run's first proof to its end, and those of a finding that goes on."""
    samples, standing = stands.samples, stands.standing
    flag = samples.good()
    found, began_us = _proofs(block, stands)
    begins, stops = standing.runs.at[found], standing.stops[_run_of(standing, found)]
    open_from, open_to = _going_on(block, samples, stands.breaks)
    if len(begins) + len(open_from) == 0:
        return samples.decisions(flag, np.broadcast_to(np.nan, len(flag)))
    flag[members(begins, stops)] = Flag.SUSPECT
    flag[members(open_from, open_to)] = Flag.SUSPECT
    value, onset_us = np.full(len(flag), np.nan), samples.time_us.copy()
    value[standing.runs.at] = standing.sums / CM3_PER_M3
    onset_us[begins] = began_us
    return samples.decisions(flag, value, onset_us)


def _run_of(standing: Standing, some: Positions) -> Positions:
    """Find the run of each of some samples that show gas."""
    return np.searchsorted(standing.runs.heads, some, side="right") - 1


def _going_on(block: Block, samples: Samples, breaks: Positions) -> tuple[Positions, Positions]:
    """Find where what was found before goes on in this block, and up to where."""
    seg = samples.seg
    segments = np.flatnonzero(block.state[_CODE]["started_us"][seg.meters] != ABSENT)
    begins = seg.starts[segments]
    ends = np.append(breaks, seg.n)[np.searchsorted(breaks, begins)]
    return begins, np.minimum(ends, seg.stops[segments])


def _proofs(block: Block, stands: Stands) -> tuple[Positions, NDArray[np.int64]]:
    """Find the first proof of each run, among the samples that show gas, and since when that was seen.

    Only runs that end up with enough are looked at closely.
    """
    samples, standing = stands.samples, stands.standing
    runs, limit_m3, for_us = standing.runs, _limit_m3(block), _for_us(block, stands)
    last = runs.heads + runs.counts - 1
    long = samples.time_us[runs.lasts] - standing.since_us >= for_us
    long &= standing.sums[last] >= limit_m3[runs.meters] * CM3_PER_M3
    long &= standing.seen[last] >= _SEEN_AT_LEAST
    if not long.any():
        return last[:0], standing.since_us[:0]
    at = members(runs.heads[long], runs.heads[long] + runs.counts[long])
    proven = _proven(block, samples, standing, at, for_us)
    at = at[proven]
    run = _run_of(standing, at)
    first = np.ones(len(at), dtype=np.bool_)
    first[1:] = run[1:] != run[:-1]
    return at[first], standing.since_us[run[first]]


def _proven(block: Block, samples: Samples, standing: Standing, at: Positions, for_us: Floats) -> Mask:
    """Tell of some samples that show gas, whole runs of them, whether they prove their run up to them."""
    run = _run_of(standing, at)
    meter = standing.runs.meters[run]
    heads = standing.runs.heads[run] == at
    added = standing.added[at].astype(np.float64)
    added[heads] = np.maximum(added[heads], standing.most_before[run[heads]])
    most_m3 = -lowest_so_far(-added, heads) / CM3_PER_M3
    shown_m3 = standing.sums[at] / CM3_PER_M3
    proven = samples.time_us[standing.runs.at[at]] - standing.since_us[run] >= for_us[run]
    proven &= standing.seen[at] >= _SEEN_AT_LEAST
    proven &= shown_m3 >= _limit_m3(block)[meter]
    step_m3 = block.meters.register_step_m3[meter]
    needed = -np.log(each(block.limit(lambda p: p.stalled_chance), meter))
    proven &= improbability(shown_m3, most_m3, standing.looked[at], step_m3) >= needed
    return proven


CHECK = Check(codes=(_CODE,), run=check_stalled, carries=(*FIELDS, *lateness.FIELDS), tracks=tracked(_CODE))
