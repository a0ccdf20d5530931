"""Does the meter show any sign of use? Idle and stuck look the same from here."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from analytics.block import US_PER_DAY, US_PER_S, Block, Check, Verdict, tracked
from analytics.register.reversal import Registers, registered
from analytics.samples import flow
from analytics.segments import Mask, Positions
from analytics.tracking import Tracker
from fleet.flags import Flag
from fleet.meter_table import Limit, each
from fleet.readings import ABSENT


def check_idle(block: Block) -> Verdict:
    """Flag a meter SUSPECT that shows no sign of use for `idle_after_s`.

    Signs of use are a register that moved and a snapshot above 0. Idle and stuck look the same
    from here: the valve, purchases or a visit decide. Onset: the last sign of use, or the first
    reading with a register where there was none; value: days since.
    """
    state, seg = block.state, block.seg
    present = block.once(registered)
    used = _uses(block, present)
    flags = block.flags(present)
    verdict = Verdict(flags={"idle_or_stuck": flags})
    limit_us = block.limit(lambda p: p.idle_after_s * US_PER_S)
    days, active_us = None, None
    if _may_be_idle(block, limit_us):
        active_us = seg.latest(block.time_us, used, state["active_us"])
        for_us = block.time_us - active_us
        idle = present & (for_us >= seg.spread(limit_us)) & (active_us != ABSENT)
        flags[idle] = Flag.SUSPECT
        days = for_us / US_PER_DAY
    nothing = np.broadcast_to(np.nan, len(block))
    entries = block.decisions(flags, nothing if days is None else days, active_us)
    tracker = Tracker(code="idle_or_stuck")
    block.track(verdict, entries, tracker, limit_us / US_PER_DAY, limit_name="idle_after_s")
    verdict.state["active_us"] = _last_use(block, used)
    return verdict


def _uses(block: Block, present: Mask) -> Mask:
    """Mark signs of use, and each meter's first reading with a register where there was none before."""
    snapshots = block.once(flow)
    used = block.once(Registers.of).moved
    used |= (block.readings.flow_m3h > 0) & snapshots.usable
    new = np.flatnonzero(block.state["active_us"][block.seg.meters] == ABSENT)
    if len(new):
        used[_first_registered(block, present, used, new)] = True
    return used


def _first_registered(block: Block, present: Mask, used: Mask, new: Positions) -> Positions:
    """Find the first reading with a register of some segments, where gas was not used before it."""
    starts, stops = block.seg.starts[new], block.seg.stops[new]
    if present[starts].all():
        return starts
    ends, used_at = (np.append(np.flatnonzero(mask), len(block)) for mask in (present, used))
    at = ends[np.searchsorted(ends, starts)]
    return at[(at < stops) & (at < used_at[np.searchsorted(used_at, starts)])]


def _may_be_idle(block: Block, limit_us: Limit) -> bool:
    """Tell whether any meter was heard over a time long enough; most blocks are shorter than that."""
    seg, active_us = block.seg, block.state["active_us"][block.seg.meters]
    since_us = np.where(active_us == ABSENT, block.time_us[seg.starts], active_us)
    return bool((block.time_us[seg.stops - 1] - since_us >= each(limit_us, seg.meters)).any())


def _last_use(block: Block, used: Mask) -> NDArray[np.int64]:
    at = block.seg.latest_event(np.flatnonzero(used))
    some = at >= 0
    active_us: NDArray[np.int64] = block.state["active_us"].copy()
    active_us[block.seg.meters[some]] = block.time_us[at[some]]
    return active_us


CHECK = Check(
    codes=("idle_or_stuck",),
    run=check_idle,
    # The last sign of use.
    carries=(("active_us", "i8"),),
    tracks=tracked("idle_or_stuck"),
)
