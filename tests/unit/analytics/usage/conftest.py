"""One meter, a few weeks of hours: the shape of every hand-worked example of a slow check."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from analytics.episodes import ONGOING_US
from analytics.rollups.hours import hour_rollups
from analytics.rollups.periods import midnight_us
from analytics.usage.evaluate import SlowEvaluation, evaluate_slow
from fleet.checks import BY_CODE, BY_NUMBER
from fleet.meter_table import MeterTable
from fleet.meters import Meter
from fleet.policies import Policies
from fleet.policy import DEFAULT_POLICY, Policy
from fleet.readings import ReadingBatch

ZONE = ZoneInfo("Asia/Shanghai")
#: 2026-03-02, a Monday.
MONDAY = (date(2026, 3, 2) - date(1970, 1, 1)).days
HOUR_US, DAY_US = 3_600_000_000, 86_400_000_000

LETTERS = {1: "g", 2: "u", 3: "S", 4: "F", 9: "-"}


@dataclass
class Days:
    """What the slow checks made of one meter's days."""

    result: SlowEvaluation

    def flags(self, code: str) -> str:
        """Spell the flags of the days: g good, u unknown, S suspect, F fail, - missing."""
        return "".join(LETTERS[flag] for flag in self.result.flags[code][0].tolist())

    def episodes(self, code: str) -> list[tuple]:
        """List (first day, day it ended or None, bad days, value, limit), days counted from the Monday."""
        e = self.result.episodes
        return [
            (
                _day(e.started_us[row]),
                None if e.ended_us[row] == ONGOING_US else _day(e.ended_us[row]),
                int(e.readings[row]),
                round(float(e.value[row]), 3),
                round(float(e.limit[row]), 3),
            )
            for row in range(len(e))
            if BY_NUMBER[int(e.check[row])].code == code
        ]

    def origins(self, code: str) -> set[int]:
        """Say where the limits of a check's findings come from, as `Origin`."""
        e = self.result.episodes
        return set(e.origin[e.check == BY_CODE[code].number].tolist())

    @property
    def found(self) -> set[str]:
        return {BY_NUMBER[number].code for number in self.result.episodes.check.tolist()}


def _day(time_us: Any) -> float:
    return (int(time_us) - midnight_us(ZONE, MONDAY)) / DAY_US


def make_meter(**fields: Any) -> Meter:
    usual = {
        "meter_id": "m1",
        "company": "c1",
        "customer": "Bakery",
        "customer_kind": "commercial",
        "reading_class": "daily",
        "technology": "roots",
        "qmax": 100.0,
        "qmin": 1.0,
        "interval_s": 3600,
        "register_step": 0.01,
    }
    return Meter(**(usual | fields))


def readings_of(volumes: list[float], **columns: Any) -> ReadingBatch:
    """Make the readings of a meter from the volumes of its hours, m³; NaN volumes are hours unheard.

    A reading at the beginning of each hour, and one at the end of the last. Columns have one value
    per reading.
    """
    hours = np.array(volumes, dtype=np.float64)
    register = 1000.0 + np.concatenate([[0.0], np.cumsum(np.nan_to_num(hours))])
    n = len(register)
    time_us = midnight_us(ZONE, MONDAY) + np.arange(n) * HOUR_US
    batch = ReadingBatch.build(
        n,
        meter_key=np.zeros(n),
        device_time_us=time_us,
        received_us=time_us,
        seq=np.arange(n),
        **({"volume_m3": np.round(register, 6)} | columns),
    )
    return batch.take(np.append(~np.isnan(hours), True))


@pytest.fixture
def days_of() -> Callable[..., Days]:
    """Run all slow checks on one meter's readings, from its Monday through the last whole day."""

    def run(
        volumes: list[float] | None = None,
        *,
        readings: ReadingBatch | None = None,
        meter: dict[str, Any] | None = None,
        policy: Policy = DEFAULT_POLICY,
        policies: Policies | None = None,
        days: int | None = None,
        **columns: Any,
    ) -> Days:
        batch = readings if readings is not None else readings_of(volumes or [], **columns)
        count = days if days is not None else len(volumes or []) // 24
        table = MeterTable.build([make_meter(**(meter or {}))], policies=policies or Policies(policy))
        rollups = hour_rollups(batch, table, ZONE)
        return Days(evaluate_slow(rollups, table, ZONE, MONDAY, MONDAY + count - 1))

    return run
