"""Replay: what a changed policy finds in stored readings, beside what the present one finds there."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from analytics.backtest import Comparison, compare
from analytics.episodes import Episodes
from analytics.history import evaluate_history
from analytics.usage.evaluate import LOOKBACK_DAYS
from analytics.usage.history import slow_history
from fleet.meter_table import MeterTable
from fleet.policies import Policies
from fleet.readings import ReadingBatch
from fleet.times import to_us
from storage.database import Transaction
from storage.named_sql import load_queries
from storage.readings import READING_COLUMN_LIST, decode_readings
from storage.registry import load_meters

_SQL = {name: sql.replace("{columns}", READING_COLUMN_LIST) for name, sql in load_queries("alerts").items()}

#: Readings before the window, from which the checks get to know each meter: as long as the longest
#: default window and as the longest look-back of a slow check, or from the meter's first reading on
#: where that is later.
RUN_IN = timedelta(days=max(30, LOOKBACK_DAYS))
#: Held in memory at once, give or take one meter.
_READINGS_PER_BLOCK = 200_000

Reading = Callable[[], AbstractContextManager[Transaction]]


@dataclass(frozen=True, slots=True, eq=False)
class Window:
    """Which readings of which meters are replayed."""

    #: Ascending.
    meter_keys: NDArray[np.int32]
    #: The time zone of each meter's company.
    timezones: Sequence[str]
    #: What is reported begins in [begin, end); the clock's checks are made as of `end`.
    begin: datetime
    end: datetime

    def readings(self, transaction: Transaction) -> NDArray[np.int64]:
        """Count each meter's readings, those of the run-in included."""
        row = transaction.row(_SQL["readings_count"], self.span(slice(None))) or {}
        return np.array(row["readings"] or [], dtype=np.int64)

    def span(self, part: slice) -> dict[str, NDArray[np.int64] | NDArray[np.int32]]:
        """Give the parameters of the queries of readings, for some of the meters."""
        keys = self.meter_keys[part]
        after_us = np.full(len(keys), to_us(self.begin - RUN_IN) - 1)
        return {"meter_keys": keys, "after_us": after_us, "before_us": np.full(len(keys), to_us(self.end))}


def replay(
    reading: Reading, window: Window, sizes: NDArray[np.int64], before: Policies, after: Policies
) -> Comparison:
    """Judge stored readings under two policies, and compare what begins in the window.

    Meters are taken in blocks, each in a transaction of its own. The registry is taken as it is
    now. `data_gap` is not among the findings: when a hole was found and filled is not stored.

    Parameters
    ----------
    reading
        Opens a transaction in which to read.
    window
        Meters and time; findings that began before it under both policies are left out, so that
        what the run-in could only half see is not reported.
    sizes
        How many readings each meter has, as `Window.readings` counts them.
    before, after
        The present and the changed policies.
    """
    parts = []
    for part in _slices(sizes):
        with reading() as transaction:
            meters = load_meters(transaction, window.meter_keys[part].tolist())
            data = transaction.copy_out(_SQL["readings_copy_out"], window.span(part))
        batch = decode_readings(data).sorted_by_meter_and_time()
        who = [m.meter for m in meters], [m.meter_key for m in meters]
        zones = [m.timezone for m in meters]
        tables = [MeterTable.build(*who, policies, zones) for policies in (before, after)]
        parts.append(_judge(batch, tables, window, part))
    return Comparison.concatenate(parts)


def _judge(batch: ReadingBatch, tables: list[MeterTable], window: Window, part: slice) -> Comparison:
    now_us = to_us(window.end)
    offset_s = np.array([_offset_s(zone, window.end) for zone in window.timezones[part]], dtype=np.int64)
    zones = np.array(window.timezones[part])
    present, changed = (
        Episodes.concatenate(
            [evaluate_history(batch, table, now_us, offset_s).episodes, *_slow(batch, table, zones, now_us)]
        )
        for table in tables
    )
    return compare(present, changed).begun_in(to_us(window.begin), now_us)


def _slow(batch: ReadingBatch, table: MeterTable, zones: NDArray[np.str_], now_us: int) -> Iterator[Episodes]:
    """Run the slow checks, by the local days of each time zone."""
    for zone in np.unique(zones).tolist():
        mine = table.take(zones == zone)
        theirs = batch.take(np.isin(batch.meter_key, mine.meter_key))
        if len(theirs):
            yield slow_history(theirs, mine, ZoneInfo(zone), now_us)


def _slices(sizes: NDArray[np.int64]) -> Iterator[slice]:
    """Cut meters into runs of so many readings, each of one meter at least."""
    start, total = 0, 0
    for at, size in enumerate(sizes.tolist()):
        if total and total + size > _READINGS_PER_BLOCK:
            yield slice(start, at)
            start, total = at, 0
        total += size
    if start < len(sizes):
        yield slice(start, len(sizes))


def _offset_s(timezone: str, at: datetime) -> int:
    offset = at.astimezone(ZoneInfo(timezone)).utcoffset()
    return int(offset.total_seconds()) if offset else 0
