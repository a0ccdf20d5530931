"""A healthy meter stays within every limit; each fault shows in the columns as it is described."""

from dataclasses import fields
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from firmware_sim.faults import Fault, InjectedFault
from firmware_sim.meter import Telemetry, boot_of, generate
from firmware_sim.population import Population, build_population
from fleet.meter_table import MeterTable
from fleet.readings import ReadingBatch
from fleet.wire import VALVES

END = datetime(2026, 11, 20, 4, 0, tzinfo=UTC)
START = END - timedelta(days=14)


@pytest.fixture(scope="module")
def population() -> Population:
    return build_population(60, 1, start=START, end=END)


@pytest.fixture(scope="module")
def telemetry(population: Population) -> Telemetry:
    return generate(population)


@pytest.fixture(scope="module")
def healthy() -> tuple[Population, ReadingBatch]:
    built = build_population(80, 3, start=START, end=END, fault_share=0.0)
    return built, generate(built).readings


def same(one: ReadingBatch, two: ReadingBatch) -> bool:
    return all(
        np.array_equal(getattr(one, f.name), getattr(two, f.name), equal_nan=True)
        for f in fields(ReadingBatch)
    )


def columns_of(
    population: Population, telemetry: Telemetry, fault: Fault
) -> tuple[InjectedFault, ReadingBatch, np.ndarray]:
    """The fault, its meter's readings, and which of them lie in it."""
    injected = next(f for f in population.faults if f.fault is fault)
    key = [m.meter_id for m in population.meters].index(injected.meter_id)
    mine = telemetry.readings.take(telemetry.readings.meter_key == key)
    time = mine.device_time_us / 1e6
    return injected, mine, (time >= injected.starts_at.timestamp()) & (time < injected.ends_at.timestamp())


def limits_of(population: Population, injected: InjectedFault) -> MeterTable:
    return MeterTable.build([next(m for m in population.meters if m.meter_id == injected.meter_id)])


def test_the_same_seed_gives_the_same_telemetry(telemetry):
    again = generate(build_population(60, 1, start=START, end=END))

    assert same(telemetry.readings, again.readings)
    assert np.array_equal(telemetry.sent_us, again.sent_us)


def test_another_seed_gives_other_telemetry(telemetry):
    other = generate(build_population(60, 2, start=START, end=END))

    assert not np.array_equal(telemetry.readings.volume_m3[:1000], other.readings.volume_m3[:1000])


def test_going_on_after_the_end_does_not_change_the_history(population, telemetry):
    longer = generate(population, until=END + timedelta(days=1)).readings
    end_us = END.timestamp() * 1e6
    history = longer.take(longer.device_time_us < end_us)

    assert len(longer) > len(history)
    for name in ("seq", "volume_m3", "balance", "battery_v", "pressure_kpa"):
        assert np.allclose(getattr(history, name), getattr(telemetry.readings, name), equal_nan=True), name


def test_each_meter_numbers_its_readings_from_one_without_a_hole(telemetry):
    readings = telemetry.readings
    first = np.searchsorted(readings.meter_key, readings.meter_key)

    assert np.array_equal(readings.seq, np.arange(len(readings)) - first + 1)
    assert set(readings.boot.tolist()) == {boot_of(END)}


def test_readings_come_at_the_registered_interval(healthy):
    built, readings = healthy
    interval_s = np.array([m.interval_s for m in built.meters], dtype=float)
    same_meter = np.diff(readings.meter_key) == 0
    steps_s = np.diff(readings.device_time_us)[same_meter] / 1e6

    assert np.array_equal(steps_s, interval_s[readings.meter_key[1:][same_meter]])
    assert len(np.unique(readings.meter_key)) == len(built.meters)


def test_a_healthy_flow_is_nothing_or_well_within_the_rated_range(healthy):
    built, readings = healthy
    table = MeterTable.build(built.meters)
    qmin, qmax = table.qmin_m3h[readings.meter_key], table.qmax_m3h[readings.meter_key]
    flow = readings.flow_m3h

    assert ((flow == 0) | ((flow >= 1.3 * qmin) & (flow <= 0.8 * qmax))).all()
    assert (flow == 0).any()


def test_a_healthy_register_never_falls_and_moves_at_most_with_the_highest_load(healthy):
    built, readings = healthy
    table = MeterTable.build(built.meters)
    same_meter = np.diff(readings.meter_key) == 0
    key = readings.meter_key[1:][same_meter]
    moved = np.diff(readings.volume_m3)[same_meter]
    hours = table.interval_s[key] / 3600

    assert (moved >= 0).all()
    assert (moved <= 0.8 * table.qmax_m3h[key] * hours + table.register_step_m3[key]).all()


def test_what_flows_at_a_sample_has_moved_the_register(healthy):
    built, readings = healthy
    table = MeterTable.build(built.meters)
    key = readings.meter_key[1:]
    moved = np.diff(readings.volume_m3)
    flowing = (readings.flow_m3h[1:] > 0) & (np.diff(readings.meter_key) == 0)
    enough = readings.flow_m3h[1:] * table.interval_s[key] / 3600 > 20 * table.register_step_m3[key]

    assert (moved[flowing & enough] > 0).all()


def test_a_burner_that_is_off_at_the_sample_may_have_burnt_before(healthy):
    _, readings = healthy
    moved = (np.diff(readings.volume_m3) > 0) & (np.diff(readings.meter_key) == 0)

    assert (readings.flow_m3h[1:][moved] == 0).mean() > 0.05


def test_registers_show_whole_steps(healthy):
    built, readings = healthy
    step = MeterTable.build(built.meters).register_step_m3[readings.meter_key]
    steps = readings.volume_m3 / step

    assert np.allclose(steps, np.round(steps), atol=1e-4)


def test_a_healthy_balance_is_topped_up_in_time(healthy):
    built, readings = healthy
    table = MeterTable.build(built.meters)
    prepaid = table.prepaid[readings.meter_key]

    assert (readings.balance[prepaid] > 1.9 * table.low_balance[readings.meter_key[prepaid]]).all()
    assert np.isnan(readings.balance[~prepaid]).all()
    assert (np.diff(readings.balance[prepaid]) > 0).any(), "somebody topped up"


def test_healthy_batteries_are_well_above_their_limits(healthy):
    built, readings = healthy
    table = MeterTable.build(built.meters)
    second = ~np.isnan(readings.battery2_v)

    assert (readings.battery_v > table.battery_warn_v[readings.meter_key] + 0.1).all()
    assert second.any()
    assert (readings.battery2_v[second] > table.battery2_warn_v[readings.meter_key[second]] + 0.1).all()


def test_the_standard_volume_follows_from_pressure_and_temperature(healthy):
    _, readings = healthy
    corrected = ~np.isnan(readings.pressure_kpa) & (readings.flow_m3h > 0)
    rows = readings.take(corrected)
    expected = rows.flow_m3h * rows.pressure_kpa / 101.325 * 293.15 / (rows.temperature_c + 273.15)

    assert np.allclose(rows.std_flow_m3h, expected, rtol=1e-3, atol=1e-2)


def test_a_burst_is_seen_in_the_snapshot_and_not_in_the_register(population, telemetry):
    fault, mine, inside = columns_of(population, telemetry, Fault.OVER_RANGE_BURST)
    table = limits_of(population, fault)
    qmax = float(table.qmax_m3h[0])
    mean = np.diff(mine.volume_m3) / (np.diff(mine.device_time_us) / 3.6e9)

    assert inside.sum() == 1
    assert mine.flow_m3h[inside][0] == pytest.approx(fault.strength * qmax, rel=1e-3)
    per_interval = float(table.register_step_m3[0] + fault.strength * qmax / 60) * 3600 / table.interval_s[0]
    assert (mean <= 0.8 * qmax + per_interval).all()


def test_a_long_overload_is_seen_in_the_register_too(population, telemetry):
    fault, mine, inside = columns_of(population, telemetry, Fault.OVER_RANGE_LONG)
    qmax = float(limits_of(population, fault).qmax_m3h[0])
    rows = mine.take(inside)
    hours = (rows.device_time_us[-1] - rows.device_time_us[0]) / 3.6e9

    assert (rows.flow_m3h > 1.05 * qmax).all()
    assert (rows.volume_m3[-1] - rows.volume_m3[0]) / hours > 1.05 * qmax
    assert hours >= 3


def test_under_range_lasts_longer_than_two_hours(population, telemetry):
    fault, mine, inside = columns_of(population, telemetry, Fault.UNDER_RANGE)
    qmin = float(limits_of(population, fault).qmin_m3h[0])
    rows = mine.take(inside)

    assert ((rows.flow_m3h > 0) & (rows.flow_m3h < 0.8 * qmin)).all()
    assert rows.device_time_us[-1] - rows.device_time_us[0] > 4 * 3.6e9


def test_a_low_battery_falls_and_stays_low(population, telemetry):
    fault, mine, inside = columns_of(population, telemetry, Fault.BATTERY_LOW)
    warn = float(limits_of(population, fault).battery_warn_v[0])

    assert (mine.battery_v[~inside] > warn).all()
    assert (mine.battery_v[inside][-10:] < warn - 0.05).all()
    assert (mine.status_bits[inside][-10:] > 0).all()


def test_a_late_payer_passes_the_alarm_balance_but_never_runs_out(population, telemetry):
    fault, mine, inside = columns_of(population, telemetry, Fault.BALANCE_LOW)
    low = float(limits_of(population, fault).low_balance[0])

    assert (mine.balance[~inside] > low).all()
    assert (mine.balance[inside] <= low).any()
    assert (mine.balance > 0.1 * low).all()


def test_an_exhausted_balance_closes_the_valve_until_somebody_pays(population, telemetry):
    fault, mine, inside = columns_of(population, telemetry, Fault.BALANCE_EXHAUSTED)
    low = float(limits_of(population, fault).low_balance[0])
    rows = mine.take(inside)

    assert (rows.balance == 0).all()
    assert (rows.valve == VALVES.index("closed")).all()
    assert (rows.flow_m3h == 0).all()
    assert (np.diff(rows.volume_m3) == 0).all()
    before, after = mine.take(mine.seq < rows.seq[0]), mine.take(mine.seq > rows.seq[-1])
    assert (before.balance > 0).all()
    assert ((before.balance <= low) & (before.balance > 0)).any(), "low before it is gone"
    assert after.balance[0] > low
    assert (after.valve == VALVES.index("open")).all()


def test_a_silent_meter_says_nothing_any_more(population, telemetry):
    fault, mine, inside = columns_of(population, telemetry, Fault.SILENCE)
    interval_s = float(limits_of(population, fault).interval_s[0])

    assert not inside.any()
    assert END.timestamp() - mine.device_time_us[-1] / 1e6 > 3 * interval_s


def test_a_dropout_frame_is_all_zero_and_the_register_comes_back(population, telemetry):
    fault, mine, inside = columns_of(population, telemetry, Fault.DROPOUT_FRAME)
    rows = mine.take(inside)

    assert len(rows) == fault.strength
    for name in ("flow_m3h", "volume_m3", "std_volume_m3", "pressure_kpa", "temperature_c"):
        assert (getattr(rows, name) == 0).all(), name
    assert (rows.battery_v > 3).all()
    assert (np.diff(mine.volume_m3[~inside]) >= 0).all()


def test_a_stalled_register_stands_still_while_gas_flows(population, telemetry):
    _, mine, inside = columns_of(population, telemetry, Fault.REGISTER_STALLED)
    rows = mine.take(inside)

    assert (rows.flow_m3h > 0).all()
    assert len(np.unique(rows.volume_m3)) == 1
    assert mine.volume_m3[-1] > rows.volume_m3[-1], "it runs again afterwards"


def test_a_reversed_register_falls_once_and_runs_on_from_there(population, telemetry):
    fault, mine, inside = columns_of(population, telemetry, Fault.REGISTER_REVERSED)
    steps = np.diff(mine.volume_m3)
    qmax = float(limits_of(population, fault).qmax_m3h[0])

    assert (steps < 0).sum() == 1
    assert np.argmax(steps < 0) + 1 == np.argmax(inside)
    assert steps.min() < -1.6 * qmax, "the next interval cannot bring it back"


def test_a_glitch_is_one_temperature_far_from_its_neighbours(population, telemetry):
    fault, mine, inside = columns_of(population, telemetry, Fault.SENSOR_GLITCH)
    at = int(np.argmax(inside))

    assert inside.sum() == 1
    assert mine.temperature_c[at] == pytest.approx(fault.strength, abs=0.05)
    assert mine.temperature_c[at] - mine.temperature_c[[at - 1, at + 1]].max() > 20


def test_overdue_oil_is_overdue_by_date_or_by_volume_alone(population, telemetry):
    for fault, by_date, by_volume in (
        (Fault.OIL_OVERDUE_DAYS, True, False),
        (Fault.OIL_OVERDUE_VOLUME, False, True),
        (Fault.OIL_DUE_SOON, False, False),
    ):
        injected, mine, _ = columns_of(population, telemetry, fault)
        table = limits_of(population, injected)
        days = END.timestamp() / 86400 - float(table.oil_filled_day[0])
        used = mine.volume_m3 - float(table.oil_volume_at_fill_m3[0])

        assert (days > table.oil_interval_days[0]) == by_date, fault
        assert (used > table.oil_interval_m3[0]).any() == by_volume, fault


def test_a_duplicate_is_sent_twice_and_read_once(population, telemetry):
    fault, mine, inside = columns_of(population, telemetry, Fault.DUPLICATE)
    again = telemetry.readings.take(telemetry.again)

    assert len(again) == inside.sum() == fault.strength
    assert np.array_equal(again.seq, mine.seq[inside])
    assert (telemetry.again_us > telemetry.sent_us[telemetry.again]).all()


def test_a_late_batch_comes_out_of_order_and_before_the_meter_counts_as_silent(population, telemetry):
    fault, mine, inside = columns_of(population, telemetry, Fault.LATE_BATCH)
    key = int(mine.meter_key[0])
    sent = telemetry.sent_us[telemetry.readings.meter_key == key]
    limit_us = max(3 * float(limits_of(population, fault).interval_s[0]), 900) * 1e6
    late = sent - mine.device_time_us > 60e6

    assert late.sum() == 2
    assert inside[late].all()
    assert (sent - mine.device_time_us < limit_us).all()
    assert (np.diff(sent) < 0).any(), "a newer reading overtakes an older one"
    arrived = np.sort(sent)
    assert (np.diff(arrived) < limit_us).all(), "the meter is never quiet for long"


def test_many_meters_are_generated_in_blocks_that_do_not_show():
    built = build_population(501, 4, start=END - timedelta(days=2), end=END)

    readings = generate(built).readings

    assert len(np.unique(readings.meter_key)) == 501
    assert (np.diff(readings.meter_key) >= 0).all()
