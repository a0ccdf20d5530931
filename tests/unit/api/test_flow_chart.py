"""The chart's columns: gaps, invalid frames, means of the register."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from api.flow_chart import Bucket, bucket_s, register_means, series, silent_after_s

START = datetime(2026, 11, 20, 0, 0, tzinfo=UTC)
HOUR = 3600.0


def bucket(minutes: float, volume: float | None, *, low=1.0, high=2.0, readings=1, invalid=0) -> Bucket:
    at = START + timedelta(minutes=minutes)
    return Bucket(
        first_at=at,
        last_at=at,
        readings=readings,
        invalid=invalid,
        low=low,
        high=high,
        volume=volume,
        volume_at=None if volume is None else at,
    )


@pytest.mark.parametrize(
    "span", [timedelta(hours=24), timedelta(days=7), timedelta(days=30), timedelta(seconds=5)]
)
def test_a_span_never_has_more_buckets_than_the_chart_draws(span):
    assert span.total_seconds() / bucket_s(span) <= 480


def test_a_mean_is_taken_over_a_whole_window():
    found = register_means(
        [bucket(m, v) for m, v in ((0, 0), (30, 1), (60, 1), (90, 4), (110, 5))], HOUR, HOUR
    )
    assert found == [2.0, 2.0, 3.0, 3.0, 3.0]


def test_a_mean_is_unknown_without_a_register_after_a_gap_and_when_it_went_backwards():
    assert register_means([bucket(0, None), bucket(60, None)], HOUR, HOUR) == [None, None]
    assert register_means([bucket(0, 5), bucket(300, 9)], HOUR, HOUR) == [None, None]
    assert register_means([bucket(0, 5), bucket(60, 3)], HOUR, HOUR) == [None, None]
    assert register_means([bucket(0, 5), bucket(60, None), bucket(120, 9)], HOUR, 2 * HOUR) == [
        None,
        None,
        2.0,
    ]


def test_a_gap_breaks_the_lines_and_invalid_frames_stand_apart():
    found = series([bucket(0, 5), bucket(60, 9), bucket(600, 9, low=None, high=None, invalid=1)], HOUR)
    assert found["high"] == [2.0, 2.0, None, None]
    assert found["invalid"] == [None, None, None, 0.0]
    assert found["mean"] == [None, 4.0, None, None]
    assert found["time"][2] == pytest.approx(START.timestamp() + 330 * 60)


def test_nothing_is_an_empty_chart():
    assert series([], HOUR) == {"time": [], "low": [], "high": [], "mean": [], "invalid": []}


def test_a_dropout_among_good_frames_is_still_marked():
    assert series([bucket(0, 5, readings=3, invalid=1)], HOUR)["invalid"] == [0.0]


@pytest.mark.parametrize(("interval_s", "after_s"), [(3600, 10800), (60, 900), (None, 10800)])
def test_silence_is_counted_in_the_meters_own_intervals(interval_s, after_s):
    assert silent_after_s(interval_s) == after_s
