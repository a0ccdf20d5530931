"""What a slow check says of each meter and day."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from analytics.block import Flags, Floats
from analytics.segments import Mask
from analytics.usage.calendar import Calendar
from fleet.flags import Flag


@dataclass(frozen=True, slots=True, eq=False)
class Judged:
    """What a check says of one day of m meters; shapes (m,)."""

    flag: Flags
    #: How bad, and what it is held against, in the check's unit.
    value: Floats
    limit: Floats
    #: Position of the day with which the condition began; None: this day.
    since_day: NDArray[np.intp] | None = None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class DayFlags:
    """What a check says of m meters on j days; shapes (m, j)."""

    code: str
    #: Name of its open episode in `episodes.SLOW_OPEN_DTYPE`.
    name: str
    flag: Flags
    value: Floats
    limit: Floats
    #: Instant of the midnight with which the condition began.
    onset_us: NDArray[np.int64]
    #: Shape (m,): where the limit comes from.
    origin: NDArray[np.uint8]
    #: The worse of two values: np.fmax or np.fmin.
    worse: np.ufunc = np.fmax
    part: int = 0

    def between(self, days: slice) -> DayFlags:
        """Select a stretch of the days."""
        names = ("flag", "value", "limit", "onset_us")
        return replace(self, **{name: getattr(self, name)[:, days] for name in names})


def judge_days(
    code: str,
    judge: Callable[[int], Judged],
    calendar: Calendar,
    judged: range,
    origin: NDArray[np.uint8],
    *,
    worse: np.ufunc = np.fmax,
    name: str | None = None,
    part: int = 0,
) -> DayFlags:
    """Ask a check of one day about each of the days `judged`, which are positions in the calendar."""
    m = len(origin)
    shape = (m, len(judged))
    flag, onset = np.empty(shape, np.uint8), np.empty(shape, np.int64)
    value, limit = np.empty(shape), np.empty(shape)
    for at, day in enumerate(judged):
        said = judge(day)
        flag[:, at], value[:, at], limit[:, at] = said.flag, said.value, said.limit
        since = np.full(m, day) if said.since_day is None else said.since_day
        onset[:, at] = calendar.day_us[since]
    return DayFlags(
        code=code,
        name=name or code,
        flag=flag,
        value=value,
        limit=limit,
        onset_us=onset,
        origin=origin,
        worse=worse,
        part=part,
    )


def flags(*, missing: Mask, unknown: Mask, suspect: Mask, fail: Mask) -> Flags:
    """Choose one flag per meter; of several that hold the first of MISSING, UNKNOWN, FAIL, SUSPECT."""
    out = np.full(len(unknown), Flag.GOOD, dtype=np.uint8)
    for mask, flag in (
        (suspect, Flag.SUSPECT),
        (fail & suspect, Flag.FAIL),
        (unknown, Flag.UNKNOWN),
        (missing, Flag.MISSING),
    ):
        out[mask] = flag
    return out
