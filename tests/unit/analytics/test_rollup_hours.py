"""Roll-ups of a handful of readings, worked out by hand."""

from __future__ import annotations

from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from analytics.rollups.columns import HourRollups
from analytics.rollups.hours import first_use_us, hour_rollups
from analytics.rollups.merge import day_rollups, merge
from fleet.meter_table import MeterTable
from fleet.readings import ABSENT, ReadingBatch

#: 2023-11-15 06:00 in China, the start of an hour.
START_US = 1_699_999_200_000_000
MINUTE_US, HOUR_US = 60_000_000, 3_600_000_000
CHINA = ZoneInfo("Asia/Shanghai")
NAN = float("nan")


def _batch(minutes: list[float], **columns: Any) -> ReadingBatch:
    n = len(minutes)
    time_us = START_US + np.round(np.array(minutes) * MINUTE_US).astype(np.int64)
    given = {"meter_key": np.zeros(n), "seq": np.arange(n), "received_us": time_us + 5_000_000}
    return ReadingBatch.build(n, device_time_us=time_us, **(given | columns))


@pytest.fixture
def table(meter) -> MeterTable:
    return MeterTable.build([meter(register_digits=4)])


def _minutes(times: np.ndarray) -> list[float | None]:
    return [None if t == ABSENT else (int(t) - START_US) / MINUTE_US for t in times.tolist()]


def test_two_hours_by_hand(table: MeterTable) -> None:
    """Nine readings: the register's ends, snapshots, a dropout frame, an hour with nothing but one frame."""
    batch = _batch(
        [0, 20, 40, 60, 70, 80, 100, 119, 190],
        volume_m3=[100, 101, 103, NAN, 0, 106, 107.5, NAN, 110],
        std_volume_m3=[200, NAN, NAN, NAN, 0, 212, NAN, 215, NAN],
        flow_m3h=[3, NAN, 9, 6, 0, 0, 12, NAN, NAN],
        pressure_kpa=[105, 105, 105, NAN, 0, 106, 107, NAN, NAN],
        temperature_c=[20, 21, 22, NAN, 0, NAN, 18, NAN, NAN],
        battery_v=[3.6, 3.5, 3.6, NAN, 0, 3.4, NAN, 3.5, NAN],
        battery_days=[NAN, 90, 89, NAN, NAN, NAN, NAN, NAN, NAN],
    )
    rows = hour_rollups(batch, table, CHINA)
    assert _minutes(rows.begin_us) == [0, 60, 180]
    assert rows.readings.tolist() == [3, 5, 1]
    assert rows.dropouts.tolist() == [0, 1, 0]
    assert _minutes(rows.first_us) == [0, 60, 190]
    assert _minutes(rows.last_us) == [40, 119, 190]
    assert _minutes(rows.register_first_us) == [0, 80, 190]
    assert rows.register_first.tolist() == [100, 106, 110]
    assert _minutes(rows.register_last_us) == [40, 100, 190]
    assert rows.register_last.tolist() == [103, 107.5, 110]
    assert _minutes(rows.std_register_first_us) == [0, 80, None]
    assert rows.std_register_last.tolist()[:2] == [200, 215]
    assert rows.flow_n.tolist() == [2, 3, 0]
    assert rows.flow_sum.tolist()[:2] == [12, 18]
    assert (rows.flow_min.tolist()[:2], rows.flow_max.tolist()[:2]) == ([3, 0], [9, 12])
    assert np.isnan([rows.flow_sum[2], rows.flow_min[2], rows.flow_max[2], rows.std_register_first[2]]).all()
    assert (rows.pressure_n.tolist(), rows.temperature_n.tolist()) == ([3, 2, 0], [3, 1, 0])
    assert (rows.pressure_sum.tolist()[:2], rows.temperature_sum.tolist()[:2]) == ([315, 213], [63, 18])
    assert (rows.battery_min.tolist()[:2], rows.battery_last.tolist()[:2]) == ([3.5, 3.4], [3.6, 3.5])
    assert rows.battery_days_last[0] == 89
    assert np.isnan(rows.battery2_min).all()
    assert rows.lag_min_us.tolist() == [5_000_000] * 3


def test_a_balance_by_hand(table: MeterTable) -> None:
    """It falls by 6 over 2 m³, rises by 100 while 1 m³ flows, falls by 3 across the hour's border."""
    batch = _batch(
        [0, 15, 30, 45, 60, 75],
        volume_m3=[10, 12, 13, NAN, 14, 14],
        balance=[50, 44, 144, 120, 141, 141],
    )
    hours = hour_rollups(batch, table, CHINA)
    assert hours.balance_spent.tolist() == [6, 0]
    assert hours.balance_added.tolist() == [100, 0]
    assert (hours.spent_volume.tolist(), hours.added_volume.tolist()) == ([2, 0], [1, 0])
    assert (hours.balance_first.tolist(), hours.balance_last.tolist()) == ([50, 141], [144, 141])
    assert hours.balance_last_register.tolist() == [13, 14]
    assert hours.balance_first_standard.tolist() == [0, 0]
    (day,) = day_rollups(hours, table, CHINA).balance_spent.tolist()
    assert day == 9


def test_a_register_that_rolls_over_between_two_balances_counts_what_flowed(table: MeterTable) -> None:
    batch = _batch([0, 15], volume_m3=[9998, 3], balance=[50, 40])
    assert hour_rollups(batch, table, CHINA).spent_volume.tolist() == [5]


def test_roll_overs_are_counted_where_they_are_whether_within_an_hour_or_between_two(
    table: MeterTable,
) -> None:
    """At 20 within an hour, at 60 between two; at 70 a misread one within the hour is taken back at 130."""
    batch = _batch(
        [0, 20, 40, 60, 70, 130, 150],
        volume_m3=[9990, 5, 9980, 1, 9999, 4, 5],
        std_volume_m3=[9000, 9500, NAN, 9990, NAN, 20, 30],
    )
    hours = hour_rollups(batch, table, CHINA)
    assert hours.register_turns.tolist() == [0, -1, 0]
    assert hours.std_register_turns.tolist() == [0, 0, 0]
    day = day_rollups(hours, table, CHINA)
    assert (day.register_turns.tolist(), day.std_register_turns.tolist()) == ([1], [1])


def test_a_meter_with_only_the_standard_register_keeps_its_balance_beside_that(table: MeterTable) -> None:
    batch = _batch([0, 15, 30], volume_m3=[0, 0, 0], std_volume_m3=[900, 903, 905], balance=[50, 44, 40])
    rows = hour_rollups(batch, table, CHINA)
    assert np.isnan(rows.register_first[0])
    assert rows.spent_volume.tolist() == [5]
    assert rows.balance_last_standard.tolist() == [1]


def test_order_and_double_rows_make_no_difference(table: MeterTable) -> None:
    batch = _batch([0, 20, 40, 70], volume_m3=[1, 2, 3, 4], flow_m3h=[5, 6, 7, 8])
    expected = hour_rollups(batch, table, CHINA)
    shuffled = hour_rollups(batch.take(np.array([3, 1, 2, 0, 1, 3])), table, CHINA)
    for name in HourRollups.__dataclass_fields__:
        np.testing.assert_array_equal(getattr(shuffled, name), getattr(expected, name), err_msg=name)


def test_two_readings_of_one_time_count_in_the_order_of_their_numbers(table: MeterTable) -> None:
    batch = _batch([10, 10], seq=[2, 1], volume_m3=[8, 7])
    rows = hour_rollups(batch, table, CHINA)
    assert (rows.readings[0], rows.register_first[0], rows.register_last[0]) == (2, 7, 8)


def test_a_single_reading_is_a_row(table: MeterTable) -> None:
    rows = hour_rollups(_batch([59.9], volume_m3=[4]), table, CHINA)
    assert (rows.readings[0], rows.register_first[0], rows.register_last[0]) == (1, 4, 4)
    assert rows.balance_spent.tolist() == [0]


def test_no_readings_are_no_rows(table: MeterTable) -> None:
    rows = hour_rollups(ReadingBatch.empty(), table, CHINA)
    assert len(rows) == 0
    assert len(day_rollups(rows, table, CHINA)) == len(merge(rows, table)) == 0
    assert len(HourRollups.concatenate([])) == 0


def test_frames_that_only_history_tells_are_dropouts_where_a_register_was_above_0(table: MeterTable) -> None:
    zeros = _batch([0, 20], volume_m3=[0, 0], flow_m3h=[0, 0])
    new = hour_rollups(zeros, table, CHINA)
    used = hour_rollups(zeros, table, CHINA, used_since_us=np.array([START_US - 1]))
    never = hour_rollups(zeros, table, CHINA, used_since_us=np.array([ABSENT]))
    assert never.dropouts.tolist() == [0]
    assert (new.dropouts.tolist(), new.register_first.tolist()) == ([0], [0])
    assert used.dropouts.tolist() == [2]
    assert used.readings.tolist() == [2]
    assert np.isnan(used.register_first[0])
    assert used.flow_n.tolist() == [0]


def test_first_use_is_the_first_register_above_0() -> None:
    batch = _batch(
        [30, 0, 20, 10], meter_key=[1, 1, 1, 2], volume_m3=[5, 0, NAN, 0], std_volume_m3=[9, 0, 2, NAN]
    )
    keys, times = first_use_us(batch)
    assert (keys.tolist(), _minutes(times)) == ([1], [20])


def test_rows_of_several_meters_stay_apart(meter) -> None:
    table = MeterTable.build([meter(meter_id="a"), meter(meter_id="b")], keys=[3, 8])
    rows = hour_rollups(_batch([0, 1, 2], meter_key=[8, 3, 8], volume_m3=[1, 50, 2]), table, CHINA)
    assert rows.meter_key.tolist() == [3, 8]
    assert rows.register_last.tolist() == [50, 2]


def test_parts_are_cut_between_meters_only(meter, monkeypatch) -> None:
    table = MeterTable.build([meter(meter_id=name) for name in "abc"])
    keys = [0, 0, 0, 1, 2, 2]
    batch = _batch([0, 10, 70, 5, 6, 7], meter_key=keys, volume_m3=[1, 2, 3, 4, 5, 6])
    whole = hour_rollups(batch, table, CHINA)
    monkeypatch.setattr("analytics.rollups.hours._PART_READINGS", 2)
    parts = hour_rollups(batch, table, CHINA)
    assert whole.readings.tolist() == [2, 1, 1, 2]
    for name in HourRollups.__dataclass_fields__:
        np.testing.assert_array_equal(getattr(parts, name), getattr(whole, name), err_msg=name)


def test_columns_are_checked() -> None:
    with pytest.raises(TypeError, match="no such column: volume"):
        HourRollups.build(volume=[1.0])
    with pytest.raises(ValueError, match="shape"):
        HourRollups.build(2, flow_n=[1])
