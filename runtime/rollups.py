"""Volumes of hours, days and months for people: one CSV row per meter and complete period."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from typing import TextIO
from zoneinfo import ZoneInfo

import numpy as np

from analytics.rollups.hours import hour_rollups
from analytics.rollups.merge import coarser
from analytics.rollups.periods import Granularity
from analytics.rollups.volumes import Volumes, period_volumes
from fleet.meter_table import MeterTable
from fleet.readings import ReadingBatch
from fleet.times import to_datetime

COLUMNS = (
    "meter_id",
    "granularity",
    "begin_time",
    "begin_register",
    "end_time",
    "end_register",
    "volume",
)


def volumes_of(
    readings: ReadingBatch, meters: MeterTable, ids: Sequence[str], zone: ZoneInfo
) -> Iterator[tuple[str, Granularity, Volumes]]:
    """Yield each meter's complete hours, days and months, in the order of the registry.

    `ids` gives the id of each meter number; local time is that of `zone`.
    """
    rows = hour_rollups(readings, meters, zone)
    complete = {}
    for granularity in Granularity:
        rows = coarser(rows, zone, granularity, meters)
        complete[granularity] = period_volumes(rows, meters).complete()
    for key, meter_id in enumerate(ids):
        for granularity, volumes in complete.items():
            first, last = np.searchsorted(volumes.meter_key, [key, key + 1])
            if last > first:
                yield meter_id, granularity, volumes.take(np.arange(first, last))


def write_volumes(found: Iterator[tuple[str, Granularity, Volumes]], zone: ZoneInfo, sink: TextIO) -> int:
    """Write periods as CSV under `COLUMNS`, times in local time with offset; gives how many rows."""
    writer = csv.writer(sink, lineterminator="\n")
    writer.writerow(COLUMNS)
    count = 0
    for meter_id, granularity, volumes in found:
        writer.writerows([meter_id, granularity.value, *row] for row in _rows(volumes, zone))
        count += len(volumes)
    return count


def _rows(volumes: Volumes, zone: ZoneInfo) -> Iterator[tuple[str, ...]]:
    names = ("begin_us", "begin_register", "end_us", "end_register", "volume")
    columns = (getattr(volumes, name).tolist() for name in names)
    for begin_us, begin_register, end_us, end_register, volume in zip(*columns, strict=True):
        yield (
            _local(begin_us, zone),
            number(begin_register),
            _local(end_us, zone),
            number(end_register),
            number(volume),
        )


def _local(time_us: int, zone: ZoneInfo) -> str:
    return to_datetime(time_us).astimezone(zone).isoformat()


def number(value: float) -> str:
    """Write a number in the fewest digits that mean it, never with an exponent."""
    return np.format_float_positional(value, trim="-")
