"""Meters of the wrong size, and days on which too little was heard."""

from __future__ import annotations

import math

#: Qmax is 100 m³/h, Qt 10.
SMALL = [0.0] * 8 + [4.0] * 14 + [0.0] * 2
USUAL = [0.0] * 8 + [40.0] * 14 + [0.0] * 2
TOO_MUCH = [0.0] * 8 + [40.0] * 10 + [130.0] * 4 + [0.0] * 2


def test_a_meter_that_never_reaches_a_tenth_of_qmax_is_too_large(days_of) -> None:
    found = days_of(SMALL * 21)
    # It takes 20 days with use.
    assert found.flags("meter_oversized") == "u" * 19 + "SS"
    assert found.episodes("meter_oversized") == [(19, None, 2, 0.04, 0.1)]
    assert set(days_of(USUAL * 21).flags("meter_oversized")) == {"u", "g"}


def test_a_snapshot_shows_the_burner_that_an_hours_mean_hides(days_of) -> None:
    flow = [35.0 if hour % 24 == 12 else 0.0 for hour in range(21 * 24 + 1)]
    assert set(days_of(SMALL * 21, flow_m3h=flow).flags("meter_oversized")) == {"u", "g"}


def test_much_volume_above_qmax_on_many_days_is_too_small(days_of) -> None:
    found = days_of(USUAL * 11 + TOO_MUCH * 6)
    # On the fifth such day 5 * 520 of 11 * 560 + 5 * 920 m³ were measured above Qmax.
    assert found.flags("meter_undersized") == "u" * 14 + "g" + "FF"
    assert found.episodes("meter_undersized")[0][:3] == (15, None, 2)


def test_one_burst_is_no_verdict_on_the_size(days_of) -> None:
    assert "S" not in days_of(USUAL * 13 + [130.0] * 48).flags("meter_undersized")


def test_without_qmax_no_size_is_wrong(days_of) -> None:
    found = days_of(SMALL * 16, meter={"qmax": None})
    assert set(found.flags("meter_oversized") + found.flags("meter_undersized")) == {"u"}


def test_fewer_than_eight_in_ten_readings_are_low_reception(days_of) -> None:
    heard_20, heard_18, heard_10 = ([1.0] * n + [math.nan] * (24 - n) for n in (20, 18, 10))
    found = days_of([1.0] * 24 + heard_20 + heard_18 + heard_10 + [1.0] * 24)
    # The first day has none before it; 20 of 24 are enough.
    assert found.flags("low_reception") == "ugSFg"
    assert found.episodes("low_reception") == [(2, 4, 2, 0.417, 0.8)]


def test_a_silent_day_is_silence_and_the_day_after_is_undecided(days_of) -> None:
    silent = [math.nan] * 24
    late = [math.nan] * 12 + [1.0] * 12
    assert days_of([1.0] * 48 + silent + late + [1.0] * 24).flags("low_reception") == "ug-ug"


def test_a_slow_reporter_is_judged_by_its_week(days_of) -> None:
    four_hourly = ([1.0] + [math.nan] * 3) * 6
    thin = [1.0] + [math.nan] * 11 + [1.0] + [math.nan] * 11
    found = days_of(four_hourly * 8 + thin * 3, meter={"interval_s": 14400})
    # Of 42 in a week: 38, 34, 30.
    assert found.flags("low_reception") == "u" * 7 + "ggg" + "S"
