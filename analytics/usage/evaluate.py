"""All slow checks over a stretch of days."""

from __future__ import annotations

from dataclasses import dataclass
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from analytics.block import Flags
from analytics.episodes import Episodes
from analytics.pipeline import in_order
from analytics.rollups.columns import HourRollups
from analytics.usage import (
    battery,
    conservation,
    correction,
    credit,
    night,
    reception,
    shift,
    sizing,
    small_flow,
)
from analytics.usage.calendar import Calendar
from analytics.usage.episodes import disjoint, no_slow_open, track_days
from analytics.usage.grid import Grid
from analytics.usage.verdict import DayFlags
from fleet.flags import worst
from fleet.meter_table import MeterTable

#: Codes that the slow checks find.
SLOW_CHECKS = (
    small_flow.CODE,
    night.CODE,
    shift.CODE,
    sizing.OVERSIZED,
    sizing.UNDERSIZED,
    conservation.CODE,
    credit.CODE,
    correction.CODE,
    reception.CODE,
    battery.CODE,
)

#: Days before the first one that any check looks at.
_LONGEST = max(
    module.LOOKBACK_DAYS
    for module in (small_flow, night, shift, sizing, conservation, credit, correction, reception, battery)
)
#: A window's hours, a sample's neighbours, and an exchange are seen this many days further back.
_MARGIN_DAYS = 4
LOOKBACK_DAYS = _LONGEST + _MARGIN_DAYS


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SlowEvaluation:
    """What the slow checks said of m meters on j days."""

    #: Check code -> flags, shape (m, j).
    flags: dict[str, Flags]
    #: What a day of these began, continued or ended, sorted by meter and start.
    episodes: Episodes
    #: Shape (m,), `SLOW_OPEN_DTYPE`: what is open at the end of the last day.
    open: NDArray[np.void]


def evaluate_slow(
    rollups: HourRollups,
    meters: MeterTable,
    zone: ZoneInfo,
    from_day: int,
    through_day: int,
    carried: NDArray[np.void] | None = None,
) -> SlowEvaluation:
    """Judge days of every meter.

    A day's flags depend on the rows from `LOOKBACK_DAYS` before it to the end of the day after it,
    whose first registers close the day, and on nothing else; so judging any stretch of days with its
    look-back gives what judging all of them gives.

    Parameters
    ----------
    rollups
        Sorted by meter and hour, every `meter_key` in `meters`; rows outside the days needed are
        left out. What is not there was not heard.
    meters
        Shape (m,), with every limit resolved; all of companies in one time zone.
    zone
        Local time of those companies.
    from_day, through_day
        First and last day to judge, as days since 1970-01-01 in local time. None where the last is
        before the first.
    carried
        Shape (m,), `SLOW_OPEN_DTYPE`: what was open at the end of the day before `from_day`; None for
        nothing.

    """
    carried = no_slow_open(len(meters)) if carried is None else carried
    days = max(through_day - from_day + 1, 0)
    calendar = Calendar.of(zone, from_day - LOOKBACK_DAYS, from_day + days)
    judged = range(LOOKBACK_DAYS, LOOKBACK_DAYS + days)
    found = check_days(Grid.of(rollups, meters, calendar), judged)
    return evaluate_days(found, calendar.day_us[judged.start : judged.stop], meters, carried)


def check_days(grid: Grid, judged: range) -> list[DayFlags]:
    """Run every slow check on the days `judged`, which are positions in the grid's calendar."""
    return [
        small_flow.check_small_continuous_flow(grid, judged),
        night.check_night_flow(grid, judged),
        *shift.check_usage_shift(grid, judged),
        *sizing.check_size(grid, judged),
        conservation.check_balance_mismatch(grid, judged),
        credit.check_balance_forecast(grid, judged),
        correction.check_correction(grid, judged),
        reception.check_reception(grid, judged),
        *battery.check_battery_forecast(grid, judged),
    ]


def evaluate_days(
    found: list[DayFlags], day_us: NDArray[np.int64], meters: MeterTable, carried: NDArray[np.void]
) -> SlowEvaluation:
    """Turn flags of days into episodes; of several parts of a check the worst flag counts for a day."""
    flags: dict[str, Flags] = {}
    episodes: list[Episodes] = []
    for part in disjoint(found, day_us, carried):
        flags[part.code] = worst(flags[part.code], part.flag) if part.code in flags else part.flag
        new, carried = track_days(part, day_us, meters.meter_key, carried)
        episodes.append(new)
    return SlowEvaluation(flags=flags, episodes=in_order(Episodes.concatenate(episodes)), open=carried)
