"""Telemetry that comes in any order, and the roll-ups that it must end in."""

from __future__ import annotations

import random
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np

from alerts.rollups.store import DAYS, HOURS, ROLLUP_COLUMN_LIST, decode_rollups
from analytics.rollups.columns import HourRollups
from analytics.rollups.hours import hour_rollups
from analytics.rollups.merge import day_rollups
from fleet.meter_table import MeterTable
from fleet.readings import ReadingBatch
from fleet.times import to_us
from storage.database import Database
from storage.registry import load_meters

NAN = float("nan")
#: Company -> its time zone; Berlin's clocks go back in the night of the story.
ZONES = {"north": "Asia/Shanghai", "west": "Europe/Berlin", "south": "Asia/Kolkata"}


def telemetry(chance: random.Random, keys: list[int], start: datetime, count: int = 60) -> ReadingBatch:
    """Make readings of some meters: registers from 0 on, dropouts, frames of zeros, two of one moment.

    A register of four digits rolls over now and then, forwards, and backwards after a leap.
    """
    rows = []
    for key in keys:
        time, register = start, 0.0
        for seq in range(count):
            time += timedelta(minutes=chance.choice([0, 5, 15, 15, 60, 60, 300]))
            rise = chance.choice([0, 0, 1.25, 3.1, 3.1, 9990]) if seq > count // 6 else 0
            register = (register + rise) % 10_000
            kind = chance.choice(["both", "both", "volume", "zeros", "dropout", "none"])
            rows.append(_row(chance, key, to_us(time), seq, register, kind))
    return ReadingBatch.build(**{name: [row[name] for row in rows] for name in rows[0]})


def _row(chance: random.Random, key: int, time_us: int, seq: int, register: float, kind: str) -> dict:
    blank = kind in ("zeros", "dropout")
    return {
        "meter_key": key,
        "device_time_us": time_us,
        "seq": seq,
        "received_us": time_us + chance.choice([-1, 5_000_000, 3_600_000_000]),
        "flow_m3h": 0.0 if blank else chance.choice([NAN, 0.0, 2.2, 7.7]),
        "volume_m3": 0.0 if blank else (NAN if kind == "none" else register),
        "std_volume_m3": register * 2 if kind == "both" else NAN,
        "pressure_kpa": NAN if kind in ("zeros", "volume") else (0.0 if blank else 105.5),
        "temperature_c": NAN if blank else 20.25,
        "balance": NAN if blank else chance.choice([NAN, 300.0, 290.5]),
        "battery_v": NAN if blank else 3.6,
    }


def recomputed(database: Database, readings: ReadingBatch) -> tuple[HourRollups, HourRollups]:
    """Roll the readings up from the beginning, company by company."""
    with database.transaction() as transaction:
        loaded = load_meters(transaction)
    hours, days = [], []
    for company, name in ZONES.items():
        mine = [one for one in loaded if one.meter.company == company]
        table = MeterTable.build([one.meter for one in mine], [one.meter_key for one in mine])
        part = readings.take(np.isin(readings.meter_key, table.meter_key))
        hours.append(hour_rollups(part, table, ZoneInfo(name)))
        days.append(day_rollups(hours[-1], table, ZoneInfo(name)))
    return _sorted(HourRollups.concatenate(hours)), _sorted(HourRollups.concatenate(days))


def stored(database: Database) -> tuple[HourRollups, HourRollups]:
    """Read both tables as they are."""
    tables = []
    with database.transaction() as transaction:
        for name in (HOURS, DAYS):
            sql = f"COPY (SELECT {ROLLUP_COLUMN_LIST} FROM {name}) TO STDOUT (FORMAT binary)"
            tables.append(_sorted(decode_rollups(transaction.copy_out(sql))))
    return tables[0], tables[1]


def assert_same(found: HourRollups, expected: HourRollups) -> None:
    """Compare all columns exactly."""
    assert len(expected) > 0
    for name in HourRollups.__dataclass_fields__:
        np.testing.assert_array_equal(getattr(found, name), getattr(expected, name), err_msg=name)


def _sorted(rows: HourRollups) -> HourRollups:
    return rows.take(np.lexsort((rows.begin_us, rows.meter_key)))


def batches(chance: random.Random, readings: ReadingBatch) -> list[ReadingBatch]:
    """Cut telemetry into batches that arrive mostly in order, some of it hours late, some twice."""
    late = np.array([chance.choice([0, 0, 0, 20, 200]) for _ in range(len(readings))])
    order = np.argsort(readings.seq + late, kind="stable")
    found, start = [], 0
    while start < len(order):
        size = chance.randint(1, 25)
        found.append(readings.take(order[start : start + size]))
        start += size
    return [*found, found[0]]
