"""One meter, a handful of readings: the shape of every hand-worked example."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from analytics.episodes import ONGOING_US
from analytics.pipeline import Evaluation, evaluate, initial_state
from fleet.checks import BY_NUMBER
from fleet.meter_table import MeterTable
from fleet.meters import Meter
from fleet.policies import Policies
from fleet.policy import DEFAULT_POLICY, Policy
from fleet.readings import ReadingBatch

#: 2023-11-14 22:00 UTC, the start of an hour.
START_US = 1_699_999_200_000_000
MINUTE_US = 60_000_000

LETTERS = {1: "g", 2: "u", 3: "S", 4: "F", 9: "-"}


@dataclass
class Case:
    """What the checks made of one meter's readings."""

    result: Evaluation
    table: MeterTable

    def flags(self, code: str) -> str:
        """Spell the flags: g good, u unknown, S suspect, F fail, - missing."""
        return "".join(LETTERS[flag] for flag in self.result.flags[code].tolist())

    def episodes(self, code: str) -> list[tuple]:
        """List (start, end, readings, value) with times in minutes since the start; None: ongoing."""
        e = self.result.episodes
        return [
            (
                _minutes(e.started_us[row]),
                None if e.ended_us[row] == ONGOING_US else _minutes(e.ended_us[row]),
                int(e.readings[row]),
                None if np.isnan(e.value[row]) else round(float(e.value[row]), 3),
            )
            for row in range(len(e))
            if BY_NUMBER[int(e.check[row])].code == code
        ]

    @property
    def found(self) -> set[str]:
        return {BY_NUMBER[number].code for number in self.result.episodes.check.tolist()}


def _minutes(time_us: Any) -> float:
    return (int(time_us) - START_US) / MINUTE_US


def make_meter(**fields: Any) -> Meter:
    usual = {
        "meter_id": "m1",
        "company": "c1",
        "customer": "Bakery",
        "customer_kind": "commercial",
        "reading_class": "daily",
        "technology": "roots",
        "qmax": 100.0,
        "qmin": 5.0,
        "interval_s": 3600,
        "register_step": 1.0,
    }
    return Meter(**(usual | fields))


@pytest.fixture
def meter() -> Callable[..., Meter]:
    return make_meter


@pytest.fixture
def judge() -> Callable[..., Case]:
    """Run all checks on one meter; `minutes` are the readings' times, hourly by default."""

    def run(
        *,
        meter: dict[str, Any] | None = None,
        minutes: list[float] | None = None,
        policy: Policy = DEFAULT_POLICY,
        zone: str = "Asia/Shanghai",
        **columns: list[float],
    ) -> Case:
        n = len(minutes) if minutes is not None else len(next(iter(columns.values()), []))
        times = np.array(minutes if minutes is not None else np.arange(n) * 60.0)
        time_us = START_US + np.round(times * MINUTE_US).astype(np.int64)
        batch = ReadingBatch.build(
            n, meter_key=np.zeros(n), device_time_us=time_us, seq=np.arange(n), received_us=time_us, **columns
        )
        table = MeterTable.build([make_meter(**(meter or {}))], policies=Policies(policy), zones=zone)
        return Case(evaluate(batch, table, initial_state(1)), table)

    return run
