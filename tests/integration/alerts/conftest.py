"""A fleet in a real database, and readings that arrive in it as ingest would write them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import pytest

from fleet.meters import Meter
from fleet.readings import ReadingBatch
from fleet.times import to_us
from ingest.dirty_work import leave_dirty_work
from storage.database import Database
from storage.readings import write_readings
from storage.registry import load_meters, upsert_meters


class Story:
    """A database, and the few verbs in which the stories are told."""

    def __init__(self, database: Database) -> None:
        self.database = database

    def register(self, *meters: Meter) -> dict[str, int]:
        """Write meters into the registry; gives their numbers."""
        with self.database.transaction() as transaction:
            upsert_meters(transaction, meters)
            return {m.meter.meter_id: m.meter_key for m in load_meters(transaction)}

    def arrive(self, meter_key: int, first: datetime, step: timedelta, **columns: list[Any]) -> None:
        """Readings of one meter, `step` apart, arrive in one ingest transaction as they are taken."""
        n = len(next(iter(columns.values())))
        times = [to_us(first + step * i) for i in range(n)]
        self.arrive_batch(
            ReadingBatch.build(
                meter_key=np.full(n, meter_key), device_time_us=times, seq=times, received_us=times, **columns
            ),
            first + step * (n - 1),
        )

    def arrive_batch(self, readings: ReadingBatch, at: datetime) -> None:
        """Readings arrive, and word of them is left for the engine."""
        order = np.lexsort((readings.device_time_us, readings.meter_key))
        times_us, keys = readings.device_time_us[order], readings.meter_key[order]
        found, first, counts = np.unique(keys, return_index=True, return_counts=True)
        with self.database.transaction() as transaction:
            written = write_readings(transaction, readings)
            # Word of all of them, known ones too: a meter may be evaluated again without anything new.
            last = first + counts - 1
            word = replace(written, meter_keys=found, since_us=times_us[first], until_us=times_us[last])
            leave_dirty_work(transaction, word, at)

    def ask(self, sql: str, **parameters: Any) -> list[dict[str, Any]]:
        """Look into the database."""
        with self.database.transaction() as transaction:
            return transaction.rows(sql, parameters)

    def alarms(self, check: str | None = None) -> list[dict[str, Any]]:
        """All alarms, of one check or of all, in the order in which they were raised."""
        return self.ask(
            "SELECT * FROM alarm WHERE %(check)s::text IS NULL OR check_code = %(check)s ORDER BY alarm_id",
            check=check,
        )

    def journal(self, alarm_id: int) -> list[str]:
        """The events of one alarm, oldest first, but for those that only moved its figures."""
        rows = self.ask(
            "SELECT event FROM alarm_journal WHERE alarm_id = %(id)s "
            "AND (event <> 'update' OR note IS NOT NULL) ORDER BY journal_id",
            id=alarm_id,
        )
        return [row["event"] for row in rows]

    def everything(self) -> dict[str, list[dict[str, Any]]]:
        """All that the engine may have written, to see whether anything changed."""
        tables = (
            "alarm",
            "alarm_journal",
            "task",
            "obligation",
            "meter_state",
            "meter_checkpoint",
            "dirty_work",
        )
        return {name: self.ask(f"SELECT * FROM {name} ORDER BY 1") for name in tables}


@pytest.fixture
def story(database: Database) -> Story:
    """A story that begins with an empty database."""
    return Story(database)


@pytest.fixture
def one_meter(story: Story, make_meter: Callable[..., Meter]) -> int:
    """Number of the one meter of a story: G100, 1.6 to 160 m³/h, hourly."""
    return story.register(make_meter("M1"))["M1"]
