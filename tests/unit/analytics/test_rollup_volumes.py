"""Volumes of periods from the register, worked out by hand."""

from __future__ import annotations

from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analytics.rollups.hours import hour_rollups
from analytics.rollups.merge import coarser, day_rollups
from analytics.rollups.periods import Granularity
from analytics.rollups.registers import difference, shown_decimals
from analytics.rollups.volumes import period_volumes, reception
from fleet.meter_table import MeterTable
from fleet.readings import ABSENT, ReadingBatch

#: 2023-11-15 06:00 in China, the start of an hour.
START_US = 1_699_999_200_000_000
MINUTE_US = 60_000_000
CHINA = ZoneInfo("Asia/Shanghai")
NAN = float("nan")


@pytest.fixture
def volumes(meter):
    """Work out hourly (or coarser) volumes of one meter: (period, begin, register, end, register, volume)."""

    def run(
        minutes: list[float], granularity: Granularity = Granularity.HOUR, digits: int = 4, **columns: Any
    ) -> list[tuple[Any, ...]]:
        n, table = len(minutes), MeterTable.build([meter(register_digits=digits)])
        time_us = START_US + np.round(np.array(minutes) * MINUTE_US).astype(np.int64)
        batch = ReadingBatch.build(
            n, meter_key=np.zeros(n), device_time_us=time_us, received_us=time_us, **columns
        )
        hours = hour_rollups(batch, table, CHINA)
        found = period_volumes(coarser(hours, CHINA, granularity, table), table)
        names = ("period_us", "begin_us", "begin_register", "end_us", "end_register", "volume")
        rows = zip(*(getattr(found, name).tolist() for name in names), strict=True)
        return [tuple(_minute(v) if isinstance(v, int) else v for v in row) for row in rows]

    return run


def _minute(time_us: int) -> float | None:
    return None if time_us == ABSENT else (time_us - START_US) / MINUTE_US


def test_hours_by_hand(volumes) -> None:
    """Nine readings, an hour with only a dropout frame, one without any; the last hour is open."""
    found = volumes(
        [3, 30, 63, 90, 130, 183, 200, 310, 370],
        volume_m3=[12.1, 13.0, 24.44, 25.0, 0, 30.0, 31.0, 31.5, 33.25],
        pressure_kpa=[105, 105, 105, 105, 0, 105, 105, 105, 105],
    )
    assert found == [
        (0, 3, 12.1, 63, 24.44, 12.34),
        (60, 63, 24.44, 183, 30.0, 5.56),
        (180, 183, 30.0, 310, 31.5, 1.5),
        (300, 310, 31.5, 370, 33.25, 1.75),
        pytest.approx((360, 370, 33.25, None, NAN, NAN), nan_ok=True),
    ]


def test_days_and_months_by_hand(volumes) -> None:
    day = 24 * 60
    minutes = [0, 60, day, 2 * day, 20 * day, 21 * day]
    registers = {"volume_m3": [100.5, 101, 110, 125.25, 300, 310]}
    days = volumes(minutes, Granularity.DAY, **registers)
    assert [row[5] for row in days[:4]] == [9.5, 15.25, 174.75, 10]
    assert [row[1] for row in days] == [0, day, 2 * day, 20 * day, 21 * day]
    months = volumes(minutes, Granularity.MONTH, **registers)
    assert months[0][1:] == (0, 100.5, 20 * day, 300, 199.5)
    assert len(months) == 2


def test_a_register_that_rolls_over_counts_what_flowed(volumes) -> None:
    found = volumes([0, 60, 120], volume_m3=[9990.25, 9998.5, 3.1])
    assert [row[5] for row in found[:2]] == [8.25, 4.6]


def test_a_month_with_a_roll_over_counts_what_flowed_however_much_that_is(volumes) -> None:
    """From 80,000 by 95,000 and 500 to 12,000 at five digits: 15,000, 5,500 and 11,500."""
    days = [-14, 1, 6, 17, 48]
    registers = {"volume_m3": [80_000, 95_000, 500, 12_000, 43_000], "digits": 5}
    minutes = [day * 24 * 60 for day in days]
    assert [row[5] for row in volumes(minutes, **registers)[:4]] == [15_000, 5_500, 11_500, 31_000]
    months = volumes(minutes, Granularity.MONTH, **registers)
    assert [row[5] for row in months[:2]] == [32_000, 31_000]


def test_days_that_use_a_seventh_of_the_register_count_what_flowed(volumes) -> None:
    """60 m³/h at four digits: 1,440 m³ a day, and in the 378 hours up to December two roll-overs."""
    hours = range(21 * 24)
    registers = {"volume_m3": [(500 + 60 * hour) % 10_000 for hour in hours]}
    minutes = [60 * hour for hour in hours]
    assert {row[5] for row in volumes(minutes, Granularity.DAY, **registers)[1:20]} == {1440}
    assert volumes(minutes, Granularity.MONTH, **registers)[0][5] == 378 * 60


def test_a_roll_over_that_the_next_reading_takes_back_was_a_misread_one(volumes) -> None:
    found = volumes([0, 30, 60, 120, 125, 180], volume_m3=[9990, 2, 9991, 9991.5, 3, 9992.5])
    assert [row[5] for row in found[:3]] == [1, 0.5, 1]


def test_a_register_that_falls_otherwise_gives_a_negative_volume(volumes) -> None:
    assert volumes([0, 60], volume_m3=[500, 490])[0][5] == -10


def test_the_standard_register_counts_where_the_working_one_is_not_filled_in(volumes) -> None:
    unfilled = volumes([0, 60, 120], volume_m3=[0, 0, 0], std_volume_m3=[13157, 13930, 14933])
    absent = volumes([0, 60, 120], std_volume_m3=[13157, 13930, 14933])
    assert [row[5] for row in unfilled[:2]] == [row[5] for row in absent[:2]] == [773, 1003]


def test_a_working_register_goes_before_the_standard_one(volumes) -> None:
    found = volumes([0, 60, 120], volume_m3=[0, 9, 27], std_volume_m3=[0, 24.3026, 72.9986])
    assert [row[5] for row in found[:2]] == [9, 18]


def test_a_meter_that_was_never_used_has_volumes_of_0(volumes) -> None:
    assert volumes([0, 60], volume_m3=[0, 0], std_volume_m3=[0, 0])[0][5] == 0


def test_one_reading_has_no_volume_and_none_no_row(volumes) -> None:
    ((_, begin, register, end, _, volume),) = volumes([5], volume_m3=[7])
    assert (begin, register, end) == (5, 7, None)
    assert np.isnan(volume)
    assert volumes([5], flow_m3h=[7]) == volumes([]) == []


def test_mean_flow_lies_between_the_two_readings_and_reception_against_the_interval(meter) -> None:
    table = MeterTable.build([meter(interval_s=900)])
    minutes = np.array([0, 15, 30, 75, 90])
    time_us = START_US + minutes * MINUTE_US
    batch = ReadingBatch.build(
        meter_key=np.zeros(5), device_time_us=time_us, received_us=time_us, volume_m3=[0, 1, 2, 5, 6]
    )
    hours = hour_rollups(batch, table, CHINA)
    assert period_volumes(hours, table).complete().mean_m3h().tolist() == [4]
    assert reception(hours, table, CHINA, Granularity.HOUR).tolist() == [0.75, 0.5]
    days = day_rollups(hours, table, CHINA)
    assert reception(days, table, CHINA, Granularity.DAY).tolist() == [5 / 96]


DECIMALS = st.integers(0, 4).flatmap(
    lambda d: st.tuples(st.integers(0, 99_999_999), st.integers(0, 99_999_999), st.just(d))
)


@given(DECIMALS)
def test_a_difference_is_that_of_the_written_numbers(case: tuple[int, int, int]) -> None:
    """Registers of up to 8 digits with up to 4 decimals: as exact as subtraction on paper."""
    one, other, decimals = case
    before, after = float(f"{one}e-{decimals}"), float(f"{other}e-{decimals}")
    found = difference(np.array([before]), np.array([after]))[0]
    assert found == float(f"{other - one}e-{decimals}")


def test_decimals_are_those_of_the_shortest_writing() -> None:
    values = np.array([0, 3, 12.5, 285855.8612, 0.1 + 0.2, NAN])
    assert shown_decimals(values).tolist() == [0, 0, 1, 4, 15, 0]


def test_what_has_more_digits_than_a_double_is_rounded_to_what_it_holds() -> None:
    found = difference(np.array([1000.1 + 0.2]), np.array([1000.1 + 0.3]))
    assert abs(found[0] - 0.1) < 1e-11
