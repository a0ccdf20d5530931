"""One word for a meter's present."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from api.meter_status import MeterStatus, meter_status

NOW = datetime(2026, 11, 20, 4, 0, tzinfo=UTC)
RATED = {"qmin": 1.6, "qmax": 160.0}


def reading(age_s=60, **values):
    empty = {"flow": None, "volume": None, "pressure": None, "temperature": None, "battery": None}
    return {"ts": NOW - timedelta(seconds=age_s), **empty, **values}


@pytest.mark.parametrize(
    ("flow", "status"),
    [
        (None, MeterStatus.NOT_REPORTED),
        (0.0, MeterStatus.NO_FLOW),
        (1.5, MeterStatus.UNDER_RANGE),
        (1.6, MeterStatus.IN_RANGE),
        (160.0, MeterStatus.IN_RANGE),
        (160.1, MeterStatus.OVER_RANGE),
    ],
)
def test_flow_is_held_against_the_rated_range(flow, status):
    assert meter_status(reading(flow=flow), RATED, 3600, [], NOW) == status


def test_without_a_rated_range_flow_is_only_flow():
    assert meter_status(reading(flow=5.0), {"qmin": None, "qmax": None}, 3600, [], NOW) == MeterStatus.FLOWING


def test_silence_comes_before_what_was_said_last():
    assert meter_status(None, RATED, 3600, [], NOW) == MeterStatus.NEVER
    assert meter_status(reading(10_801, flow=0.0), RATED, 3600, [], NOW) == MeterStatus.NO_DATA
    assert meter_status(reading(10_800, flow=0.0), RATED, 3600, [], NOW) == MeterStatus.NO_FLOW


def test_a_dropout_frame_and_an_active_doubt_are_invalid_data():
    zeros = reading(flow=0.0, volume=0.0, pressure=0.0, temperature=0.0)
    assert meter_status(zeros, RATED, 3600, [], NOW) == MeterStatus.INVALID
    assert meter_status(reading(flow=0.0), RATED, 3600, ["register_reversed"], NOW) == MeterStatus.INVALID
    assert meter_status(reading(flow=0.0), RATED, 3600, ["battery_low"], NOW) == MeterStatus.NO_FLOW


def test_a_new_meters_register_of_zero_is_no_dropout():
    fresh = reading(flow=0.0, volume=0.0, pressure=101.3, temperature=20.0)
    assert meter_status(fresh, RATED, 3600, [], NOW) == MeterStatus.NO_FLOW
