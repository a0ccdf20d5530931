"""Oil of Roots meters: due by the calendar, the gas measured or the level, whichever comes first.

No sourced interval exists: calendar and volume need one in the registry or the policy, and there is
no default. The level is the meter's own word, its status `low_oil`.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from analytics.block import US_PER_DAY, Block, Check, Floats, Verdict
from analytics.episodes import ONGOING_US, Episodes
from analytics.midnight import midnight_us
from analytics.register.reversal import Registers
from analytics.segments import Mask, Positions
from fleet.checks import BY_CODE
from fleet.flags import Flag
from fleet.meter_table import Limit, MeterTable, each, nearest
from fleet.policies import Origin
from fleet.readings import ABSENT
from fleet.wire import status_bits

_NEVER_US = ONGOING_US
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


def volume_share(meters: MeterTable, register_m3: Floats, rows: Positions | slice = slice(None)) -> Floats:
    """Divide what was measured since the oil was filled by the interval; NaN where either is unknown.

    A register below its state at the fill by more than half of what it can show has rolled over;
    by less, it was reversed or exchanged, and the share is negative. `rows` are those of the
    registers' meters.
    """
    measured_m3 = register_m3 - meters.oil_volume_at_fill_m3[rows]
    top_m3 = meters.register_top_m3[rows]
    rolled = measured_m3 < -top_m3 / 2
    share: Floats = (measured_m3 + np.where(rolled, top_m3, 0.0)) / meters.oil_interval_m3[rows]
    return share


def oil_service(
    meters: MeterTable,
    state: NDArray[np.void],
    now_us: int,
    utc_offset_s: NDArray[np.int64],
) -> Episodes:
    """Find meters whose oil is overdue (`oil_overdue` FAIL), or will be soon (`oil_due_soon` SUSPECT).

    Due soon from `oil_due_soon_ratio` of the interval until it is used up, then overdue. Onset by
    the calendar: local midnight of the day; by volume: the first reading past it; the earlier of
    the two. Value: the larger share of the interval used, 1 being due; limit: the share it is
    held against.

    Overdue by level from the first reading whose status says `low_oil` until one whose status does
    not (that one tells so itself, `carry_oil_account`), or until the registry says that oil was filled:
    on that day or later the last such reading counts no more, and what is still reported after that day
    begins anew with the next one. Value: the share as above where that is due too, else NaN.
    """
    elapsed = _days_since(meters.oil_filled_day, now_us, utc_offset_s) / meters.oil_interval_days
    measured = volume_share(meters, state["volume_steady"])
    used = np.fmax(elapsed, measured)
    over_us = _onset_us(meters, state, "oil_over_us", 1.0, now_us, utc_offset_s, measured)
    soon_ratio = meters.limit(lambda p: p.oil_due_soon_ratio)
    soon_us = _onset_us(meters, state, "oil_soon_us", soon_ratio, now_us, utc_offset_s, measured)
    by_level_us = _low_since_us(meters, state, utc_offset_s)
    used = np.where((over_us == _NEVER_US) & (by_level_us != _NEVER_US), np.nan, used)
    over_us = np.minimum(over_us, by_level_us)
    # The interval that is used up the most is the one that counts.
    by_volume = np.isnan(elapsed) | (measured > elapsed)
    names = ("oil_interval_m3", "oil_interval_days")
    origin = np.where(by_volume, *(meters.origin_of(name) for name in names))
    origin[np.isnan(used)] = Origin.NONE
    soon_origin = nearest(origin, meters.origin_of("oil_due_soon_ratio"))
    over = over_us != _NEVER_US
    soon = (soon_us != _NEVER_US) & ~over
    return Episodes.concatenate(
        [
            _episodes(meters, "oil_due_soon", Flag.SUSPECT, soon, soon_us, used, soon_ratio, soon_origin),
            _episodes(meters, "oil_overdue", Flag.FAIL, over, over_us, used, 1.0, origin),
        ]
    )


def _onset_us(
    meters: MeterTable,
    state: NDArray[np.void],
    field: str,
    ratio: Limit,
    now_us: int,
    utc_offset_s: NDArray[np.int64],
    measured: Floats,
) -> NDArray[np.int64]:
    """Find when a share of the interval was used up, by calendar or volume; `_NEVER_US` where it is not."""
    day = meters.oil_filled_day + np.ceil(ratio * meters.oil_interval_days)
    known = ~np.isnan(day)
    by_calendar = np.full(len(meters), _NEVER_US)
    by_calendar[known] = midnight_us(day[known], utc_offset_s[known])
    by_calendar[by_calendar > now_us] = _NEVER_US
    # The registry may have changed since the reading that is carried: then the last one counts.
    crossed = np.where(state[field] == ABSENT, state["volume_tail_us"], state[field])
    by_volume = np.where(measured >= ratio, crossed, _NEVER_US)
    earlier: NDArray[np.int64] = np.minimum(by_calendar, by_volume)
    return earlier


def _low_since_us(
    meters: MeterTable, state: NDArray[np.void], utc_offset_s: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Find since when the oil is reported low, not counting what was before it was filled."""
    low_us, last_us = state["oil_low_us"], state["oil_low_last_us"]
    filled_us = np.full(len(meters), ABSENT)
    known = ~np.isnan(meters.oil_filled_day)
    filled_us[known] = midnight_us(meters.oil_filled_day[known] + 1, utc_offset_s[known])
    low = meters.oiled & (low_us != ABSENT) & (last_us >= filled_us)
    since_us: NDArray[np.int64] = np.where(low, np.maximum(low_us, filled_us), _NEVER_US)
    return since_us


def _days_since(day: Floats, now_us: int, utc_offset_s: NDArray[np.int64]) -> Floats:
    days: Floats = (now_us / 1e6 + utc_offset_s) / 86_400 - day
    return days


def _episodes(
    meters: MeterTable,
    code: str,
    flag: Flag,
    which: Mask,
    onset_us: NDArray[np.int64],
    used: Floats,
    limit: Limit,
    origin: NDArray[np.uint8],
) -> Episodes:
    return Episodes.build(
        meter_key=meters.meter_key[which],
        check=BY_CODE[code].number,
        flag=flag,
        part=0,
        started_us=onset_us[which],
        ended_us=ONGOING_US,
        readings=0,
        value=used[which],
        limit=each(limit, np.flatnonzero(which)),
        origin=origin[which],
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
