"""What the simulator calls the truth is what the checks find, no more and no less."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from analytics.pipeline import evaluate, evaluate_clock, initial_state
from firmware_sim.meter import generate
from firmware_sim.population import Population, build_population
from fleet.checks import BY_NUMBER
from fleet.meter_table import MeterTable

END = datetime(2026, 11, 20, 4, 0, tzinfo=UTC)


def found_by_checks(population: Population) -> set[tuple[str, str]]:
    readings = generate(population).readings
    readings = replace(readings, received_us=readings.device_time_us)
    meters = MeterTable.build(population.meters)
    end_us = int(population.end.timestamp() * 1e6)
    evaluation = evaluate(readings, meters, initial_state(len(meters)))
    clock = evaluate_clock(meters, evaluation.state, end_us, np.full(len(meters), end_us))
    return {
        (BY_NUMBER[int(check)].code, population.meters[int(key)].meter_id)
        for episodes in (evaluation.episodes, clock)
        for check, key in zip(episodes.check, episodes.meter_key, strict=True)
    }


def pairs(meters: dict[str, list[str]]) -> set[tuple[str, str]]:
    return {(check, meter_id) for check, meter_ids in meters.items() for meter_id in meter_ids}


@pytest.mark.parametrize(
    ("seed", "count", "days"), [(1, 60, 14), (2, 60, 14), (3, 150, 5), (4, 200, 40), (5, 60, 2)]
)
def test_the_checks_find_the_truth_and_nothing_else(seed, count, days):
    population = build_population(count, seed, start=END - timedelta(days=days), end=END)

    found = found_by_checks(population)

    assert found - pairs(population.tolerated()) == pairs(population.truth()) - pairs(population.tolerated())
    assert pairs(population.truth()) <= found


def test_a_fleet_without_faults_raises_nothing():
    population = build_population(150, 9, start=END - timedelta(days=20), end=END, fault_share=0.0)

    assert found_by_checks(population) == set()
