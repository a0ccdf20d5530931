"""What readings tell of the oil: how much was measured since it was filled, and whether its level was low."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from analytics.block import US_PER_DAY, Block, Check, Verdict
from analytics.episodes import Episodes
from analytics.oil.share import volume_share
from analytics.register.reversal import Registers
from analytics.segments import Positions
from fleet.checks import BY_CODE
from fleet.flags import Flag
from fleet.meter_table import each
from fleet.readings import ABSENT
from fleet.wire import status_bits

_LOW_OIL = status_bits(["low_oil"])


def carry_oil_account(block: Block) -> Verdict:
    """Carry the readings at which the working register passed each share, and at which oil was low.

    Raises no flag of its own: what is due is decided by `oil_service`, for the calendar moves
    without readings. Only a level that was low and no longer is has no other witness than the
    readings: that is an episode of `oil_overdue` that ended, from the first report of `low_oil` (or
    the end of the day on which oil was filled, whichever is later) to the report that takes it back.
    Not where oil is overdue at that report anyhow, by the calendar or by the register that came
    with it: there what `oil_service` says goes on.
    """
    verdict = Verdict(state=_used(block))
    _level(block, verdict)
    return verdict


def _used(block: Block) -> dict[str, NDArray[np.int64]]:
    """Carry since when the working register is past each share of the interval."""
    at = _worth_a_look(block)
    if len(at) == 0:
        return {}
    seg, time_us = block.seg.take(at), block.time_us[at]
    share = volume_share(block.meters, block.volume_m3[at], seg.row)
    soon = seg.spread(block.limit(lambda p: p.oil_due_soon_ratio))
    state = {}
    for name, ratio in zip(_SHARES, (soon, 1.0), strict=True):
        past = share >= ratio
        carried = block.state[name]
        begins = past & ~seg.previous(past, carried != ABSENT)
        since_us = seg.latest(np.where(past, time_us, ABSENT), begins | ~past, carried)
        state[name] = seg.closing(since_us, carried)
    return state


#: Since when the working register is past each share of the oil's interval.
_SHARES = ("oil_soon_us", "oil_over_us")


def _worth_a_look(block: Block) -> Positions:
    """Find steady samples of meters whose account can change: some of a share is or was used."""
    seg, volume = block.seg, block.volume_m3
    highest = np.fmax.reduceat(volume, seg.starts)
    soon = np.minimum(each(block.limit(lambda p: p.oil_due_soon_ratio), seg.meters), 1.0)
    looked = volume_share(block.meters, highest) >= soon
    # A register that rolled over counts for more than the highest one.
    lowest = np.fmin.reduceat(volume, seg.starts)
    looked |= lowest - block.meters.oil_volume_at_fill_m3 < -block.meters.register_top_m3 / 2
    for name in _SHARES:
        looked |= block.state[name] != ABSENT
    if not looked.any():
        return np.empty(0, dtype=np.intp)
    return np.flatnonzero(block.once(Registers.of).volume.steady & seg.spread(looked))


def _level(block: Block, verdict: Verdict) -> None:
    """Carry the first and the last report in a row of `low_oil`; a reading without a status is none."""
    bits, since_us, last_us = (
        block.readings.status_bits,
        block.state["oil_low_us"],
        block.state["oil_low_last_us"],
    )
    low = (bits > 0) & ((bits & _LOW_OIL) > 0) & ~block.dropout
    if not low.any() and not (since_us != ABSENT).any():
        return
    rows = np.flatnonzero((bits != ABSENT) & ~block.dropout)
    seg, low, time_us = block.seg.take(rows), low[rows], block.time_us[rows]
    was_low = seg.previous(low, since_us != ABSENT)
    low_us = seg.latest(np.where(low, time_us, ABSENT), (low & ~was_low) | ~low, since_us)
    ends = np.flatnonzero(was_low & ~low)
    if len(ends):
        said_us = np.where(low, time_us, ABSENT)
        between = (
            seg.previous(values, old)[ends] for values, old in ((low_us, since_us), (said_us, last_us))
        )
        verdict.add(_levelled(block, rows[ends], *between))
    verdict.state |= {
        "oil_low_us": seg.closing(low_us, since_us),
        "oil_low_last_us": seg.closing(np.where(low, time_us, ABSENT), last_us),
    }


def _levelled(
    block: Block, rows: Positions, low_us: NDArray[np.int64], last_us: NDArray[np.int64]
) -> Episodes:
    """Tell of levels that were low from one moment to another, and are not at these rows of the block."""
    meters, row, time_us = block.meters, block.seg.row[rows], block.time_us[rows]
    filled_us = meters.oil_filled_us[row]
    due_us = filled_us + (meters.oil_interval_days[row] - 1) * US_PER_DAY
    due = ~np.isnan(meters.oil_filled_day[row]) & (time_us >= due_us)
    due |= volume_share(meters, block.volume_m3[rows], row) >= 1
    counts = meters.oiled[row] & (last_us >= filled_us) & ~due
    return Episodes.build(
        meter_key=meters.meter_key[row[counts]],
        check=BY_CODE["oil_overdue"].number,
        flag=Flag.FAIL,
        part=0,
        started_us=np.maximum(low_us, filled_us)[counts],
        ended_us=time_us[counts],
        readings=0,
        value=np.nan,
        limit=1.0,
    )


CHECK = Check(
    codes=(),
    run=carry_oil_account,
    carries=(
        *((name, "i8") for name in _SHARES),
        # The first and the last report in a row that the oil is low.
        ("oil_low_us", "i8"),
        ("oil_low_last_us", "i8"),
    ),
)
