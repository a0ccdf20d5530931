"""Nights and weeks that are unlike those before."""

from __future__ import annotations

import math

import numpy as np
import pytest

from analytics.usage.trend import Trend
from fleet.policy import Policy

#: Open from 8 to 22; 1 m³/h at night.
DAY = [1.0] * 8 + [6.0] * 14 + [1.0] * 2
NIGHTLY = [3.0] * 8 + [6.0] * 14 + [3.0] * 2


def test_four_of_seven_nights_far_above_those_before(days_of) -> None:
    found = days_of(DAY * 21 + NIGHTLY * 6)
    # 14 nights of history are there after 14 + 7 days; the median turns with the fourth night.
    assert found.flags("night_flow") == "u" * 20 + "g" * 4 + "FFF"
    # Usual 1 m³/h, allowed 0.5 more: half of it, and half a per cent of Qmax.
    assert found.episodes("night_flow") == [(21, None, 3, 3.0, 1.5)]


def test_a_night_without_data_is_missing_and_no_good_night(days_of) -> None:
    deaf = [math.nan] * 6 + NIGHTLY[6:]
    found = days_of(DAY * 21 + NIGHTLY * 4 + deaf + NIGHTLY)
    assert found.flags("night_flow")[24:] == "F-F"
    assert len(found.episodes("night_flow")) == 1


def test_a_customer_that_works_some_nights_is_not_found_at_each(days_of) -> None:
    week = DAY * 4 + NIGHTLY * 3
    assert "S" not in days_of(week * 4 + DAY * 2 + NIGHTLY * 4).flags("night_flow")


@pytest.mark.parametrize(("share", "last"), [(0.1, "g"), (0.14, "F"), (0.106, "g"), (0.108, "F")])
def test_how_many_nights_are_the_customers_way_is_the_companys_word(days_of, share: float, last: str) -> None:
    # Three of the 28 nights before are as high, 0.107 of them.
    history = DAY * 5 + NIGHTLY * 3 + DAY * 20
    found = days_of(history + DAY * 3 + NIGHTLY * 4, policy=Policy(night_flow_seen_share=share))
    assert found.flags("night_flow")[-1] == last


@pytest.mark.parametrize(("as_high", "last"), [(2, "F"), (3, "g")])
def test_more_than_one_night_in_ten_as_high_is_the_customers_way(days_of, as_high: int, last: str) -> None:
    # One in ten of the 28 nights before are 2.8.
    history = DAY * 5 + NIGHTLY * as_high + DAY * (23 - as_high)
    assert days_of(history + DAY * 3 + NIGHTLY * 4).flags("night_flow")[-1] == last


@pytest.mark.parametrize(("nights", "last"), [([2.0] * 7, "S"), ([1.0, 2.0, 4.0, 2.0, 3.0, 1.0, 2.0], "g")])
def test_nights_that_differ_as_the_weather_does_are_not_far_above(days_of, nights: list, last: str) -> None:
    # The median is 2 both times, and 1.5 is allowed; but the second are 1, 0, 2, 0, 1, 1, 0 from theirs,
    # the median of which is 1, and 1 + 4 * 1.48 is more than 2.
    hours = DAY * 28 + [hour for night in nights for hour in [night] * 8 + DAY[8:]]
    assert days_of(hours).flags("night_flow")[-1] == last


def test_a_week_of_three_times_the_use_is_a_shift(days_of) -> None:
    treble = [3 * hour for hour in DAY]
    found = days_of(DAY * 35 + treble * 7)
    flags = found.flags("usage_shift")
    # Three whole weeks, one of four days, and one to compare; on the fourth day of treble use the week
    # is (4 * 3 + 3) / 7 = 2.14 times as large.
    assert flags == "u" * 31 + "g" * 7 + "SSSS"
    assert found.episodes("usage_shift") == [(35, None, 4, 3.0, 2.0)]


def test_a_week_of_a_quarter_is_a_shift_down_and_what_is_idle_is_none(days_of) -> None:
    quarter, idle = [hour / 4 for hour in DAY], [0.0] * 24
    assert days_of(DAY * 35 + quarter * 7).episodes("usage_shift") == [(35, None, 3, 0.25, 0.5)]
    assert set(days_of(DAY * 35 + idle * 14).flags("usage_shift")[34:]) == {"g", "u"}
    back = days_of(DAY * 35 + idle * 14 + DAY * 14)
    assert set(back.flags("usage_shift")[34:]) <= {"g", "u"}


def test_one_wild_day_is_no_shift(days_of) -> None:
    wild = [12 * hour for hour in DAY]
    assert set(days_of(DAY * 35 + wild + DAY * 6).flags("usage_shift")[34:]) == {"g"}


def test_drift_with_the_season_is_no_shift(days_of) -> None:
    hours = [hour * 1.25**week for week in range(9) for hour in DAY * 7]
    assert set(days_of(hours).flags("usage_shift")[34:]) == {"g"}


@pytest.mark.parametrize("lost", [1, 3])
def test_a_gap_within_days_does_not_hurt_a_week(days_of, lost: int) -> None:
    treble = [3 * hour for hour in DAY]
    gap = treble[:9] + [math.nan] * lost + treble[9 + lost :]
    assert days_of(DAY * 35 + gap * 7).flags("usage_shift")[-3:] == "SSS"


def test_a_daily_reporter_has_weeks_but_no_nights(days_of) -> None:
    treble = [3 * hour for hour in DAY]
    hours = [hour if at % 24 == 0 else math.nan for at, hour in enumerate(DAY * 35 + treble * 7)]
    # What moved between two readings: the register goes on in the hours that were not heard.
    register, total = [1000.0], 1000.0
    for hour in DAY * 35 + treble * 7:
        total += hour
        register.append(total)
    found = days_of(hours, volume_m3=register, meter={"interval_s": 86400})
    assert found.flags("usage_shift") == "u" * 31 + "g" * 7 + "SSSS"
    assert set(found.flags("night_flow")) == {"-"}
    assert set(found.flags("small_continuous_flow")) == {"u"}


@pytest.mark.parametrize(("swing", "last"), [(1.1, "S"), (1.8, "g")])
def test_a_customer_whose_days_differ_anyhow_has_to_change_by_more(days_of, swing: float, last: str) -> None:
    # Days swing evenly around the same level, before and after it falls to three tenths: ln 0.3 is 1.2,
    # ln 1.1 is 0.1, and ln 1.8 is 0.6 on either side.
    days = [swing if at // 2 % 2 else 1 / swing for at in range(42)]
    level = [1.0] * 35 + [0.3] * 7
    hours = [hour * day * now for day, now in zip(days, level, strict=True) for hour in DAY]
    assert days_of(hours).flags("usage_shift")[-1] == last


def test_the_line_through_a_few_weeks_and_how_far_the_next_may_be_off_it() -> None:
    # The slopes of its pairs are -1, 0, 1/3, 1, 1, 1: their median is 2/3. The line begins at 9 1/6, and
    # the values are 1/6, 1/6, 1/2 and 7/6 off it: their median is 1/3.
    trend = Trend.of(np.array([[9.0, 10.0, 11.0, 10.0]]))
    assert (trend.level[0], trend.ahead[0]) == (10.0, pytest.approx(9 + 1 / 6 + 4 * 2 / 3))
    # A line takes two of four values: twice that. The next week is 2.5 from their middle, 2.5² / 5 = 1.25.
    assert trend.spread[0] == pytest.approx(1.4826 / 3 * 2 * math.sqrt(1 + 1 / 4 + 1.25))
    assert trend.off(np.array([11.0])).tolist() == [0.0]


@pytest.mark.parametrize("weeks", range(4, 9))
def test_the_spread_of_a_few_weeks_of_noise_is_about_right(weeks: int) -> None:
    noise = np.random.default_rng(1).standard_normal((4000, 8))
    noise[:, : 8 - weeks] = np.nan
    times = np.arange(8.0 - weeks, 8.0)
    ahead = math.sqrt(1 + 1 / weeks + (8 - times.mean()) ** 2 / ((times - times.mean()) ** 2).sum())
    assert 0.75 < np.median(Trend.of(noise).spread) / ahead < 1.0


def test_a_new_customer_whose_days_scatter_and_who_uses_thrice_as_much_has_shifted(days_of) -> None:
    # Nine weeks are all there is. Days swing by 15 %: ln 2.8 is 1.03, and the scatters of 0.22 before and 0.15
    # since make 0.27 together, so the week lies 3.9 of them apart.
    swing = [1.15 if at // 2 % 2 else 1 / 1.15 for at in range(63)]
    level = [1.0] * 56 + [2.8] * 7
    hours = [hour * day * now for day, now in zip(swing, level, strict=True) for hour in DAY]
    assert days_of(hours).flags("usage_shift")[-1] == "S"
