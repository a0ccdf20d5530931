"""Labels say what is there: faults, what follows from them, and what nobody can tell."""

from collections import Counter
from dataclasses import fields
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from firmware_sim.fault_specs import EXPECTED
from firmware_sim.faults import Fault, Level
from firmware_sim.labels import Label, Word, labels
from firmware_sim.meter import generate
from firmware_sim.mix import DEMANDING
from firmware_sim.population import Population, build_population
from fleet.checks import BY_CODE
from fleet.readings import ReadingBatch

END = datetime(2026, 11, 20, 4, 0, tzinfo=UTC)
START = END - timedelta(days=63)
DAY_US = 86_400_000_000


def build(count: int = 300, seed: int = 1) -> Population:
    return build_population(count, seed, start=START, end=END, fault_share=0.75, mix=DEMANDING)


@pytest.fixture(scope="module")
def population() -> Population:
    return build()


@pytest.fixture(scope="module")
def known(population: Population) -> list[Label]:
    return labels(population)


def test_the_same_seed_gives_the_same_readings_and_arrivals_and_labels():
    one, two = build(40, 3), build(40, 3)
    first, second = generate(one).readings, generate(two).readings

    assert labels(one) == labels(two)
    for field in fields(ReadingBatch):
        assert np.array_equal(getattr(first, field.name), getattr(second, field.name), equal_nan=True), (
            field.name
        )


def test_another_seed_gives_other_faults():
    assert labels(build(40, 3)) != labels(build(40, 4))


def test_every_kind_of_fault_whose_check_is_in_the_catalogue_is_there(population):
    wanted = {fault for fault, spec in EXPECTED.items() if spec.check is None or spec.check in BY_CODE}

    assert {fault.fault for fault in population.faults} == wanted


def test_most_faults_are_nominal_and_some_are_weak_or_strong(population):
    levels = Counter(fault.level for fault in population.faults)

    assert levels[Level.NOMINAL] > len(population.faults) / 2
    assert levels[Level.WEAK] > 0


@pytest.mark.parametrize("fault", [f for f in Fault if f in EXPECTED])
def test_a_stronger_level_lies_beyond_the_weaker_one(fault):
    weak, nominal, strong = EXPECTED[fault].strength
    up = weak <= nominal <= strong
    down = tuple(reversed(weak)) >= tuple(reversed(nominal)) >= tuple(reversed(strong))

    assert up or down


def test_each_fault_has_one_label_of_its_own_and_those_of_its_effects(population, known):
    for fault in population.faults:
        spec = EXPECTED[fault.fault]
        mine = [one for one in known if one.cause == fault.fault.name.lower()]
        own = [one for one in mine if population.meters[one.meter_key].meter_id == fault.meter_id]

        words = Counter((one.check, one.word) for one in own)
        expected = Counter((check, Word.EFFECT) for check in spec.side_effects)
        expected += Counter((check, Word.TOLERATED) for check in spec.may)
        if spec.check:
            expected[spec.check, Word.UNDECIDED if spec.undecided else Word.FAULT] += 1
        assert words == expected, fault


def test_labels_lie_in_the_history_and_can_be_decided_within_it(known):
    start_us, end_us = (round(moment.timestamp() * 1e6) for moment in (START, END))

    for one in known:
        if one.word is Word.FAULT:
            assert start_us <= one.from_us < one.until_us <= end_us, one
            assert one.from_us <= one.decidable_us <= end_us, one


def test_idle_seasons_are_undecided_and_hold_hardly_any_gas(population, known):
    idle = [one for one in known if one.cause == "idle season" and one.check == "idle_or_stuck"]
    readings = generate(population).readings

    assert len(idle) >= 3
    for one in idle:
        mine = readings.meter_key == one.meter_key
        within = mine & (readings.device_time_us >= one.from_us + DAY_US)
        within &= readings.device_time_us < one.until_us - 3 * DAY_US
        use = np.ptp(readings.volume_m3[within]) / max(np.ptp(readings.volume_m3[mine]), 1e-9)
        share = within.sum() / mine.sum()
        assert one.word is Word.UNDECIDED
        assert use < 0.25 * share


def test_a_pilot_flame_that_is_lit_burns_from_then_on_and_is_undecided(population, known):
    lit = [one for one in known if one.cause == "pilot lit" and one.check == "small_continuous_flow"]
    readings = generate(population).readings
    devices = population.devices.columns

    assert len(lit) >= 2
    assert {one.word for one in lit} == {Word.UNDECIDED}
    for one in lit:
        mine = readings.meter_key == one.meter_key
        shown, after = readings.flow_m3h[mine], readings.device_time_us[mine] >= one.from_us
        # A snapshot of a flame is never 0, and a customer's own is not for ever.
        assert (
            shown[after].min()
            > 0.9 * devices["pilot_qmax"][one.meter_key] * devices["qmax_m3h"][one.meter_key]
        )
    assert any(
        readings.flow_m3h[
            (readings.meter_key == one.meter_key) & (readings.device_time_us < one.from_us)
        ].min()
        == 0
        for one in lit
    )


def test_a_bad_line_is_labelled_where_readings_are_missing_or_late(population, known):
    readings = generate(population).readings
    late_us = readings.received_us - readings.device_time_us
    hours = late_us / 3.6e9
    line = [one for one in known if one.cause == "line" and one.check == "meter_silent"]
    covered = np.zeros(len(readings), dtype=bool)
    for one in line:
        mine = readings.meter_key == one.meter_key
        # A clock that is wrong is wrong by less than ten minutes.
        within = readings.device_time_us >= one.from_us - 600_000_000
        covered |= mine & within & (readings.device_time_us < one.until_us)

    assert line
    assert (hours[~covered] < 2.6).all(), "only the fault of that name is late by 2.5 intervals"
    assert (hours > 5).any()
    assert hours.max() < 13


def test_readings_arrive_after_they_were_read_but_for_clocks_that_are_ahead(population):
    readings = generate(population).readings
    ahead = np.isin(population.devices["fault"][readings.meter_key], [Fault.CLOCK_AHEAD, Fault.CLOCK_BEHIND])

    latency_s = (readings.received_us - readings.device_time_us)[~ahead] / 1e6
    # No clean meter's clock is quite right.
    assert -39 <= latency_s.min() < 0
    assert np.median(latency_s) < 5


def test_intervals_reach_from_two_minutes_to_a_day(population):
    assert {meter.interval_s for meter in population.meters} == {120, 600, 900, 1800, 3600, 14400, 86400}


def test_a_daily_reporter_burns_as_much_as_an_hourly_one(population):
    readings = generate(population).readings
    healthy = np.isin(population.devices["fault"], [Fault.NONE, Fault.BATTERY_OVERDUE, Fault.OIL_DUE_SOON])
    rested = population.devices["idle_end_us"] > 0
    use = {3600: [], 86400: []}
    for place in np.flatnonzero(healthy & ~rested):
        interval_s = population.meters[place].interval_s
        if interval_s in use:
            volume = readings.volume_m3[readings.meter_key == place]
            use[interval_s].append(np.ptp(volume) / population.devices["qmax_m3h"][place])

    assert np.median(use[86400]) == pytest.approx(np.median(use[3600]), rel=0.5)
