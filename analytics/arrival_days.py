"""What the slow checks would have found when: a history judged day by day."""

from __future__ import annotations

from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from analytics.episodes import Episodes
from analytics.rollups.hours import hour_rollups
from analytics.rollups.periods import midnight_us
from analytics.truth import Findings, Times
from analytics.usage.calendar import Calendar
from analytics.usage.evaluate import SlowEvaluation, evaluate_slow
from fleet.checks import BY_NUMBER
from fleet.flags import Flag
from fleet.meter_table import MeterTable
from fleet.readings import ReadingBatch


def findings_by_day(
    readings: ReadingBatch, meters: MeterTable, zone: ZoneInfo, from_day: int, through_day: int
) -> Findings:
    """Judge days by the slow checks, as they are known when everything has come.

    Decided is a finding when its first bad day is closed: when the first reading of a later day
    arrives, or at the end of the next day where none does. That is exact for meters whose readings
    come in order; what is late by a day or more is judged as if it had been in time.

    Parameters
    ----------
    readings
        In any order, with `received_us`.
    meters
        Shape (m,), of companies in one time zone.
    zone
        That zone.
    from_day, through_day
        First and last day to judge, days since 1970-01-01 in local time.

    """
    rollups = hour_rollups(readings, meters, zone)
    done = evaluate_slow(rollups, meters, zone, from_day, through_day)
    calendar = Calendar.of(zone, from_day, through_day + 1)
    closed = _first_bad_day(done, meters, calendar.day_us) + 1
    row, day_us = meters.rows_of(done.episodes.meter_key), calendar.day_us
    decided_us = _first_arrivals(readings, meters, row, day_us[closed], day_us[closed + 1])
    return Findings(done.episodes, decided_us)


def local_day(zone: ZoneInfo, moment_us: int) -> int:
    """Give the local day that holds a moment, as days since 1970-01-01."""
    day = moment_us // 86_400_000_000
    return max(d for d in (day - 1, day, day + 1) if midnight_us(zone, d) <= moment_us)


def _first_bad_day(done: SlowEvaluation, meters: MeterTable, day_us: Times) -> NDArray[np.intp]:
    """Give the first day, from its onset on, on which each episode's check flags its meter."""
    episodes: Episodes = done.episodes
    rows = meters.rows_of(episodes.meter_key)
    out = np.zeros(len(episodes), dtype=np.intp)
    for at, (row, check) in enumerate(zip(rows.tolist(), episodes.check.tolist(), strict=True)):
        flag = done.flags[BY_NUMBER[check].code][row]
        bad = ((flag == Flag.SUSPECT) | (flag == Flag.FAIL)) & (
            day_us[: len(flag)] >= episodes.started_us[at]
        )
        out[at] = np.argmax(bad)
    return out


def _first_arrivals(
    readings: ReadingBatch, meters: MeterTable, row: NDArray[np.intp], moment_us: Times, at_last_us: Times
) -> Times:
    """Give the arrival of a meter's first reading from a moment on, by `at_last_us` where none came."""
    ordered = readings.sorted_by_meter_and_time()
    meter = meters.rows_of(ordered.meter_key)
    begins, ends = (np.searchsorted(meter, row, side) for side in ("left", "right"))
    arrived_us = at_last_us.copy()
    for at, (begin, end) in enumerate(zip(begins.tolist(), ends.tolist(), strict=True)):
        first = begin + int(np.searchsorted(ordered.device_time_us[begin:end], moment_us[at]))
        if first < end:
            arrived_us[at] = min(arrived_us[at], ordered.received_us[first])
    return arrived_us
