"""A whole history: from its first day through the last that is over."""

from __future__ import annotations

from dataclasses import replace
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from analytics.usage.history import slow_history
from fleet.checks import BY_NUMBER
from fleet.meter_table import MeterTable
from fleet.meters import Meter
from fleet.readings import ReadingBatch

ZONE = ZoneInfo("Asia/Shanghai")
#: 2026-03-02 00:00 in Shanghai.
MONDAY_US = 1_772_380_800_000_000
HOUR_US = 3_600_000_000
USUAL = [0.0] * 8 + [5.0] * 14 + [0.0] * 2
LEAKING = [hour + 0.5 for hour in USUAL]


@pytest.fixture
def leak() -> ReadingBatch:
    """Twelve days of rest at night, then a leak for five; the last reading closes the last day."""
    hours = np.cumsum([0.0, *USUAL * 12, *LEAKING * 5])
    time_us = MONDAY_US + np.arange(len(hours)) * HOUR_US
    return ReadingBatch.build(
        len(hours),
        meter_key=np.zeros(len(hours)),
        device_time_us=time_us,
        received_us=time_us,
        volume_m3=hours,
    )


@pytest.fixture
def table() -> MeterTable:
    meter = Meter(
        meter_id="m1", company="c", customer="k", customer_kind="commercial", reading_class="daily",
        technology="roots", qmax=50.0, qmin=1.0, register_step=0.01,
    )  # fmt: skip
    return MeterTable.build([meter])


def _found(episodes) -> list[tuple[str, int]]:
    codes = [BY_NUMBER[number].code for number in episodes.check.tolist()]
    return list(zip(codes, episodes.readings.tolist(), strict=True))


def test_a_leak_is_found_through_the_last_whole_day(leak, table) -> None:
    assert _found(slow_history(leak, table, ZONE)) == [("small_continuous_flow", 3)]


def test_the_day_that_is_not_over_is_not_judged(leak, table) -> None:
    now_us = MONDAY_US + (16 * 24 + 23) * HOUR_US
    assert _found(slow_history(leak, table, ZONE, now_us)) == [("small_continuous_flow", 2)]


def test_a_row_of_a_wrong_century_costs_nothing(leak, table) -> None:
    early = replace(leak.take(slice(0, 1)), device_time_us=np.array([0]))
    found = slow_history(ReadingBatch.concatenate([early, leak]), table, ZONE)
    assert _found(found) == [("small_continuous_flow", 3)]


def test_no_readings_give_nothing(table) -> None:
    assert len(slow_history(ReadingBatch.empty(), table, ZONE)) == 0


def test_a_leak_that_a_day_of_work_interrupts_is_found_twice(table) -> None:
    working = [5.0] * 24
    hours = np.cumsum([0.0, *USUAL * 12, *LEAKING * 4, *working, *LEAKING * 4])
    time_us = MONDAY_US + np.arange(len(hours)) * HOUR_US
    readings = ReadingBatch.build(
        len(hours), meter_key=np.zeros(len(hours)), device_time_us=time_us, received_us=time_us,
        volume_m3=hours,
    )  # fmt: skip
    found = slow_history(readings, table, ZONE)
    day = (found.started_us - MONDAY_US) // (24 * HOUR_US)
    end = (found.ended_us - MONDAY_US) // (24 * HOUR_US)
    # Since day 12 there was no rest, but day 16 was no leak: what is found then begins with that day.
    assert _found(found) == [("small_continuous_flow", 2), ("small_continuous_flow", 2)]
    assert day.tolist() == [12, 16]
    assert end[0] == 16
