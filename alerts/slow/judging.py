"""Days of meters judged in pieces, to keep the states in between; pure."""

from __future__ import annotations

from dataclasses import dataclass
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from analytics.episodes import ONGOING_US, Episodes
from analytics.pipeline import in_order
from analytics.rollups.columns import HourRollups
from analytics.rollups.periods import local_days
from analytics.usage.calendar import Calendar
from analytics.usage.episodes import open_slow
from analytics.usage.evaluate import LOOKBACK_DAYS, check_days, evaluate_days
from analytics.usage.grid import Grid
from analytics.usage.verdict import DayFlags
from fleet.meter_table import MeterTable

#: Before all days.
_EVER = -(1 << 31)


@dataclass(frozen=True, slots=True, eq=False)
class Span:
    """Days from one to another, both included, and those of them after which the state is wanted."""

    from_day: int
    through_day: int
    wanted: list[int]


@dataclass(frozen=True, slots=True, eq=False)
class JudgedDays:
    """What was found in some days, and what was open after some of them."""

    #: Every one that ended in these days, and all that is open after the last.
    episodes: Episodes
    #: Day -> shape (m,), `SLOW_OPEN_DTYPE`, for each day wanted.
    states: dict[int, NDArray[np.void]]


def judge_days_between(
    rollups: HourRollups, meters: MeterTable, zone: ZoneInfo, span: Span, carried: NDArray[np.void]
) -> JudgedDays:
    """Judge a span of days of m meters in one zone from what they carried before it.

    Parameters as in `analytics.usage.evaluate.evaluate_slow`. A day of which no row is within reach
    says nothing, and costs nothing.
    """
    ended: list[Episodes] = []
    found: list[DayFlags] = []
    after: list[tuple[int, NDArray[np.void]]] = [(_EVER, carried)]
    for begin, end in _stretches(rollups, zone, span):
        calendar = Calendar.of(zone, begin - LOOKBACK_DAYS, end + 1)
        judged = range(LOOKBACK_DAYS, LOOKBACK_DAYS + end - begin + 1)
        found = check_days(Grid.of(rollups, meters, calendar), judged)
        day_us = calendar.day_us[judged.start : judged.stop]
        at = begin
        for last in [day for day in span.wanted if begin <= day < end] + [end]:
            piece = slice(at - begin, last + 1 - begin)
            done = evaluate_days([part.between(piece) for part in found], day_us[piece], meters, after[-1][1])
            ended.append(done.episodes.take(done.episodes.ended_us != ONGOING_US))
            after.append((last, done.open))
            at = last + 1
    going_on = open_slow(meters.meter_key, after[-1][1], {part.name: part.origin for part in found})
    states = {day: next(state for at, state in reversed(after) if at <= day) for day in span.wanted}
    return JudgedDays(in_order(Episodes.concatenate([*ended, going_on])), states)


def _stretches(rollups: HourRollups, zone: ZoneInfo, span: Span) -> list[tuple[int, int]]:
    """Cut out the days that have rows within their look-back."""
    days = np.unique(local_days(rollups.begin_us, zone).number) if len(rollups.begin_us) else np.empty(0, int)
    found: list[tuple[int, int]] = []
    for part in np.split(days, np.flatnonzero(np.diff(days) > LOOKBACK_DAYS) + 1):
        if len(part):
            begin = max(int(part[0]), span.from_day)
            end = min(int(part[-1]) + LOOKBACK_DAYS, span.through_day)
            found += [(begin, end)] if begin <= end else []
    return found
