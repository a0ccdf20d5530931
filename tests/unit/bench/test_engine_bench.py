"""The pure parts of the engine's bench: what is committed, and what is made of the numbers."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from alerts.engine import Engine
from bench.engine.__main__ import figures
from bench.engine.fleet import QMAX_M3H, Fleet
from bench.engine.measure import Drained
from fleet.times import to_us
from storage.database import Database

NOW = datetime(2026, 11, 20, tzinfo=UTC)


@pytest.fixture
def fleet() -> Fleet:
    database = Database("postgresql://never-asked")
    return Fleet(database, Engine(database), np.arange(7, 1007, dtype=np.int32), NOW)


def test_a_second_of_readings_is_spread_over_it(fleet: Fleet) -> None:
    assert (fleet.spread_us(4, 2) - to_us(NOW)).tolist() == [2_000_000, 2_250_000, 2_500_000, 2_750_000]


def test_some_readings_are_over_range_some_batteries_low_and_the_same_is_given_twice(fleet: Fleet) -> None:
    meters = np.arange(1000)
    times = fleet.spread_us(1000, 0)
    readings = fleet.readings(meters, 3, times, calm=False)
    assert 0 < (readings.flow_m3h > QMAX_M3H).sum() < 30
    assert not (fleet.readings(meters, 3, times).flow_m3h > QMAX_M3H).any()
    assert (readings.battery_v < 3.3).sum() == 50
    np.testing.assert_array_equal(readings.flow_m3h, fleet.readings(meters, 3, times, calm=False).flow_m3h)
    assert readings.meter_key.tolist() == list(range(7, 1007))


def test_another_beginning_moves_the_readings_alone(fleet: Fleet) -> None:
    later = fleet.at(NOW + timedelta(minutes=1))
    assert (later.spread_us(3, 0) - fleet.spread_us(3, 0)).tolist() == [60_000_000] * 3
    assert later.meter_keys is fleet.meter_keys


def test_the_figures_are_rates_of_wall_time_and_quantiles_of_waiting() -> None:
    runs = [Drained(1000, 0.5, 0.25, 0), Drained(900, 0.9, 0.5, 9)]
    found = figures(50, runs, [0.1] * 98 + [0.5, 0.9])
    assert (found["meters"], found["readings_per_s"], found["readings_per_s_with_late"]) == (50, 2000, 1000)
    assert (found["engine_cpu_share"], found["median_commit_to_alarm_s"]) == (0.5, 0.1)
    assert 0.5 < found["p99_commit_to_alarm_s"] < 0.9
