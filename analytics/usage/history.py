"""Slow checks over a whole history of readings."""

from __future__ import annotations

from collections.abc import Iterator
from zoneinfo import ZoneInfo

import numpy as np

from analytics.episodes import Episodes
from analytics.pipeline import in_order
from analytics.rollups.hours import hour_rollups
from analytics.rollups.periods import local_days
from analytics.usage.evaluate import LOOKBACK_DAYS, evaluate_slow
from fleet.meter_table import MeterTable
from fleet.readings import ReadingBatch

#: Hours times meters that are held at once; a few arrays of this size are.
_BLOCK_HOURS = 1_000_000


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
    first, last = local_days(np.array([times.min(), newest_us]), zone).number.tolist()
    found = [
        evaluate_slow(hour_rollups(part, table, zone), table, zone, first, last - 1).episodes
        for part, table in _blocks(readings, meters, last - first + LOOKBACK_DAYS)
    ]
    return in_order(Episodes.concatenate(found))


def _blocks(
    readings: ReadingBatch, meters: MeterTable, days: int
) -> Iterator[tuple[ReadingBatch, MeterTable]]:
    """Cut the meters that were heard into blocks."""
    heard = np.unique(readings.meter_key)
    size = max(_BLOCK_HOURS // (24 * days), 1)
    for start in range(0, len(heard), size):
        keys = heard[start : start + size]
        begin, end = np.searchsorted(readings.meter_key, [keys[0], keys[-1] + 1])
        yield readings.take(slice(int(begin), int(end))), meters.take(meters.rows_of(keys))
