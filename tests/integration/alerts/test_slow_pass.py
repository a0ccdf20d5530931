"""The daily pass of the slow checks: a leak is found, cleared and corrected; nothing is lost or doubled."""

from __future__ import annotations

import threading
from datetime import timedelta
from itertools import pairwise

import numpy as np
import pytest

from alerts.engine import Engine
from alerts.loop import Loop, Rhythm
from alerts.meter_cache import MeterCache
from alerts.slow import daily
from alerts.slow.daily import STEPS, DailyPass
from alerts.slow.states import KEPT_DAYS, KEPT_WEEKS, load_carried
from fleet.readings import ReadingBatch
from fleet.times import to_us
from storage.database import Transaction
from storage.exceptions import SerializationError
from tests.integration.alerts.days import (
    DAY,
    HOUR,
    LEAKING,
    START,
    USUAL,
    between,
    hourly,
    settle,
    told,
    truth,
)

LEAK = "small_continuous_flow"
#: After the end of a local day, and after the grace.
MORNING = timedelta(hours=4)


@pytest.fixture
def kitchen(story, make_meter):
    """Number of an hourly meter: 1 to 50 m³/h, to a hundredth."""
    return story.register(_kitchen(make_meter, "K1"))["K1"]


def _kitchen(make_meter, name, **fields):
    usual = {"interval_s": 3600, "register_step": 0.01, "qmax": 50.0, "qmin": 1.0}
    return make_meter(name, **(usual | fields))


def _live(story, engine, readings, days):
    """Let readings arrive day by day; gives on which mornings the leak's alarm changed its state."""
    seen = []
    for day in days:
        morning = START + (day + 1) * DAY + MORNING
        new = between(readings, START + day * DAY + MORNING, morning)
        if len(new):
            story.arrive_batch(new, morning)
        settle(engine, morning)
        states = [alarm["state"] for alarm in story.alarms(LEAK)]
        if not seen or seen[-1][1] != states:
            seen.append((day, states))
    return seen


def test_a_leak_becomes_an_alarm_with_a_visit_and_clears(story, kitchen):
    """Twelve days of rest at night, five of a leak, and rest again."""
    readings = hourly(kitchen, USUAL * 12 + LEAKING * 5 + USUAL * 3)
    engine = Engine(story.database)
    seen = _live(story, engine, readings, range(-1, 20))
    # The third day without rest is day 14, told on the morning after it; day 17 rests again.
    assert seen == [(-1, []), (14, ["active_unacked"]), (17, ["cleared_unacked"])]
    [alarm] = story.alarms(LEAK)
    assert (alarm["onset_at"], alarm["ended_at"]) == (START + 12 * DAY, START + 17 * DAY)
    assert (alarm["severity"], alarm["readings"], alarm["value"]) == ("minor", 3, 0.5)
    assert alarm["limit_origin"] == "default"
    [task] = story.ask("SELECT * FROM task WHERE alarm_id = %(id)s", id=alarm["alarm_id"])
    assert (task["kind"], task["state"]) == ("alarm_visit", "planned")
    journal = story.ask("SELECT * FROM alarm_journal WHERE event <> 'update' ORDER BY journal_id")
    assert [
        (row["event"], row["event_at"], row["arrived_at"], row["decided_at"], row["correction"])
        for row in journal
        if row["alarm_id"] == alarm["alarm_id"]
    ] == [
        ("raise", START + 12 * DAY, None, START + 15 * DAY + MORNING, False),
        ("clear", START + 17 * DAY, None, START + 18 * DAY + MORNING, False),
    ]


def _two_late(key):
    """Readings of a leak of three days, and two more of its third night, at which the register rested.

    Without them the night looks like the others: it moved by 1.5 m³ from one to four o'clock.
    """
    night = LEAKING.copy()
    night[1:4] = [0.0, 0.0, 1.5]
    whole = hourly(key, USUAL * 12 + LEAKING * 2 + night + LEAKING)
    third = START + 14 * DAY
    late = np.isin(whole.device_time_us, between(whole, third + 2 * HOUR, third + 4 * HOUR).device_time_us)
    return whole.take(~late), whole.take(late)


def _last_change(story, alarm):
    [row] = story.ask(
        "SELECT * FROM alarm_journal WHERE alarm_id = %(id)s ORDER BY journal_id DESC LIMIT 1",
        id=alarm["alarm_id"],
    )
    return row


@pytest.mark.parametrize("morning", [15, 16])
def test_late_data_withdraw_it_as_a_correction(morning, story, kitchen):
    """They come while its last day is still provisional, or when that is settled."""
    present, late = _two_late(kitchen)
    engine = Engine(story.database)
    _live(story, engine, present, range(-1, morning))
    assert [alarm["state"] for alarm in story.alarms(LEAK)] == ["active_unacked"]
    now = START + morning * DAY + 2 * MORNING
    late.received_us[:] = to_us(now)
    story.arrive_batch(late, now)
    assert settle(engine, now) == [1]
    [alarm] = story.alarms(LEAK)
    last = _last_change(story, alarm)
    assert (alarm["state"], alarm["ended_at"]) == ("closed", alarm["onset_at"])
    assert (last["event"], last["correction"], last["decided_at"]) == ("withdraw", True, now)
    # The newest arrival of the meter, which may be that of a later reading.
    assert last["arrived_at"] <= now
    assert [task["state"] for task in story.ask("SELECT state FROM task")] == ["cancelled"]
    assert told(story) == truth(story, now)
    assert settle(engine, now) == []


def test_without_the_word_of_the_upkeep_late_data_are_not_seen(story, kitchen):
    """The guard taken away: nobody asks for the days again."""
    present, late = _two_late(kitchen)
    engine = Engine(story.database)
    _live(story, engine, present, range(-1, 16))
    now = START + 16 * DAY + 2 * MORNING
    story.arrive_batch(late, now)
    while engine.run_once(now).claimed or engine.run_rollups().claimed:
        pass
    with story.database.transaction() as transaction:
        assert transaction.execute("UPDATE rollup_meter SET slow_again = NULL WHERE slow_again IS NOT NULL")
    assert settle(engine, now) == []
    assert told(story) != truth(story, now)


def test_nothing_from_before_the_state_is_touched(story, kitchen):
    """An old leak that is over stays as it is when a day long after it is judged again."""
    readings = hourly(kitchen, USUAL * 12 + LEAKING * 4 + USUAL * 30)
    engine = Engine(story.database)
    late = between(readings, START + 40 * DAY + 2 * HOUR, START + 40 * DAY + 3 * HOUR)
    present = readings.take(~np.isin(readings.device_time_us, late.device_time_us))
    _live(story, engine, present, range(-1, 44))
    before = story.everything()
    kept = story.ask("SELECT through FROM slow_state ORDER BY through")
    story.arrive_batch(late, START + 44 * DAY)
    asked = []

    def remembered(transaction, due):
        asked.append(due.again[0] - due.settled[0])
        return load_carried(transaction, due)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(daily, "load_carried", remembered)
        assert settle(engine, START + 44 * DAY + MORNING) == [1]
    assert asked == [-3]
    after = story.everything()
    assert [after[name] for name in ("alarm", "alarm_journal", "task")] == [
        before[name] for name in ("alarm", "alarm_journal", "task")
    ]
    assert {row["through"] for row in kept} >= {
        row["through"] for row in story.ask("SELECT through FROM slow_state WHERE through < now()")
    } - {(START + 44 * DAY).date()}


@pytest.mark.parametrize("seed", range(3))
def test_whatever_comes_when_the_alarms_are_those_of_one_pass(seed, story, make_meter):
    """Random cuts, delays and gaps; passes at random moments between; in the end nothing is left to tell."""
    rng = np.random.default_rng(seed)
    meters = [_kitchen(make_meter, f"K{number}") for number in range(3)]
    keys = list(story.register(*meters).values())
    readings = ReadingBatch.concatenate([_anything(rng, key, 26) for key in keys])
    delay = rng.choice([0, 0, 0, 0, 1, 5, 30, 100, 400], len(readings)) * 3_600_000_000
    readings.received_us[:] = readings.device_time_us + delay
    engine = Engine(story.database)
    small = DailyPass(story.database, MeterCache(), meters_per_step=2)
    now, end = START, START + 26 * DAY + MORNING
    while now < end:
        then, now = now, min(now + timedelta(hours=int(rng.choice([5, 24, 24, 60]))), end)
        arrived = (readings.received_us >= to_us(then)) & (readings.received_us < to_us(now))
        if arrived.any():
            story.arrive_batch(readings.take(arrived), now)
        if rng.random() < 0.7:
            settle(engine, now)
        elif rng.random() < 0.5:
            engine.run_once(now)
            engine.run_rollups()
            small.run_once(now)
    rest = readings.received_us >= to_us(end)
    story.arrive_batch(readings.take(rest), end)
    settle(engine, end + DAY)
    assert told(story) == truth(story, end + DAY)
    assert settle(engine, end + DAY) == []
    assert truth(story, end + DAY)


def _anything(rng, key, days):
    """A history with leaks, heavy weeks, gaps and a falling balance of the meter's own kind."""
    volumes = np.array(USUAL * days)
    for _ in range(2):
        begin = 24 * rng.integers(0, days)
        volumes[begin : begin + 24 * rng.integers(3, 8)] += rng.choice([0.5, 0.5, 12.0])
    whole = hourly(key, volumes.tolist())
    lost = np.zeros(len(whole), dtype=bool)
    for _ in range(4):
        begin = rng.integers(0, len(whole))
        lost[begin : begin + rng.choice([2, 9, 40])] = True
    return whole.take(~lost)


class PowerCutError(Exception):
    pass


@pytest.mark.parametrize("step", STEPS)
def test_a_crash_at_any_step_repeats_work_and_doubles_nothing(step, story, kitchen):
    def fail(at):
        if at == step:
            raise PowerCutError

    readings = hourly(kitchen, USUAL * 12 + LEAKING * 3 + USUAL)
    engine = Engine(story.database)
    _live(story, engine, readings, range(-1, 14))
    morning = START + 15 * DAY + MORNING
    story.arrive_batch(between(readings, START + 14 * DAY + MORNING, morning), morning)
    while engine.run_once(morning).claimed or engine.run_rollups().claimed:
        pass
    before = _all(story)
    with pytest.raises(PowerCutError):
        DailyPass(story.database, MeterCache(), failpoint=fail).run_once(morning)
    assert _all(story) == before
    assert settle(engine, morning) == [1]
    [alarm] = story.alarms(LEAK)
    assert story.journal(alarm["alarm_id"]) == ["raise"]
    assert len(story.ask("SELECT * FROM task WHERE kind = 'alarm_visit'")) == 1
    assert settle(engine, morning) == []


def _all(story):
    more = {
        name: story.ask(f"SELECT * FROM {name} ORDER BY 1, 2")
        for name in ("slow_state", "rollup_meter", "rollup_work")
    }
    return story.everything() | more


def test_two_engines_share_the_meters(story, make_meter):
    keys = list(story.register(*(_kitchen(make_meter, f"K{number}") for number in range(10))).values())
    readings = ReadingBatch.concatenate([hourly(key, USUAL * 12 + LEAKING * 4) for key in keys])
    story.arrive_batch(readings, START + 16 * DAY)
    now = START + 16 * DAY + MORNING
    engine = Engine(story.database)
    while engine.run_once(now).claimed or engine.run_rollups().claimed:
        pass
    others = []

    def second_one(at):
        if at == "claimed":
            others.append(DailyPass(story.database, MeterCache()).run_once(now).meters)

    first = DailyPass(story.database, MeterCache(), meters_per_step=4, failpoint=second_one)
    assert first.run_once(now).meters == 4
    assert others == [6]
    assert settle(engine, now) == []
    assert [alarm["state"] for alarm in story.alarms(LEAK)] == ["active_unacked"] * 10
    assert told(story) == truth(story, now)


@pytest.mark.parametrize("step", STEPS[:-1])
def test_an_upkeep_that_meets_a_pass_is_not_lost(step, story, kitchen):
    """Late hours are rolled up while the pass settles their day: one of the two tries again."""
    present, late = _two_late(kitchen)
    engine = Engine(story.database)
    _live(story, engine, present, range(-1, 14))
    morning = START + 15 * DAY + MORNING
    story.arrive_batch(between(present, START + 14 * DAY + MORNING, morning), morning)
    while engine.run_once(morning).claimed or engine.run_rollups().claimed:
        pass
    conflicts = []

    def upkeep():
        try:
            engine.run_rollups()
        except SerializationError as error:
            conflicts.append(error)

    threads = [threading.Thread(target=upkeep)]

    def late_hours(at):
        if at == step:
            story.arrive_batch(late, morning)
            engine.run_once(morning)
            threads[0].start()
            # It waits for the meter's row until this pass is through.
            _wait_for_a_lock(story)

    DailyPass(story.database, MeterCache(), failpoint=late_hours).run_once(morning)
    threads[0].join(30)
    assert len(conflicts) == 1
    settle(engine, morning)
    assert told(story) == truth(story, morning)
    assert [alarm["state"] for alarm in story.alarms(LEAK)] == ["closed"]


def _wait_for_a_lock(story):
    waiting = "SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
    assert any(story.ask(waiting) for _ in range(20_000))


def test_a_day_of_a_hundred_meters_costs_few_statements(story, make_meter, monkeypatch):
    keys = list(story.register(*(_kitchen(make_meter, f"K{number}") for number in range(100))).values())
    readings = ReadingBatch.concatenate([hourly(key, USUAL * 12 + LEAKING * 4) for key in keys])
    engine = Engine(story.database)
    before, after = START + 14 * DAY + MORNING, START + 15 * DAY + MORNING
    story.arrive_batch(between(readings, START, before), before)
    settle(engine, before)
    story.arrive_batch(between(readings, before, after), after)
    while engine.run_once(after).claimed or engine.run_rollups().claimed:
        pass
    statements = []
    for verb in ("rows", "execute", "copy_out", "copy_in", "execute_many"):
        real = getattr(Transaction, verb)

        def counted(self, sql, *rest, real=real):
            statements.append(sql)
            return real(self, sql, *rest)

        monkeypatch.setattr(Transaction, verb, counted)
    daily_pass = DailyPass(story.database, MeterCache(), meters_per_step=100, meter_days_per_step=20_000)
    assert daily_pass.run_once(after).meters == 100
    assert len(statements) < 25
    assert len(story.alarms(LEAK)) == 100


def test_a_meter_that_sends_what_it_had_stored_is_judged_as_far_as_it_has_come(story, kitchen, make_meter):
    """No day that is half there is called a day of low reception."""
    now = START + 20 * DAY
    other = story.register(_kitchen(make_meter, "K2"))["K2"]
    readings = hourly(kitchen, USUAL * 20)
    readings.received_us[:] = to_us(now)
    half = between(readings, START, START + 5 * DAY + 6 * HOUR)
    engine = Engine(story.database)
    story.arrive_batch(hourly(other, USUAL * 20), now)
    story.arrive_batch(half, now)
    settle(engine, now + timedelta(minutes=1))
    settled = "SELECT slow_settled FROM rollup_meter WHERE meter_key = %(key)s"
    assert story.ask(settled, key=kitchen) == [{"slow_settled": (START + 4 * DAY).date()}]
    story.arrive_batch(between(readings, START + 5 * DAY + 6 * HOUR, now + HOUR), now)
    settle(engine, now + MORNING)
    assert story.ask(settled, key=kitchen) == [{"slow_settled": (START + 19 * DAY).date()}]
    assert story.alarms("low_reception") == []
    assert told(story) == truth(story, now + MORNING)


def test_the_loop_judges_after_the_roll_ups_and_says_how_many_wait(story, kitchen):
    story.arrive_batch(hourly(kitchen, USUAL * 12 + LEAKING * 4), START + 16 * DAY)
    now = START + 16 * DAY + MORNING
    loop = Loop(Engine(story.database), story.database, Rhythm(heartbeat_every_s=0))
    seen = []
    for _ in range(8):
        loop.step(now)
        [beat] = story.ask("SELECT figures FROM service_heartbeat WHERE service = 'engine'")
        seen.append((beat["figures"]["slow_due"], beat["figures"]["slow_judged"]))
    assert seen[0] == (1, 0)
    assert seen[-1] == (0, 1)
    assert [alarm["state"] for alarm in story.alarms(LEAK)] == ["active_unacked"]


def test_few_states_are_kept(story, kitchen):
    story.arrive_batch(hourly(kitchen, USUAL * 130), START + 130 * DAY)
    engine = Engine(story.database)
    settle(engine, START + 130 * DAY + MORNING)
    kept = [row["through"] for row in story.ask("SELECT through FROM slow_state ORDER BY through")]
    assert KEPT_WEEKS <= len(kept) <= KEPT_WEEKS + KEPT_DAYS
    assert kept[-1] == (START + 129 * DAY).date()
    assert [(b - a).days for a, b in pairwise(kept)][:10] == [7] * 10
