"""The clock's part of the engine: silence, services that are due, the calendar, and the loop."""

from __future__ import annotations

import json
import threading
from datetime import date, timedelta

import pytest

from alerts.engine import Engine
from alerts.loop import Loop, Rhythm
from fleet.times import to_us
from fleet.wire import status_bits
from storage.database import Database

HOUR = timedelta(hours=1)
MINUTE = timedelta(minutes=1)


def _two_meters_of_which_one_falls_silent(story, make_meter, now):
    """Both report hourly until `now`; then only M2 goes on, for ten hours."""
    keys = story.register(make_meter("M1"), make_meter("M2"))
    engine = Engine(story.database)
    for key in keys.values():
        story.arrive(key, now - 5 * HOUR, HOUR, flow_m3h=[50.0] * 6)
    engine.run_once(now)
    story.arrive(keys["M2"], now + HOUR, HOUR, flow_m3h=[50.0] * 10)
    engine.run_once(now + 10 * HOUR)
    return keys, engine


def test_a_meter_that_falls_silent_is_raised_once_and_cleared_by_its_next_reading(story, make_meter, now):
    keys, engine = _two_meters_of_which_one_falls_silent(story, make_meter, now)
    engine.run_clock(now + 10 * HOUR)
    engine.run_clock(now + 11 * HOUR)
    [alarm] = story.alarms("meter_silent")
    # Silent after three intervals of an hour.
    assert (alarm["meter_key"], alarm["state"], alarm["onset_at"]) == (
        keys["M1"],
        "active_unacked",
        now + 3 * HOUR,
    )
    story.arrive(keys["M1"], now + 12 * HOUR, HOUR, flow_m3h=[50.0])
    engine.run_once(now + 12 * HOUR)
    [alarm] = story.alarms("meter_silent")
    assert (alarm["state"], alarm["ended_at"]) == ("cleared_unacked", now + 12 * HOUR)
    assert story.journal(alarm["alarm_id"]) == ["raise", "clear"]
    engine.run_clock(now + 12 * HOUR)
    assert story.journal(alarm["alarm_id"]) == ["raise", "clear"]


def test_readings_that_fill_the_silence_end_it(story, make_meter, now):
    keys, engine = _two_meters_of_which_one_falls_silent(story, make_meter, now)
    engine.run_clock(now + 10 * HOUR)
    story.arrive(keys["M1"], now + HOUR, HOUR, flow_m3h=[50.0] * 10)
    engine.run_once(now + 10 * HOUR)
    engine.run_clock(now + 10 * HOUR)
    [alarm] = story.alarms("meter_silent")
    assert alarm["state"] == "cleared_unacked"


def test_readings_that_wait_for_the_engine_make_nobody_silent(story, make_meter, now):
    keys = story.register(make_meter("M1"), make_meter("M2"))
    engine = Engine(story.database)
    for key in keys.values():
        story.arrive(key, now - 5 * HOUR, HOUR, flow_m3h=[50.0] * 6)
    engine.run_once(now)
    # The engine was away for a day; ingest was not.
    for hour in range(1, 25):
        for key in keys.values():
            story.arrive(key, now + hour * HOUR, HOUR, flow_m3h=[50.0])
    engine.run_clock(now + 24 * HOUR)
    assert story.alarms("meter_silent") == []


def test_services_are_due_by_the_calendar_even_for_a_meter_that_never_reported(story, make_meter, now):
    meter = make_meter(
        "M1",
        battery_type="alkaline_6v",
        battery_replaced_on=date(2024, 1, 1),
        oil_filled_on=date(2020, 1, 1),
        oil_interval_days=365,
    )
    story.register(meter)
    engine = Engine(story.database)
    engine.run_clock(now)
    assert {alarm["check_code"] for alarm in story.alarms()} == {"battery_overdue", "oil_overdue"}
    tasks = story.ask("SELECT kind FROM task ORDER BY kind")
    assert [task["kind"] for task in tasks] == ["battery_replacement", "oil_service"]
    before = story.everything()
    engine.run_clock(now)
    assert story.everything() == before


def test_oil_that_was_low_ends_with_the_reading_that_says_so(story, make_meter, now):
    keys = story.register(make_meter("M1", technology="roots"), make_meter("M2", technology="roots"))
    engine = Engine(story.database)
    low, well = (status_bits(codes) for codes in (["low_oil"], []))
    for key in keys.values():
        story.arrive(key, now, HOUR, status_bits=[well, low])
    engine.run_once(now + HOUR)
    engine.run_clock(now + HOUR)
    # M2's oil is due by the calendar, too, before the level is well again.
    story.register(make_meter("M2", technology="roots", oil_filled_on=date(2024, 1, 1), oil_interval_days=30))
    for key in keys.values():
        story.arrive(key, now + 2 * HOUR, HOUR, status_bits=[well])
    engine.run_once(now + 2 * HOUR)
    engine.run_clock(now + 2 * HOUR)
    found = {alarm["meter_key"]: alarm for alarm in story.alarms("oil_overdue")}
    first, second = (found[keys[name]] for name in ("M1", "M2"))
    assert (first["onset_at"], first["ended_at"]) == (now + HOUR, now + 2 * HOUR)
    assert story.journal(first["alarm_id"]) == ["raise", "clear"]
    assert second["ended_at"] is None
    # One that comes and goes between two looks at the clock is raised all the same, and once.
    story.arrive(keys["M1"], now + 3 * HOUR, HOUR, status_bits=[low, well])
    engine.run_once(now + 4 * HOUR)
    engine.run_clock(now + 4 * HOUR)
    ended = [alarm["ended_at"] for alarm in story.alarms("oil_overdue") if alarm["meter_key"] == keys["M1"]]
    assert max(ended) == now + 4 * HOUR
    before = story.everything()
    engine.run_clock(now + 4 * HOUR)
    assert story.everything() == before


def test_a_replaced_battery_clears_the_alarm_and_keeps_the_visit(story, make_meter, now):
    old = {"battery_type": "alkaline_6v", "battery_replaced_on": date(2024, 1, 1)}
    story.register(make_meter("M1", **old))
    engine = Engine(story.database)
    engine.run_clock(now)
    story.register(make_meter("M1", **{**old, "battery_replaced_on": now.date()}))
    engine.run_clock(now + HOUR)
    [alarm] = story.alarms("battery_overdue")
    assert (alarm["state"], alarm["ended_at"]) == ("cleared_unacked", now + HOUR)
    assert [task["state"] for task in story.ask("SELECT state FROM task")] == ["planned"]


def test_while_one_engine_looks_at_the_clock_another_one_leaves_it_alone(story, make_meter, now):
    story.register(make_meter("M1", battery_type="alkaline_6v", battery_replaced_on=date(2024, 1, 1)))
    engine = Engine(story.database)
    with story.database.transaction() as transaction:
        transaction.execute("SELECT pg_advisory_xact_lock(7064706)")
        assert engine.run_clock(now).alarms_opened == 0
    assert engine.run_clock(now).alarms_opened == 1


def test_obligations_and_their_tasks_are_planned_once(story, make_meter, now):
    story.register(
        make_meter("M1", reading_class="daily"),
        make_meter("M2", reading_class="twice_monthly"),
        make_meter("M3", customer_kind="residential"),
    )
    engine = Engine(story.database)
    done = engine.plan_everywhere(now)
    assert (done.obligations, done.tasks) == (6, 6)
    rows = story.ask(
        "SELECT o.customer, o.kind, o.period_start, o.period_end, t.due_on, t.state FROM obligation o "
        "JOIN task t USING (obligation_id) WHERE o.kind = 'safety_inspection' ORDER BY o.customer"
    )
    assert [(r["customer"], r["period_start"], r["period_end"]) for r in rows] == [
        ("Hotel M1", date(2026, 11, 1), date(2026, 11, 30)),
        ("Hotel M2", date(2026, 1, 1), date(2026, 12, 31)),
    ]
    assert all(now.date() <= row["due_on"] <= row["period_end"] for row in rows)
    again = engine.plan_everywhere(now)
    assert (again.obligations, again.tasks) == (0, 0)
    # A new month owes the monthly ones again; the year's inspection is still the same.
    december = engine.plan_everywhere(now + timedelta(days=15))
    assert (december.obligations, december.tasks) == (5, 5)


def test_an_obligation_that_lost_its_task_gets_one(story, make_meter, now):
    story.register(make_meter("M1"))
    engine = Engine(story.database)
    engine.plan_everywhere(now)
    with story.database.transaction() as transaction:
        transaction.execute("DELETE FROM task WHERE kind = 'record_check'")
    done = engine.plan_everywhere(now)
    assert (done.obligations, done.tasks) == (0, 1)


def test_the_loop_works_off_what_there_is_plans_and_leaves_a_heartbeat(story, one_meter, now):
    story.arrive(one_meter, now, HOUR, flow_m3h=[170.0])
    loop = Loop(Engine(story.database), story.database)
    assert loop.step(now + HOUR) is True
    assert loop.step(now + HOUR) is False
    assert (loop.figures.readings, loop.figures.alarms_opened, loop.figures.obligations) == (1, 1, 3)
    [beat] = story.ask("SELECT * FROM service_heartbeat")
    assert (beat["service"], beat["started_at"], beat["beat_at"]) == ("engine", now + HOUR, now + HOUR)
    assert (beat["figures"]["alarms_opened"], beat["figures"]["waiting"], beat["figures"]["lag_s"]) == (
        1,
        0,
        0.0,
    )


def test_the_loop_plans_again_on_a_new_day_and_for_a_new_meter(story, make_meter, now):
    story.register(make_meter("M1"))
    loop = Loop(Engine(story.database), story.database)
    for hour in (0, 1):
        while loop.step(now + hour * HOUR):
            pass
    assert loop.figures.obligations == 3
    story.register(make_meter("M2"))
    while loop.step(now + 2 * HOUR):
        pass
    assert loop.figures.obligations == 6
    while loop.step(now + timedelta(days=15)):
        pass
    assert loop.figures.obligations == 12


def test_new_readings_do_not_wait_until_the_clock_has_looked_at_everybody(story, make_meter, now):
    keys = story.register(*(make_meter(f"M{i}") for i in range(3)))
    for key in keys.values():
        story.arrive(key, now, MINUTE, flow_m3h=[100.0])
    loop = Loop(Engine(story.database, meters_per_clock_block=1), story.database)
    at = now + 10 * HOUR
    assert loop.step(at) is True
    silent = [len(story.alarms("meter_silent"))]
    for minute in (1, 2):
        story.arrive(keys["M1"], at + minute * MINUTE, MINUTE, flow_m3h=[170.0])
        loop.step(at + timedelta(seconds=minute))
        silent.append(len(story.alarms("meter_silent")))
        assert len(story.alarms("flow_over_range")) == 1
    # A block a step; M1 was heard again before its turn came, or its silence is over.
    assert silent == sorted(silent)
    assert silent[0] < silent[-1]
    assert loop.step(at + timedelta(seconds=3)) is False


def test_new_readings_do_not_wait_until_everybody_is_planned_for(story, make_meter, now, monkeypatch):
    monkeypatch.setattr("alerts.inspections.planning.CUSTOMERS_PER_STEP", 1)
    keys = story.register(*(make_meter(f"M{i}") for i in range(3)))
    loop = Loop(Engine(story.database), story.database)
    planned = []
    for minute in range(5):
        story.arrive(keys["M1"], now + minute * MINUTE, MINUTE, flow_m3h=[170.0])
        loop.step(now + timedelta(seconds=minute))
        planned.append(loop.figures.obligations)
        assert loop.figures.readings == minute + 1
    # The clock's look at all, then three steps of one customer each, and one that finds that nobody is left.
    assert planned == [0, 3, 6, 9, 9]


@pytest.mark.parametrize("done", range(0, 10, 2))
def test_planning_that_was_cut_short_anywhere_leaves_no_hole(done, story, make_meter, now, monkeypatch):
    monkeypatch.setattr("alerts.inspections.planning.CUSTOMERS_PER_STEP", 1)
    story.register(*(make_meter(f"M{i}", reading_class="daily") for i in range(2)))
    engine = Engine(story.database)
    engine.plan_everywhere(now)
    # Nobody planned in December; in January the process dies after some steps, and a customer is new.
    later = now + timedelta(days=50)
    steps = engine.plan_steps(later)
    assert len(steps) == 3 * 3
    for step in steps[:done]:
        engine.run_plan_step(step, later)
    story.register(make_meter("L9", customer="A newcomer", reading_class="daily"))
    engine.plan_everywhere(later)
    months = story.ask("SELECT customer, count(*) AS n FROM obligation GROUP BY customer ORDER BY customer")
    assert [(row["customer"], row["n"]) for row in months] == [
        ("A newcomer", 3),
        ("Hotel M0", 9),
        ("Hotel M1", 9),
    ]
    tasks = story.ask("SELECT count(*) AS n FROM task")
    assert tasks == [{"n": 6 + 9}]


def test_the_loop_runs_until_it_is_told_to_stop(story, one_meter, now):
    story.arrive(one_meter, now, HOUR, flow_m3h=[170.0])
    stop = threading.Event()
    steps = []

    def clock():
        steps.append(1)
        if len(steps) == 3:
            stop.set()
        return now

    Engine(story.database).run_forever(stop, clock, Rhythm(idle_wait_s=0.0))
    assert len(steps) == 3
    assert len(story.alarms()) == 1


def test_the_loop_outlives_a_database_that_is_away(now):
    """Nothing listens there; the loop backs off and obeys the stop."""
    away = Database("postgresql://nobody@127.0.0.1:1/nothing", connect_timeout_s=1)
    stop = threading.Event()

    def clock():
        stop.set()
        return now

    loop = Loop(Engine(away), away)
    loop.run(stop, clock)
    assert loop.figures.cycles == 0


def _heartbeat(story, beat_at, started_at, instance="north", **figures):
    story.ask(
        "INSERT INTO service_heartbeat (service, instance, started_at, beat_at, figures) "
        "VALUES ('ingest', %(instance)s, %(started)s, %(beat)s, %(figures)s::jsonb) "
        "ON CONFLICT (service, instance) DO UPDATE "
        "SET started_at = excluded.started_at, beat_at = excluded.beat_at, figures = excluded.figures "
        "RETURNING service",
        instance=instance,
        started=started_at,
        beat=beat_at,
        figures=json.dumps({"connected": True, "last_canary_us": to_us(beat_at), **figures}),
    )


def test_an_ingest_that_was_away_makes_nobody_silent(story, make_meter, now):
    minute = timedelta(minutes=1)
    keys = story.register(*(make_meter(f"M{at}", interval_s=60) for at in range(3)))
    engine = Engine(story.database)
    for key in keys.values():
        story.arrive(key, now - 10 * minute, minute, flow_m3h=[50.0] * 11)
    engine.run_once(now)
    _heartbeat(story, now, now - HOUR)
    engine.run_clock(now + 20 * minute)
    assert story.alarms() == []
    # It is back; the first meters speak again, the last one never does.
    back = now + 21 * minute
    _heartbeat(story, back, back)
    for key in list(keys.values())[:2]:
        story.arrive(key, back, minute, flow_m3h=[50.0])
    engine.run_once(back)
    engine.run_clock(back)
    assert [alarm["state"] for alarm in story.alarms() if alarm["meter_key"] == keys["M2"]] == []
    later = back + 16 * minute
    _heartbeat(story, later, back)
    engine.run_clock(later)
    assert keys["M2"] in {alarm["meter_key"] for alarm in story.alarms("meter_silent")}


def test_while_one_of_a_group_is_away_nobody_is_silent(story, make_meter, now):
    minute = timedelta(minutes=1)
    key = story.register(make_meter("M1", interval_s=60))["M1"]
    engine = Engine(story.database)
    story.arrive(key, now - 10 * minute, minute, flow_m3h=[50.0] * 11)
    engine.run_once(now)
    later = now + 20 * minute
    _heartbeat(story, later, now - HOUR, "north", share="city")
    _heartbeat(story, now, now - HOUR, "south", share="city")
    engine.run_clock(later)
    assert story.alarms() == []
    _heartbeat(story, later, now - HOUR, "south", share="city")
    engine.run_clock(later)
    assert [alarm["check_code"] for alarm in story.alarms()] == ["meter_silent"]


def test_months_in_which_nobody_planned_show_as_missed(story, make_meter, now):
    story.register(make_meter("M1", reading_class="daily"))
    engine = Engine(story.database)
    engine.plan(date(2026, 1, 5), now)
    story.register(make_meter("M2", customer="Newcomer", reading_class="daily"))
    done = engine.plan(date(2026, 4, 7), now)
    months = story.ask(
        "SELECT period_start, count(*) AS n FROM obligation WHERE customer = 'Hotel M1' GROUP BY 1 ORDER BY 1"
    )
    assert [(row["period_start"].month, row["n"]) for row in months] == [(1, 3), (2, 3), (3, 3), (4, 3)]
    # Nobody can do any more what February and March asked for; a customer of today owes only today.
    assert (done.obligations, done.tasks) == (2 * 3 + 3 + 3, 6)
    assert engine.plan(date(2026, 4, 8), now).obligations == 0


def test_another_reading_class_asks_for_its_own_period_at_once(story, make_meter, now):
    story.register(make_meter("M1", reading_class="twice_monthly"))
    engine = Engine(story.database)
    engine.plan(date(2026, 1, 5), now)
    story.register(make_meter("M1", reading_class="daily"))
    engine.plan(date(2026, 1, 6), now)
    rows = story.ask(
        "SELECT reading_class, period_end, task.state FROM obligation LEFT JOIN task USING (obligation_id) "
        "WHERE obligation.kind = 'safety_inspection'"
    )
    assert [tuple(row.values()) for row in rows] == [("daily", date(2026, 1, 31), "planned")]


def test_an_inspection_that_somebody_began_is_kept_when_the_class_changes(story, make_meter, now):
    story.register(make_meter("M1", reading_class="twice_monthly"))
    engine = Engine(story.database)
    engine.plan(date(2026, 1, 5), now)
    story.ask("UPDATE task SET state = 'assigned', assignee = 'wang' RETURNING task_id")
    story.register(make_meter("M1", reading_class="daily"))
    engine.plan(date(2026, 1, 6), now)
    rows = story.ask("SELECT reading_class FROM obligation WHERE kind = 'safety_inspection' ORDER BY 1")
    assert [row["reading_class"] for row in rows] == ["daily", "twice_monthly"]
