"""Roll-ups in the database: whatever is sent, in whatever order, they are what the readings say."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from alerts.engine import Engine
from alerts.loop import Loop, Rhythm
from alerts.rollups.upkeep import STEPS, Upkeep
from alerts.rollups.work import leave_rollup_work
from fleet.readings import ReadingBatch
from fleet.times import to_us
from storage.exceptions import SerializationError
from tests.integration.alerts.rolled import ZONES, assert_same, batches, recomputed, stored, telemetry

#: Some hours before Berlin's clocks go back.
START = datetime(2026, 10, 24, 18, 0, tzinfo=UTC)


@pytest.fixture
def fleet(story, make_meter):
    """Two meters in each of three time zones; gives their numbers."""
    meters = [
        make_meter(f"{company}{i}", company=company, interval_s=900, register_digits=4)
        for company in ZONES
        for i in range(2)
    ]
    keys = story.register(*meters)
    with story.database.transaction() as transaction:
        for company, zone in ZONES.items():
            transaction.execute(
                "UPDATE company SET timezone = %(zone)s WHERE code = %(company)s",
                {"zone": zone, "company": company},
            )
    return list(keys.values())


def _drain(run) -> None:
    while run().claimed:
        pass


def _assert_equal_to_raw(story, readings: ReadingBatch) -> None:
    hours, days = stored(story.database)
    expected_hours, expected_days = recomputed(story.database, readings)
    assert_same(hours, expected_hours)
    assert_same(days, expected_days)
    assert story.ask("SELECT count(*) AS n FROM rollup_work") == [{"n": 0}]


@pytest.mark.parametrize("seed", range(4))
def test_any_order_and_cut_ends_in_a_recomputation_from_raw(seed, story, fleet):
    chance = random.Random(seed)
    readings = telemetry(chance, fleet, START)
    engine = Engine(story.database, rows_per_cycle=2, readings_per_block=50)
    upkeep = Upkeep(story.database, pairs_per_step=chance.choice([1, 7, 2000]))
    for batch in batches(chance, readings):
        story.arrive_batch(batch, START)
        if chance.random() < 0.6:
            engine.run_once(START)
        if chance.random() < 0.4:
            upkeep.run_once()
    _drain(lambda: engine.run_once(START))
    _drain(upkeep.run_once)
    _assert_equal_to_raw(story, readings)


@pytest.mark.parametrize("step", STEPS)
def test_a_crash_at_any_step_repeats_work_and_doubles_nothing(step, story, fleet):
    class PowerCutError(Exception):
        pass

    def fail(at):
        if at == step:
            raise PowerCutError

    readings = telemetry(random.Random(1), fleet, START)
    story.arrive_batch(readings, START)
    engine = Engine(story.database)
    _drain(lambda: engine.run_once(START))
    before = story.ask("SELECT * FROM rollup_work")
    with pytest.raises(PowerCutError):
        Upkeep(story.database, failpoint=fail).run_once()
    assert story.ask("SELECT * FROM rollup_work") == before
    assert story.ask("SELECT count(*) AS n FROM reading_hour") == [{"n": 0}]
    _drain(engine.run_rollups)
    _assert_equal_to_raw(story, readings)


@pytest.mark.parametrize("step", STEPS[:-1])
def test_what_comes_while_an_upkeep_runs_is_not_lost(step, story, fleet):
    """Late readings of the very hours come in between; rolled up by a second one, or left for later."""
    readings = telemetry(random.Random(2), fleet[:1], START)
    late = np.arange(len(readings)) % 3 == 0
    engine = Engine(story.database)
    story.arrive_batch(readings.take(~late), START)
    engine.run_once(START)

    def second_one_arrives(at):
        if at == step:
            story.arrive_batch(readings.take(late), START)
            engine.run_once(START)
            if step == "claimed":
                assert Upkeep(story.database).run_once().claimed

    first = Upkeep(story.database, failpoint=second_one_arrives)
    if step == "claimed":
        with pytest.raises(SerializationError):
            first.run_once()
    else:
        first.run_once()
    _drain(engine.run_rollups)
    _assert_equal_to_raw(story, readings)


def test_a_late_first_use_turns_later_frames_of_zeros_into_dropouts(story, fleet):
    """Zeros of a meter that was never used are readings, until it is known that it was."""
    key, at = fleet[0], [START + timedelta(hours=hour) for hour in range(4)]
    zeros = {"volume_m3": 0.0, "flow_m3h": 0.0}
    engine = Engine(story.database)

    def arrive(hours, **columns):
        times = [to_us(at[hour]) for hour in hours]
        batch = ReadingBatch.build(
            len(times),
            meter_key=[key] * len(times),
            device_time_us=times,
            seq=hours,
            received_us=times,
            **{name: [value] * len(times) for name, value in columns.items()},
        )
        story.arrive_batch(batch, START)
        _drain(lambda: engine.run_once(START))
        _drain(engine.run_rollups)
        return [row["dropouts"] for row in story.ask("SELECT dropouts FROM reading_hour ORDER BY begin_at")]

    assert arrive([1, 2, 3], **zeros) == [0, 0, 0]
    assert arrive([0], volume_m3=5.0, flow_m3h=1.0) == [0, 1, 1, 1]
    (day,) = story.ask("SELECT sum(dropouts) AS dropouts, max(register_last) AS last FROM reading_day")
    assert (day["dropouts"], day["last"]) == (3, 5.0)


def test_only_new_readings_of_a_history_leave_work(story, fleet):
    readings = telemetry(random.Random(3), fleet[:1], START).sorted_by_meter_and_time()
    since_us = readings.device_time_us[-1:]
    with story.database.transaction() as transaction:
        leave_rollup_work(transaction, readings, readings.meter_key[:1], since_us, START)
    (work,) = story.ask("SELECT meter_keys, hours FROM rollup_work")
    assert work["meter_keys"] == fleet[:1]
    assert to_us(work["hours"][0]) == since_us[0] // 3_600_000_000 * 3_600_000_000


def test_work_is_left_in_rows_that_one_step_can_do(story, fleet, monkeypatch):
    monkeypatch.setattr("alerts.rollups.work.PAIRS_PER_ROW", 10)
    readings = telemetry(random.Random(4), fleet, START)
    story.arrive_batch(readings, START)
    engine = Engine(story.database)
    engine.run_once(START)
    sizes = [row["n"] for row in story.ask("SELECT cardinality(hours) AS n FROM rollup_work")]
    assert len(sizes) > 10
    assert max(sizes) == 10
    _drain(Upkeep(story.database, pairs_per_step=15, rows_per_step=4).run_once)
    _assert_equal_to_raw(story, readings)


def test_the_loop_rolls_up_at_its_rhythm_and_says_how_far_it_is_behind(story, fleet):
    readings = telemetry(random.Random(5), fleet, START)
    engine = Engine(story.database)
    rhythm = Rhythm(rollups_every_s=30, heartbeat_every_s=1, clock_every_s=3600)
    loop = Loop(engine, story.database, rhythm)
    while loop.step(START):
        pass  # the clock looks at each time zone in a step of its own
    story.arrive_batch(readings, START)
    assert loop.step(START + timedelta(seconds=10))
    (beat,) = story.ask("SELECT figures FROM service_heartbeat WHERE service = 'engine'")
    assert (beat["figures"]["rollup_waiting"], beat["figures"]["rollup_lag_s"]) == (1, 0)
    assert not loop.step(START + timedelta(seconds=29))
    (beat,) = story.ask("SELECT figures FROM service_heartbeat WHERE service = 'engine'")
    assert (beat["figures"]["rollup_waiting"], beat["figures"]["rollup_lag_s"]) == (1, 19)
    assert loop.step(START + timedelta(seconds=30))
    assert not loop.step(START + timedelta(seconds=31))
    hours, days = stored(story.database)
    (beat,) = story.ask("SELECT figures FROM service_heartbeat WHERE service = 'engine'")
    assert beat["figures"]["rollup_waiting"] == 0
    assert (beat["figures"]["rollup_hours"], beat["figures"]["rollup_days"]) == (len(hours), len(days))
    _assert_equal_to_raw(story, readings)


def test_a_row_that_stays_as_it_is_is_not_written_again(story, fleet):
    readings = telemetry(random.Random(6), fleet, START)
    engine = Engine(story.database)
    story.arrive_batch(readings, START)
    _drain(lambda: engine.run_once(START))
    _drain(engine.run_rollups)
    hours = np.unique(readings.device_time_us // 3_600_000_000) * 3_600_000_000
    with story.database.transaction() as transaction:
        keys = np.full(len(hours), fleet[0], dtype=np.int32)
        again = ReadingBatch.build(meter_key=keys, device_time_us=hours)
        leave_rollup_work(transaction, again, keys[:1], hours[:1], START)
    done = engine.run_rollups()
    assert (done.claimed, done.hours, done.days) == (1, 0, 0)
