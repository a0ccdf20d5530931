"""The engine on a real database: readings come in, alarms, journal and tasks come out."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta

import pytest

from alerts.alarms.store import acknowledge
from alerts.cycle import STEPS
from alerts.engine import Engine
from alerts.loop import CONFLICTS
from storage.exceptions import SerializationError

HOUR = timedelta(hours=1)
MINUTE = timedelta(minutes=1)


def test_over_range_begins_and_leads_to_one_alarm_one_task_and_one_journal_row(story, one_meter, now):
    story.arrive(one_meter, now, MINUTE, flow_m3h=[100.0, 170.0, 175.0])
    cycle = Engine(story.database).run_once(now + 3 * MINUTE)
    assert (cycle.readings, cycle.meters, cycle.decided.alarms_opened, cycle.decided.tasks_created) == (
        3,
        1,
        1,
        1,
    )
    [alarm] = story.alarms()
    assert alarm["check_code"] == "flow_over_range"
    assert (alarm["state"], alarm["severity"], alarm["company"]) == ("active_unacked", "minor", "north")
    assert (alarm["onset_at"], alarm["ended_at"]) == (now + MINUTE, None)
    assert (alarm["raised_at"], alarm["readings"], alarm["value"], alarm["limit_value"]) == (
        now + 3 * MINUTE,
        2,
        175.0,
        160.0,
    )
    [entry] = story.ask("SELECT * FROM alarm_journal")
    assert (entry["event"], entry["from_state"], entry["to_state"]) == ("raise", None, "active_unacked")
    assert (entry["event_at"], entry["arrived_at"], entry["decided_at"]) == (
        now + MINUTE,
        now + MINUTE,
        now + 3 * MINUTE,
    )
    [task] = story.ask("SELECT * FROM task")
    assert (task["kind"], task["state"], task["alarm_id"], task["customer"]) == (
        "alarm_visit",
        "planned",
        alarm["alarm_id"],
        "Hotel M1",
    )
    # 04:03 UTC is noon in the company's calendar; a minor alarm has 14 days.
    assert task["due_on"] == (now + 14 * 24 * HOUR).date()


def test_nothing_waits_after_a_cycle_and_a_second_one_changes_nothing(story, one_meter, now):
    story.arrive(one_meter, now, MINUTE, flow_m3h=[170.0, 170.0])
    engine = Engine(story.database)
    engine.run_once(now)
    before = story.everything()
    assert before["dirty_work"] == []
    assert engine.run_once(now + HOUR).claimed == 0
    assert story.everything() == before


def test_word_of_known_readings_evaluates_them_again_and_changes_nothing(story, one_meter, now):
    story.arrive(one_meter, now, MINUTE, flow_m3h=[170.0, 100.0, 170.0, 100.0, 170.0])
    engine = Engine(story.database)
    engine.run_once(now)
    before = story.everything()
    story.arrive(one_meter, now, MINUTE, flow_m3h=[170.0, 100.0, 170.0, 100.0, 170.0])
    cycle = engine.run_once(now + HOUR)
    assert (cycle.claimed, cycle.reevaluated) == (1, 1)
    assert story.everything() == before


def test_the_alarm_follows_its_condition_from_cycle_to_cycle(story, one_meter, now):
    engine = Engine(story.database)
    for i, flow in enumerate([170.0, 180.0, 200.0, 100.0]):
        story.arrive(one_meter, now + i * MINUTE, MINUTE, flow_m3h=[flow])
        engine.run_once(now + i * MINUTE)
    [alarm] = story.alarms("flow_over_range")
    assert (alarm["state"], alarm["severity"], alarm["value"]) == ("cleared_unacked", "major", 200.0)
    assert (alarm["onset_at"], alarm["ended_at"]) == (now, now + 3 * MINUTE)
    # The second reading only moved figures.
    assert story.journal(alarm["alarm_id"]) == ["raise", "escalate", "clear"]
    # Having become major, the visit is due after three days instead of fourteen.
    [task] = story.ask("SELECT * FROM task")
    assert task["due_on"] == (now + 3 * 24 * HOUR).date()


def test_a_cleared_alarm_that_nobody_saw_comes_back_as_the_same_alarm(story, one_meter, now):
    engine = Engine(story.database)
    for i, flow in enumerate([170.0, 100.0, 170.0]):
        story.arrive(one_meter, now + i * HOUR, MINUTE, flow_m3h=[flow])
        engine.run_once(now + i * HOUR)
    [alarm] = story.alarms("flow_over_range")
    assert (alarm["state"], alarm["occurrences"], alarm["onset_at"]) == ("active_unacked", 2, now + 2 * HOUR)
    assert story.journal(alarm["alarm_id"]) == ["raise", "clear", "reactivate"]
    assert len(story.ask("SELECT * FROM task")) == 1


def test_an_acknowledged_alarm_closes_when_it_clears_and_a_recurrence_is_a_new_one(story, one_meter, now):
    engine = Engine(story.database)
    story.arrive(one_meter, now, MINUTE, flow_m3h=[170.0])
    engine.run_once(now)
    [alarm] = story.alarms()
    with story.database.transaction() as transaction:
        acknowledge(transaction, alarm["alarm_id"], "wang", now + MINUTE, "customer was called")
    for i, flow in enumerate([100.0, 170.0], start=1):
        story.arrive(one_meter, now + i * HOUR, MINUTE, flow_m3h=[flow])
        engine.run_once(now + i * HOUR)
    first, second = story.alarms("flow_over_range")
    assert (first["state"], first["acknowledged_by"], first["closed_at"]) == ("closed", "wang", now + HOUR)
    assert story.journal(first["alarm_id"]) == ["raise", "acknowledge", "clear"]
    assert (second["state"], second["onset_at"], second["acknowledged_by"]) == (
        "active_unacked",
        now + 2 * HOUR,
        None,
    )
    assert len(story.ask("SELECT * FROM task")) == 2


def test_what_begins_and_ends_between_two_cycles_is_raised_and_cleared(story, one_meter, now):
    story.arrive(one_meter, now, MINUTE, flow_m3h=[100.0, 170.0, 100.0, 170.0, 170.0, 100.0])
    Engine(story.database).run_once(now + HOUR)
    [alarm] = story.alarms()
    assert (alarm["state"], alarm["occurrences"]) == ("cleared_unacked", 2)
    assert story.journal(alarm["alarm_id"]) == ["raise", "clear", "reactivate", "clear"]


def test_a_late_batch_evaluates_only_its_own_meter_again_and_doubles_nothing(story, make_meter, now):
    keys = story.register(make_meter("M1"), make_meter("M2"))
    engine = Engine(story.database)
    for key in keys.values():
        story.arrive(key, now, MINUTE, flow_m3h=[170.0, 100.0, 100.0])
    engine.run_once(now + HOUR)
    story.arrive(keys["M1"], now - HOUR, MINUTE, flow_m3h=[100.0, 170.0, 100.0])
    story.arrive(keys["M2"], now + HOUR, MINUTE, flow_m3h=[100.0])
    cycle = engine.run_once(now + 2 * HOUR)
    assert (cycle.meters, cycle.reevaluated, cycle.readings) == (2, 1, 7)
    late, other = story.alarms("flow_over_range")
    assert (late["occurrences"], story.journal(late["alarm_id"])) == (2, ["raise", "clear", "recur_late"])
    assert (other["occurrences"], story.journal(other["alarm_id"])) == (1, ["raise", "clear"])
    assert len(story.ask("SELECT * FROM task")) == 2


def test_late_readings_that_refute_an_alarm_withdraw_it_and_its_visit(story, one_meter, now):
    engine = Engine(story.database)
    # A register that stands still for hours while gas flows is stalled ..
    story.arrive(one_meter, now, 20 * MINUTE, flow_m3h=[50.0] * 10, volume_m3=[1000.0] * 10)
    engine.run_once(now + 4 * HOUR)
    assert [alarm["state"] for alarm in story.alarms("register_stalled")] == ["active_unacked"]
    # .. but the readings that came late show that nothing flowed in between.
    times = [now + MINUTE * at for at in range(1, 190, 2)]
    for at in times:
        story.arrive(one_meter, at, MINUTE, flow_m3h=[0.0], volume_m3=[1000.0])
    engine = Engine(story.database, rows_per_cycle=1000)
    engine.run_once(now + 5 * HOUR)
    [alarm] = story.alarms("register_stalled")
    assert (alarm["state"], story.journal(alarm["alarm_id"])[-1]) == ("closed", "withdraw")
    notes = [row["note"] for row in story.ask("SELECT note FROM alarm_journal WHERE event = 'withdraw'")]
    assert [note for note in notes if note and note.startswith("correction")] != []
    visits = story.ask("SELECT state FROM task WHERE alarm_id = %(id)s", id=alarm["alarm_id"])
    assert [visit["state"] for visit in visits] == ["cancelled"]


def test_a_backlog_out_of_order_leaves_no_silence_behind(story, make_meter, now):
    keys = story.register(make_meter("M1", interval_s=300))
    engine = Engine(story.database)
    arrays = [now + timedelta(minutes=30 * at) for at in (1, 0, 3, 2, 5, 4)]
    for first in arrays:
        story.arrive(keys["M1"], first, 5 * MINUTE, flow_m3h=[50.0] * 6)
        engine.run_once(now + 4 * HOUR)
    assert {alarm["state"] for alarm in story.alarms("meter_silent")} == {"closed"}
    assert {task["state"] for task in story.ask("SELECT state FROM task")} == {"cancelled"}


def test_a_condition_that_comes_back_after_its_visit_asks_for_another(story, one_meter, now):
    engine = Engine(story.database)
    for hour, flow in enumerate([170.0, 100.0]):
        story.arrive(one_meter, now + hour * HOUR, MINUTE, flow_m3h=[flow])
        engine.run_once(now + hour * HOUR)
    with story.database.transaction() as transaction:
        transaction.execute("UPDATE task SET state = 'verified'")
    for hour, flow in ((2, 170.0), (3, 175.0)):
        story.arrive(one_meter, now + hour * HOUR, MINUTE, flow_m3h=[flow])
        engine.run_once(now + hour * HOUR)
    assert len(story.alarms()) == 1
    assert [task["state"] for task in story.ask("SELECT state FROM task ORDER BY task_id")] == [
        "verified",
        "planned",
    ]


def test_an_alarm_ends_when_its_check_no_longer_applies(story, make_meter, now):
    meter = make_meter("M1", prepaid=True, low_balance=100.0)
    keys = story.register(meter)
    engine = Engine(story.database)
    story.arrive(keys["M1"], now, MINUTE, balance=[50.0])
    engine.run_once(now)
    assert [alarm["state"] for alarm in story.alarms("balance_low")] == ["active_unacked"]
    story.register(replace(meter, prepaid=False))
    story.arrive(keys["M1"], now + HOUR, MINUTE, balance=[500.0])
    engine.run_once(now + HOUR)
    [alarm] = story.alarms("balance_low")
    assert (alarm["state"], alarm["ended_at"]) == ("cleared_unacked", now + HOUR)


def test_a_meter_that_changes_hands_takes_its_alarm_and_its_visit_along(story, make_meter, now):
    keys = story.register(make_meter("M1"))
    engine = Engine(story.database)
    story.arrive(keys["M1"], now, MINUTE, flow_m3h=[170.0])
    engine.run_once(now)
    engine.plan(now.date(), now)
    story.register(make_meter("M1", company="south", customer="Baths"))
    engine.plan(now.date(), now)
    assert {alarm["company"] for alarm in story.alarms()} == {"south"}
    tasks = story.ask("SELECT company, customer, kind FROM task")
    assert {(task["company"], task["customer"]) for task in tasks} == {("south", "Baths")}
    assert len(tasks) == 4


@pytest.mark.parametrize("step", STEPS)
def test_a_crash_at_any_step_repeats_the_work_and_doubles_nothing(step, story, one_meter, now):
    story.arrive(one_meter, now, MINUTE, flow_m3h=[170.0, 100.0, 170.0])

    class CrashError(Exception):
        """The process dies here."""

    def crash(at: str) -> None:
        if at == step:
            raise CrashError

    before = story.everything()
    with pytest.raises(CrashError):
        Engine(story.database, failpoint=crash).run_once(now + HOUR)
    assert story.everything() == before
    Engine(story.database).run_once(now + HOUR)
    [alarm] = story.alarms()
    assert (alarm["state"], alarm["occurrences"]) == ("active_unacked", 2)
    assert len(story.ask("SELECT * FROM task")) == 1
    assert story.everything()["dirty_work"] == []


def test_work_beyond_the_claim_is_left_for_its_own_turn_and_nothing_counts_as_late(story, one_meter, now):
    for i in range(6):
        story.arrive(one_meter, now + i * HOUR, MINUTE, flow_m3h=[100.0, 170.0 if i == 4 else 100.0])
    engine = Engine(story.database, rows_per_cycle=2, readings_per_cycle=0)
    cycles = [engine.run_once(now + 6 * HOUR) for _ in range(4)]
    assert [cycle.readings for cycle in cycles] == [4, 4, 4, 0]
    assert sum(cycle.reevaluated for cycle in cycles) == 0
    [alarm] = story.alarms("flow_over_range")
    assert alarm["state"] == "cleared_unacked"


def test_two_engines_that_meet_at_one_meter_lose_and_double_nothing(story, one_meter, now):
    """Each holds one of two interleaved batches; the slower one has to try again."""
    story.arrive(one_meter, now, 2 * MINUTE, flow_m3h=[100.0, 170.0])
    story.arrive(one_meter, now + MINUTE, 2 * MINUTE, flow_m3h=[100.0, 100.0])
    fast = Engine(story.database, rows_per_cycle=1)

    def overtake(step: str) -> None:
        if step == "evaluated":
            fast.run_once(now + HOUR)

    slow = Engine(story.database, rows_per_cycle=1, failpoint=overtake)
    with pytest.raises(SerializationError):
        slow.run_once(now + HOUR)
    Engine(story.database).run_once(now + HOUR)
    [alarm] = story.alarms("flow_over_range")
    assert (alarm["state"], alarm["onset_at"], alarm["ended_at"]) == (
        "cleared_unacked",
        now + 2 * MINUTE,
        now + 3 * MINUTE,
    )
    [state] = story.ask("SELECT evaluated_through FROM meter_state")
    assert state["evaluated_through"] == now + 3 * MINUTE


def test_an_acknowledgement_between_decision_and_writing_makes_the_engine_try_again(story, one_meter, now):
    Engine(story.database).run_once(now)
    story.arrive(one_meter, now, MINUTE, flow_m3h=[170.0])
    Engine(story.database).run_once(now)
    [alarm] = story.alarms()
    story.arrive(one_meter, now + MINUTE, MINUTE, flow_m3h=[100.0])

    def acknowledge_meanwhile(step: str) -> None:
        if step == "states_written":
            with story.database.transaction() as transaction:
                acknowledge(transaction, alarm["alarm_id"], "li", now + MINUTE)

    with pytest.raises(SerializationError):
        Engine(story.database, failpoint=acknowledge_meanwhile).run_once(now + MINUTE)
    Engine(story.database).run_once(now + MINUTE)
    [alarm] = story.alarms()
    assert (alarm["state"], alarm["acknowledged_by"]) == ("closed", "li")


def test_a_changed_registry_counts_from_the_next_cycle(story, make_meter, now):
    key = story.register(make_meter("M1", qmax=160.0))["M1"]
    engine = Engine(story.database)
    story.arrive(key, now, MINUTE, flow_m3h=[150.0])
    engine.run_once(now)
    story.register(make_meter("M1", qmax=100.0))
    story.arrive(key, now + MINUTE, MINUTE, flow_m3h=[150.0])
    engine.run_once(now + MINUTE)
    assert [alarm["limit_value"] for alarm in story.alarms("flow_over_range")] == [100.0]


def test_a_state_of_another_layout_means_the_history_again(story, one_meter, now):
    engine = Engine(story.database)
    story.arrive(one_meter, now, MINUTE, flow_m3h=[170.0, 170.0])
    engine.run_once(now)
    with story.database.transaction() as transaction:
        transaction.execute("UPDATE meter_state SET layout = 0, state = '\\x00'")
    story.arrive(one_meter, now + 2 * MINUTE, MINUTE, flow_m3h=[170.0])
    cycle = engine.run_once(now + 2 * MINUTE)
    assert (cycle.reevaluated, cycle.readings) == (1, 3)
    assert [alarm["readings"] for alarm in story.alarms("flow_over_range")] == [3]


def test_more_readings_than_fit_a_block_are_evaluated_block_by_block(story, make_meter, now):
    keys = story.register(*(make_meter(f"M{i}") for i in range(5)))
    for key in keys.values():
        story.arrive(key, now, MINUTE, flow_m3h=[100.0, 170.0])
    cycle = Engine(story.database, readings_per_block=3).run_once(now)
    assert (cycle.readings, cycle.meters, cycle.decided.alarms_opened) == (10, 5, 5)


def test_two_engines_at_once_give_what_one_gives(story, make_meter, now):
    """Both work on the same eight meters; whoever loses a meter to the other tries again."""
    keys = story.register(*(make_meter(f"M{i}") for i in range(8)))
    flows = [100.0, 170.0, 170.0, 100.0, 200.0, 100.0]
    for i, flow in enumerate(flows):
        for key in keys.values():
            story.arrive(key, now + i * MINUTE, MINUTE, flow_m3h=[flow])

    def drain(_number: int) -> int:
        engine = Engine(story.database, rows_per_cycle=3)
        readings = 0
        while story.everything()["dirty_work"]:
            with suppress(*CONFLICTS):
                readings += engine.run_once(now + HOUR).readings
        return readings

    with ThreadPoolExecutor(2) as threads:
        list(threads.map(drain, range(2)))
    alarms = story.alarms("flow_over_range")
    assert [alarm["meter_key"] for alarm in sorted(alarms, key=lambda a: a["meter_key"])] == sorted(
        keys.values()
    )
    assert {(a["state"], a["occurrences"], a["onset_at"], a["ended_at"]) for a in alarms} == {
        ("cleared_unacked", 2, now + 4 * MINUTE, now + 5 * MINUTE)
    }
    assert len(story.ask("SELECT * FROM task")) == 8
