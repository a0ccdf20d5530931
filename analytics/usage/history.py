"""Slow checks over a whole history of readings."""

from __future__ import annotations

from collections.abc import Iterator
from zoneinfo import ZoneInfo

import numpy as np

from analytics.block import US_PER_DAY
from analytics.episodes import Episodes
from analytics.history import newest
from analytics.pipeline import in_order
from analytics.rollups.columns import HourRollups
from analytics.rollups.hours import hour_rollups
from analytics.rollups.periods import local_days
from analytics.usage.episodes import no_slow_open
from analytics.usage.evaluate import LOOKBACK_DAYS, evaluate_slow
from fleet.meter_table import MeterTable
from fleet.readings import ReadingBatch

#: Hours times meters that are held at once; a few arrays of this size are.
_BLOCK_HOURS = 1_000_000
#: A history of more days is most likely one row of a wrong year.
_MOST_DAYS = 1_000


def slow_history(
    readings: ReadingBatch, meters: MeterTable, zone: ZoneInfo, now_us: int | None = None
) -> Episodes:
    """Find what the slow checks find in a history: from its first day through the last that is over.

    Parameters
    ----------
    readings
        Sorted by meter and device time, every `meter_key` in `meters`. Readings later than `now_us`
        count for nothing.
    meters
        Shape (m,).
    zone
        Local time, which decides what a day is.
    now_us
        Microseconds since 1970 UTC; the day in which it lies is not over. None for the newest reading.

    Returns
    -------
    Episodes
        Sorted by meter and start.

    """
    if len(readings) == 0:
        return Episodes.empty()
    times = readings.device_time_us
    newest_us = int(times.max()) if now_us is None else min(now_us, int(times.max()))
    # Another day may be over without a reading, but nothing closes it.
    last = int(local_days(np.array([newest_us]), zone).number[0]) - 1
    found = [
        _judge(hour_rollups(part, table, zone), table, zone, last)
        for part, table in _blocks(readings, meters, last - int(times.min() // US_PER_DAY) + LOOKBACK_DAYS)
    ]
    return in_order(Episodes.concatenate(found))


def _judge(rollups: HourRollups, meters: MeterTable, zone: ZoneInfo, through_day: int) -> Episodes:
    """Judge the days that have rows within their look-back; of any other nothing is known."""
    days = np.unique(local_days(rollups.begin_us, zone).number)
    days = days[days <= through_day]
    runs: list[Episodes] = []
    carried = no_slow_open(len(meters))
    for stretch in np.split(days, np.flatnonzero(np.diff(days) > LOOKBACK_DAYS) + 1):
        if len(stretch):
            until = min(int(stretch[-1]) + LOOKBACK_DAYS, through_day)
            done = evaluate_slow(rollups, meters, zone, int(stretch[0]), until, carried)
            runs.append(done.episodes)
            carried = done.open
    return newest(runs)


def _blocks(
    readings: ReadingBatch, meters: MeterTable, days: int
) -> Iterator[tuple[ReadingBatch, MeterTable]]:
    """Cut the meters that were heard into blocks."""
    heard = np.unique(readings.meter_key)
    size = max(_BLOCK_HOURS // (24 * min(days, _MOST_DAYS)), 1)
    for start in range(0, len(heard), size):
        keys = heard[start : start + size]
        begin, end = np.searchsorted(readings.meter_key, [keys[0], keys[-1] + 1])
        yield readings.take(slice(int(begin), int(end))), meters.take(meters.rows_of(keys))
