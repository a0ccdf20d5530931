"""From flagged days to episodes, with what the days before left open."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from analytics.block import Floats
from analytics.episodes import ONGOING_US, Episodes
from analytics.pipeline import in_order
from analytics.segments import Segments
from analytics.tracking import OPEN_DTYPE, Decisions, Tracker, nothing_open
from analytics.usage.calendar import Times
from analytics.usage.verdict import DayFlags
from fleet.checks import BY_CODE
from fleet.flags import Flag
from fleet.policies import Origin
from fleet.readings import ABSENT

#: Version of `SLOW_OPEN_DTYPE`; stored episodes of another version are worthless.
SLOW_LAYOUT = 1

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

#: A meter's open episodes: one per name, and the limit of the day on which each began.
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
        rows = np.flatnonzero(carried[name]["started_us"] != ABSENT)
        code, part = SLOW_PARTS.get(name, (name, 0))
        open_ = carried[name][rows]
        episodes = Episodes.build(
            meter_key=meter_key[rows],
            check=BY_CODE[code].number,
            flag=open_["flag"],
            part=part,
            started_us=open_["started_us"],
            ended_us=ONGOING_US,
            readings=open_["readings"],
            value=open_["value"],
            limit=carried[f"{name}_limit"][rows],
            origin=origins[name][rows] if name in origins else Origin.NONE,
        )
        found.append(episodes)
    return in_order(Episodes.concatenate(found))


def track_days(
    found: DayFlags, day_us: Times, meter_key: NDArray[np.int32], carried: NDArray[np.void]
) -> tuple[Episodes, NDArray[np.void]]:
    """Join bad days without a good one between them.

    An episode begins at the onset that the check states for its first bad day, a midnight, and ends
    at the midnight that begins the first good day. Days that are UNKNOWN or MISSING neither begin nor
    end one. `readings` counts bad days; the limit is that of the first of them.

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
    whole[found.name] = after
    whole[f"{found.name}_limit"] = np.where(after["started_us"] == ABSENT, np.nan, last)
    return replace(episodes, limit=limits), whole


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
