"""From flagged days to episodes, with what the days before left open."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from analytics.block import US_PER_DAY, Floats
from analytics.episodes import Episodes
from analytics.open_episodes import OPEN_DTYPE, nothing_open, still_open
from analytics.pipeline import in_order
from analytics.segments import Segments
from analytics.tracking import Decisions, Tracker, is_bad
from analytics.usage.calendar import Times
from analytics.usage.verdict import DayFlags
from fleet.flags import Flag
from fleet.policies import Origin
from fleet.readings import ABSENT

#: Version of `SLOW_OPEN_DTYPE`; stored episodes of another version are worthless.
SLOW_LAYOUT = 2

#: No onset lies further back from the day that finds it; an end that does is of no more use.
_REACH_US = 15 * US_PER_DAY

#: Slow checks, or parts of them, that have episodes of their own.
SLOW_TRACKED = (
    "small_continuous_flow",
    "night_flow",
    "usage_shift_up",
    "usage_shift_down",
    "meter_oversized",
    "meter_undersized",
    "balance_mismatch",
    "balance_forecast",
    "correction_mismatch",
    "low_reception",
    "battery1_forecast",
    "battery2_forecast",
)

#: A meter's open episodes: one per name, with the end of the one before while an onset may reach it,
#: and the limit of the day on which each began.
SLOW_OPEN_DTYPE = np.dtype(
    [field for name in SLOW_TRACKED for field in ((name, OPEN_DTYPE), (f"{name}_limit", "f8"))]
)


def no_slow_open(n: int) -> NDArray[np.void]:
    """Make the carried part of n meters without an open episode of a slow check."""
    out = np.zeros(n, dtype=SLOW_OPEN_DTYPE)
    for name in SLOW_TRACKED:
        out[name] = nothing_open(n)
        out[f"{name}_limit"] = np.nan
    return out


#: Parts of checks with several, and the check and the part that each stands for.
SLOW_PARTS = {
    "usage_shift_up": ("usage_shift", 0),
    "usage_shift_down": ("usage_shift", 0),
    "battery1_forecast": ("battery_forecast", 1),
    "battery2_forecast": ("battery_forecast", 2),
}


def open_slow(
    meter_key: NDArray[np.int32], carried: NDArray[np.void], origins: Mapping[str, NDArray[np.uint8]]
) -> Episodes:
    """List the episodes that m meters have open.

    Where their limits come from is not carried: `origins` says it, name -> shape (m,), if anybody knows.
    """
    found = []
    for name in SLOW_TRACKED:
        code, part = SLOW_PARTS.get(name, (name, 0))
        limit, origin = carried[f"{name}_limit"], origins.get(name, Origin.NONE)
        found.append(still_open(code, part, carried[name], meter_key, limit, origin))
    return in_order(Episodes.concatenate(found))


def disjoint(found: list[DayFlags], day_us: Times, carried: NDArray[np.void]) -> list[DayFlags]:
    """Let no onset lie before the end of the last episode of that check and part.

    A check may have several names for one part (more use, and less), and an onset may look back over
    what ended another's. Shapes as in `track_days`.
    """
    last_us: dict[tuple[str, int], Times] = {}
    for each in found:
        kind = (each.code, each.part)
        ends = _last_ends(each, day_us, carried[each.name])
        last_us[kind] = np.maximum(last_us[kind], ends) if kind in last_us else ends
    return [
        replace(each, onset_us=np.maximum(each.onset_us, last_us[each.code, each.part])) for each in found
    ]


def _last_ends(found: DayFlags, day_us: Times, carried: NDArray[np.void]) -> Times:
    """Give the last end of an episode up to each day, shape (m, j)."""
    decided = (found.flag != Flag.UNKNOWN) & (found.flag != Flag.MISSING)
    # Before the days stands whether one was open.
    bad = np.column_stack([carried["started_us"] != ABSENT, is_bad(found.flag)])
    at = np.column_stack([np.zeros(len(bad), np.intp), np.where(decided, np.arange(1, bad.shape[1]), 0)])
    before = np.take_along_axis(bad, np.maximum.accumulate(at, axis=1)[:, :-1], axis=1)
    ends = np.where((found.flag == Flag.GOOD) & before, day_us, ABSENT)
    return np.maximum.accumulate(np.maximum(ends, carried["ended_us"][:, None]), axis=1)


def track_days(
    found: DayFlags, day_us: Times, meter_key: NDArray[np.int32], carried: NDArray[np.void]
) -> tuple[Episodes, NDArray[np.void]]:
    """Join bad days without a good one between them.

    An episode begins at the onset that the check states for its first bad day, a midnight, but not
    before the end of the one before; it ends at the midnight that begins the first good day. Days that
    are UNKNOWN or MISSING neither begin nor end one. `readings` counts bad days; the limit is that of
    the first of them.

    Parameters
    ----------
    found
        Shapes (m, j).
    day_us
        Shape (j,): the midnights that begin those days.
    meter_key, carried
        Shape (m,): the meters' numbers, and `SLOW_OPEN_DTYPE`; it is not changed.

    Returns
    -------
    The episodes that a day began, continued or ended, and the new `carried`.

    """
    m, j = found.flag.shape
    decisions = Decisions(
        seg=Segments.of(np.repeat(np.arange(m), j)),
        time_us=np.tile(day_us, m),
        flag=found.flag.ravel(),
        value=found.value.ravel(),
        onset_us=found.onset_us.ravel(),
    )
    tracker = Tracker(code=found.code, worse=found.worse, part=found.part)
    episodes, after = _tracked(tracker, decisions, carried[found.name], meter_key, found.origin)
    limits, last = _limits(found, carried)
    whole = carried.copy()
    whole[found.name] = _forget(after, day_us)
    whole[f"{found.name}_limit"] = np.where(after["started_us"] == ABSENT, np.nan, last)
    return replace(episodes, limit=limits), whole


def _forget(after: NDArray[np.void], day_us: Times) -> NDArray[np.void]:
    """Drop the ends that no onset of a later day reaches."""
    out = after.copy()
    if len(day_us):
        out["ended_us"][out["ended_us"] < day_us[-1] - _REACH_US] = ABSENT
    return out


def _tracked(
    tracker: Tracker,
    decisions: Decisions,
    carried: NDArray[np.void],
    meter_key: NDArray[np.int32],
    origin: NDArray[np.uint8],
) -> tuple[Episodes, NDArray[np.void]]:
    episodes, after = tracker.track(decisions, carried, meter_key, np.nan)
    rows = np.searchsorted(meter_key, episodes.meter_key)
    return replace(episodes, origin=origin[rows]), after


def _limits(found: DayFlags, carried: NDArray[np.void]) -> tuple[Floats, Floats]:
    """Give the limit of each episode, in the tracker's order, and of each meter's last one.

    A run begins where the tracker lets it begin: at a bad day after a good one, and at a meter's
    first decided day if an episode was open; then its limit was carried.
    """
    m, j = found.flag.shape
    flag = found.flag.ravel()
    decided = np.flatnonzero((flag != Flag.UNKNOWN) & (flag != Flag.MISSING))
    seg, bad = Segments.of(np.repeat(np.arange(m), j)[decided]), flag[decided] != Flag.GOOD
    before = seg.previous(bad, carried[found.name]["started_us"] != ABSENT)
    heads = np.flatnonzero((bad & (~before | seg.first)) | (~bad & before & seg.first))
    was = carried[f"{found.name}_limit"]
    rows = seg.row[heads]
    limits: NDArray[Any] = np.where(before[heads], was[rows], found.limit.ravel()[decided][heads])
    last = was.copy()
    last[rows] = limits
    return limits, last
