"""Meters that report by the hour, day after day, and an engine that follows with a movable clock."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np

from alerts.alarms.findings import group_episodes
from alerts.engine import Engine
from analytics.usage.evaluate import SLOW_CHECKS
from analytics.usage.history import slow_history
from fleet.meter_table import MeterTable
from fleet.readings import ReadingBatch
from fleet.times import to_us
from storage.readings import READING_COLUMN_LIST, decode_readings
from storage.registry import load_meters

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
ZONE = ZoneInfo("Asia/Shanghai")
#: Midnight of a Monday in Shanghai.
START = datetime(2026, 9, 20, 16, 0, tzinfo=UTC)
#: A kitchen at rest at night; and the same with half a cubic metre an hour leaking.
USUAL = [0.0] * 8 + [5.0] * 14 + [0.0] * 2
LEAKING = [hour + 0.5 for hour in USUAL]


def hourly(key: int, volumes: list[float], *, start: datetime = START, **columns) -> ReadingBatch:
    """Make the readings of a meter at the beginning of each hour, and one at the end of the last."""
    register = np.round(1000.0 + np.concatenate([[0.0], np.cumsum(volumes)]), 6)
    time_us = to_us(start) + np.arange(len(register)) * 3_600_000_000
    return ReadingBatch.build(
        len(register),
        meter_key=np.full(len(register), key),
        device_time_us=time_us,
        received_us=time_us.copy(),
        seq=np.arange(len(register)),
        volume_m3=register,
        **columns,
    )


def between(readings: ReadingBatch, begin: datetime, end: datetime) -> ReadingBatch:
    """Select the readings taken in [begin, end)."""
    times = readings.device_time_us
    return readings.take((times >= to_us(begin)) & (times < to_us(end)))


def settle(engine: Engine, now: datetime) -> list[int]:
    """Run an engine until nothing is left to do; gives how many meters each step of the pass judged."""
    while engine.run_once(now).claimed or engine.run_rollups().claimed:
        pass
    judged = []
    while done := engine.run_slow(now).meters:
        judged.append(done)
    return judged


def told(story) -> dict:
    """What the alarms say of the slow checks: meter and check -> onset and end of the last occurrence."""
    rows = story.ask(
        "SELECT * FROM alarm WHERE check_code = ANY(%(checks)s) AND ended_at IS DISTINCT FROM onset_at "
        "ORDER BY alarm_id",
        checks=list(SLOW_CHECKS),
    )
    return {(row["meter_key"], row["check_code"]): (row["onset_at"], row["ended_at"]) for row in rows}


def truth(story, now: datetime) -> dict:
    """What one pass over all stored readings says, in the same words."""
    with story.database.transaction() as transaction:
        loaded = load_meters(transaction)
        copied = transaction.copy_out(
            f"COPY (SELECT {READING_COLUMN_LIST} FROM reading ORDER BY meter_key, device_time, seq) "
            "TO STDOUT (FORMAT binary)"
        )
    table = MeterTable.build([one.meter for one in loaded], [one.meter_key for one in loaded])
    readings = decode_readings(copied).sorted_by_meter_and_time()
    episodes = slow_history(readings, table, ZONE, to_us(now))
    return {
        key: (_time(found[-1].start_us), None if found[-1].ongoing else _time(found[-1].end_us))
        for key, found in group_episodes(episodes).items()
    }


def _time(time_us: int) -> datetime:
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=time_us)
