"""Does the meter show any sign of use? Idle and stuck look the same from here."""

from __future__ import annotations

import numpy as np

from analytics.block import US_PER_DAY, US_PER_S, Block, Check, Verdict
from analytics.register.reversal import Registers
from analytics.segments import Mask, Segments
from analytics.tracking import Tracker
from fleet.flags import Flag
from fleet.meter_table import each
from fleet.readings import ABSENT


def check_idle(block: Block) -> Verdict:
    """Flag a meter SUSPECT that shows no sign of use for `idle_after_s`.

    Signs of use are a register that moved and a snapshot above 0. Idle and stuck look the same
    from here: the valve, purchases or a visit decide. Onset: the last sign of use, or the first
    reading with a register where there was none; value: days since.
    """
    state, moved = block.state, block.once(Registers.of).moved
    present = ~(np.isnan(block.volume_m3) & np.isnan(block.std_volume_m3))
    used = moved | (~block.dropout & (block.readings.flow_m3h > 0))
    active_us = block.seg.latest(block.time_us, used, state["active_us"])
    began = present & (active_us == ABSENT)
    if began.any():
        used |= _first_of(block.seg, began)
        active_us = block.seg.latest(block.time_us, used, state["active_us"])
    for_us = block.time_us - active_us
    limit_us = block.limit(lambda p: p.idle_after_s * US_PER_S)
    idle = present & (for_us >= each(limit_us, block.seg.row)) & (active_us != ABSENT)

    flags = block.flags(present)
    flags[idle] = Flag.SUSPECT
    verdict = Verdict(flags={"idle_or_stuck": flags})
    entries = block.decisions(flags, for_us / US_PER_DAY, active_us)
    tracker = Tracker(code="idle_or_stuck")
    block.track(verdict, entries, tracker, limit_us / US_PER_DAY, limit_name="idle_after_s")
    verdict.state["active_us"] = block.seg.closing(active_us, state["active_us"])
    return verdict


def _first_of(seg: Segments, which: Mask) -> Mask:
    """Mark the first sample of each segment for which `which` holds."""
    rows = np.flatnonzero(which)
    out = np.zeros(len(seg), dtype=np.bool_)
    out[rows] = seg.take(rows).first
    return out


CHECK = Check(
    codes=("idle_or_stuck",),
    run=check_idle,
    # The last sign of use.
    carries=(("active_us", "i8"),),
    tracks=("idle_or_stuck",),
)
