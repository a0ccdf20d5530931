"""Registers that stand still while gas flows."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from analytics.block import US_PER_H, US_PER_S, Block, Check, Flags, Floats, Verdict, tracked
from analytics.register.reversal import Registers, registered
from analytics.runs import Runs, lowest_of, lowest_so_far_of
from analytics.samples import Samples, flow
from analytics.tracking import Tracker
from fleet.flags import Flag


def check_stalled(block: Block) -> Verdict:
    """Flag a register SUSPECT that stands still while gas flows.

    Looked at are readings with a snapshot and a register. A run begins at a snapshot above 0 and
    goes on while snapshots are above 0, no register moves, falls or leaps, and no gap is longer
    than the meter's silence limit. It is a finding once it is `stalled_for_s` and
    `stalled_after_intervals` intervals old (a burner that is on for minutes is met by chance, but not
    so often in a row) and the smallest snapshot since its start would have moved the register by
    `stalled_steps` steps; onset: the run's start; value: what that snapshot would have added,
    m³. A snapshot of 0 while the register moves is normal on an on/off burner and is nothing.
    """
    state, disturbed = block.state, block.once(Registers.of).disturbed
    present = block.once(registered) & block.once(flow).usable
    samples = Samples.of(block, block.readings.flow_m3h, present | disturbed)
    seg, time_us = samples.seg, samples.time_us
    # Where only a register was reported, it moved: no snapshot is as good as none above 0.
    flowing = samples.value > 0
    goes_on = flowing & seg.previous(flowing, state["flowing"])
    goes_on &= ~disturbed[samples.rows]
    at = np.flatnonzero(goes_on)
    within_us = time_us[at] - seg.previous_of(time_us, at, state["stalled_last_us"])
    runs = Runs.of(seg, at[within_us <= block.silent_limit_us[seg.meter_of(at)]])
    since_us = runs.first_of(time_us, state["stalled_since_us"])
    first = runs.first_of(samples.value, state["stalled_flow"])
    limit = block.limit(lambda p: p.stalled_steps) * block.meters.register_step_m3
    flag, demanded_m3 = _judge(block, samples, runs, (since_us, first), limit)

    flags, found = block.flags(present), np.flatnonzero(flag != Flag.GOOD)
    flags[samples.row_of(found)] = flag[found]
    verdict = Verdict(flags={"register_stalled": flags})
    onset_us = time_us.copy()
    onset_us[runs.at] = runs.spread(since_us)
    entries = samples.decisions(flag, demanded_m3, onset_us)
    made_of = ("stalled_steps", "register_step_m3")
    block.track(verdict, entries, Tracker(code="register_stalled"), limit, limit_name=made_of)
    lowest = lowest_of(runs, samples.value, first)
    flow_now = np.where(flowing, samples.value, 0.0)
    verdict.state |= {
        "stalled_last_us": seg.closing(time_us, state["stalled_last_us"]),
        "flowing": seg.closing(flowing, state["flowing"]),
        "stalled_since_us": seg.closing(onset_us, state["stalled_since_us"]),
        "stalled_flow": runs.closing(flow_now, lowest, state["stalled_flow"]),
    }
    return verdict


def _for_us(block: Block) -> Floats:
    """Work out how long a run must last, shape (m,)."""
    intervals = block.limit(lambda p: p.stalled_after_intervals) * block.meters.interval_s
    return np.fmax(intervals, block.limit(lambda p: p.stalled_for_s)) * US_PER_S


def _judge(
    block: Block, samples: Samples, runs: Runs, first: tuple[NDArray[np.int64], Floats], limit: Floats
) -> tuple[Flags, Floats]:
    """Give each sample its flag and what the run's smallest snapshot would have added so far, m³.

    `first` are the time and the snapshot with which each run began; only runs that are long enough
    for these to make a finding are looked at closely.
    """
    since_us, flow = first
    for_us = _for_us(block)
    length_us = samples.time_us[runs.lasts] - since_us
    long = (length_us >= for_us[runs.meters]) & (flow * length_us / US_PER_H >= limit[runs.meters])
    flag, demanded_m3 = samples.good(), np.zeros(len(samples.seg))
    if long.any():
        some, since_us = runs.take(long), since_us[long]
        elapsed_us = samples.time_us[some.at] - some.spread(since_us)
        demanded = lowest_so_far_of(some, samples.value, flow[long]) * elapsed_us / US_PER_H
        demanded_m3[some.at] = demanded
        meter = some.spread(some.meters)
        stalled = (elapsed_us >= for_us[meter]) & (demanded >= limit[meter])
        flag[some.at[stalled]] = Flag.SUSPECT
    return flag, demanded_m3


CHECK = Check(
    codes=("register_stalled",),
    run=check_stalled,
    # The last snapshot beside a register, whether it was above zero, since when so without
    # movement of the register, and the smallest such snapshot.
    carries=(
        ("stalled_last_us", "i8"),
        ("flowing", "?"),
        ("stalled_since_us", "i8"),
        ("stalled_flow", "f8"),
    ),
    tracks=tracked("register_stalled"),
)
