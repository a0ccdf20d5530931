"""Which sample opens an hour, what is misread, and of which hours the flow is known."""

from __future__ import annotations

import math

import numpy as np
import pytest

from analytics.rollups.hours import hour_rollups
from analytics.rollups.periods import midnight_us
from analytics.usage.calendar import Calendar
from analytics.usage.grid import Grid
from analytics.usage.openings import Moves, Openings
from fleet.meter_table import MeterTable
from fleet.readings import ReadingBatch
from tests.unit.analytics.usage.conftest import HOUR_US, MONDAY, ZONE, make_meter

TABLE = MeterTable.build([make_meter()])


def flows(register_at: dict[str, float]) -> list[float]:
    """Give the flow of the Monday's first three hours, m³/h, from the register at some times (h:mm:ss)."""
    clock = [[int(part) for part in at.split(":")] for at in register_at]
    seconds = [3600 * h + 60 * m + s for h, m, s in clock]
    return hours(seconds, list(register_at.values()))[:3]


def hours(seconds: list[int], register: list[float]) -> list[float]:
    """Give the flow of the Monday's hours from the register at some seconds of it."""
    n = len(seconds)
    time_us = midnight_us(ZONE, MONDAY) + np.array(seconds) * 1_000_000
    readings = ReadingBatch.build(
        n,
        meter_key=np.zeros(n),
        device_time_us=time_us,
        received_us=time_us,
        volume_m3=np.array(register),
    )
    grid = Grid.of(hour_rollups(readings, TABLE, ZONE), TABLE, Calendar.of(ZONE, MONDAY, MONDAY))
    return [round(flow, 6) for flow in grid.flow_m3h[0].tolist()]


def test_an_hour_is_opened_by_a_sample_of_the_last_ten_minutes_before_it() -> None:
    # 7 m³ in 70 minutes.
    assert flows({"0:50:00": 10, "2:00:00": 17})[1] == 6.0
    assert math.isnan(flows({"0:49:59": 10, "2:00:00": 17})[1])


@pytest.mark.parametrize(
    ("first", "second", "flow"),
    [
        ("0:00:00", "1:00:00", 6.0),
        ("0:30:00", "1:00:00", 12.0),
        ("0:30:01", "1:00:00", math.nan),
        ("0:00:00", "1:30:00", 4.0),
        ("0:00:00", "1:30:01", math.nan),
    ],
)
def test_an_hour_is_known_by_registers_half_an_hour_to_an_hour_and_a_half_apart(
    first: str, second: str, flow: float
) -> None:
    assert flows({first: 10, second: 16})[0] == pytest.approx(flow, nan_ok=True)


def test_an_hour_is_opened_from_before_where_its_own_first_sample_comes_late() -> None:
    """Hour 1 from 0:59:58 and 1:59:59, although it is the first sample of its own hour."""
    found = flows({"0:00:01": 10, "0:59:58": 16, "1:59:59": 28, "3:00:02": 31})
    assert found == pytest.approx([6.0, 12.0, 3.0], rel=0.01)


@pytest.mark.parametrize(("first", "flow"), [("1:10:00", 6.0), ("1:10:01", 4.8)])
def test_a_sample_of_an_hours_first_ten_minutes_goes_before_an_earlier_one(first: str, flow: float) -> None:
    # 7 m³ in 70 minutes, or 4 m³ in 50.
    assert flows({"0:00:00": 10, "0:50:00": 14, first: 17, "2:00:00": 22})[0] == pytest.approx(
        flow, rel=0.001
    )


@pytest.mark.parametrize("jitter_s", [0, 5, 108, 300])
@pytest.mark.parametrize("minute", [0, 10, 30, 50, 59])
def test_an_hourly_reporter_has_its_hours_whenever_it_reports(minute: int, jitter_s: int) -> None:
    """Some readings come early, some late, so that an hour has none, one or two of them."""
    chance = np.random.default_rng(minute)
    seconds = [3600 * h + 60 * minute + int(chance.integers(-jitter_s, jitter_s + 1)) for h in range(1, 23)]
    found = hours(seconds, [6 * at / 3600 for at in seconds])
    assert found[2:21] == pytest.approx([6.0] * 19)


@pytest.mark.parametrize(("more_us", "broke"), [(0, [False, False]), (1, [False, True])])
def test_a_sample_is_misread_where_its_neighbours_are_two_days_apart_at_most(
    more_us: int, broke: list[bool]
) -> None:
    hours = np.array([0, 24, 48])
    opened = Openings(
        row=np.zeros(3, np.intp),
        hour=hours,
        time_us=hours * HOUR_US + np.array([0, 0, more_us]),
        value=np.array([100.0, 900.0, 101.0]),
    )
    moves = Moves.of(opened, TABLE, standard=False)
    assert moves.broke.tolist() == broke
    # 800 m³ in a day are no leap at 100 m³/h; only the neighbours contradict them.
    assert np.isnan(moves.moved_m3).tolist() == [not broke[1], True]
