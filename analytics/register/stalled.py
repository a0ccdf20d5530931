"""Registers that stand still while gas flows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from analytics.block import US_PER_H, US_PER_S, Block, Check, Floats, Verdict
from analytics.register.reversal import Registers
from analytics.segments import Mask, Segments, lowest_so_far
from analytics.tracking import Decisions, Tracker
from fleet.flags import Flag
from fleet.meter_table import each


def check_stalled(block: Block) -> Verdict:
    """Flag a register SUSPECT that stands still while gas flows.

    Looked at are readings with a snapshot and a register. A run begins at a snapshot above 0 and
    goes on while snapshots are above 0, no register moves, falls or leaps, and no gap is longer
    than the meter's silence limit. It is a finding once it is `stalled_for_s` old and the smallest
    snapshot since its start would have moved the register by `stalled_steps` steps; onset: the
    run's start; value: what that snapshot would have added, m³. A snapshot of 0 while the register
    moves is normal on an on/off burner and is nothing.
    """
    state, flow, disturbed = block.state, block.readings.flow_m3h, block.once(Registers.of).disturbed
    present = ~(np.isnan(flow) | (np.isnan(block.volume_m3) & np.isnan(block.std_volume_m3)))
    rows = np.flatnonzero((present & ~block.dropout) | disturbed)
    seg, time_us = block.seg.take(rows), block.time_us[rows]
    run = _FlowRuns.of(block, seg, time_us, np.where(present[rows], flow[rows], 0.0), disturbed[rows])
    demanded_m3 = run.lowest * (time_us - run.since_us) / US_PER_H
    limit = block.limit(lambda p: p.stalled_steps) * block.meters.register_step_m3
    for_us = each(block.limit(lambda p: p.stalled_for_s * US_PER_S), seg.row)
    stalled = run.goes_on & (time_us - run.since_us >= for_us)
    stalled &= demanded_m3 >= limit[seg.row]

    flags = block.flags(present)
    flags[rows[stalled]] = Flag.SUSPECT
    verdict = Verdict(flags={"register_stalled": flags})
    flag = np.where(stalled, np.uint8(Flag.SUSPECT), np.uint8(Flag.GOOD))
    entries = Decisions(seg=seg, time_us=time_us, flag=flag, value=demanded_m3, onset_us=run.since_us)
    made_of = ("stalled_steps", "register_step_m3")
    block.track(verdict, entries, Tracker(code="register_stalled"), limit, limit_name=made_of)
    verdict.state |= {
        "stalled_last_us": seg.closing(time_us, state["stalled_last_us"]),
        "flowing": seg.closing(run.flowing, state["flowing"]),
        "stalled_since_us": seg.closing(run.since_us, state["stalled_since_us"]),
        "stalled_flow": seg.closing(run.lowest, state["stalled_flow"]),
    }
    return verdict


@dataclass(frozen=True, slots=True, eq=False)
class _FlowRuns:
    """Runs of snapshots above 0 without movement of a register, as arrays of shape (n,)."""

    flowing: Mask
    #: In a run, and not its first sample.
    goes_on: Mask
    since_us: NDArray[np.int64]
    #: The smallest snapshot since the run's start, m³/h; 0 outside of runs.
    lowest: Floats

    @classmethod
    def of(
        cls, block: Block, seg: Segments, time_us: NDArray[np.int64], flow: Floats, disturbed: Mask
    ) -> _FlowRuns:
        state = block.state
        flowing = flow > 0
        elapsed_us = time_us - seg.previous(time_us, state["stalled_last_us"])
        goes_on = flowing & seg.previous(flowing, state["flowing"]) & ~disturbed
        goes_on &= elapsed_us <= block.silent_limit_us[seg.row]
        since_us = seg.latest(time_us, ~goes_on, state["stalled_since_us"])
        return cls(flowing, goes_on, since_us, _lowest(seg, flow, goes_on, state["stalled_flow"]))


def _lowest(seg: Segments, flow: Floats, goes_on: Mask, carried: Floats) -> Floats:
    """Run the minimum of each run; a run of one sample is its own, and most are of one."""
    out = flow.copy()
    old = seg.first & goes_on
    out[old] = np.minimum(flow[old], carried[seg.row[old]])
    long = goes_on | seg.following(goes_on, fill=False)
    if goes_on.any():
        out[long] = lowest_so_far(out[long], (~goes_on | seg.first)[long])
    return out


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
    tracks=("register_stalled",),
)
