"""Which oil is due now: by the calendar, the gas measured or the level, whichever comes first."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from analytics.block import Floats
from analytics.episodes import ONGOING_US, Episodes
from analytics.midnight import midnight_us
from analytics.oil.share import volume_share
from analytics.segments import Mask
from fleet.checks import BY_CODE
from fleet.flags import Flag
from fleet.meter_table import Limit, MeterTable, each, nearest
from fleet.policies import Origin
from fleet.readings import ABSENT

_NEVER_US = ONGOING_US


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
