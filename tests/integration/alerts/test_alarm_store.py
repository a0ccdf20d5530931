"""Acknowledging alarms and moving tasks: what is possible, and what is said where it is not."""

from __future__ import annotations

from datetime import timedelta

import pytest

from alerts.alarms.lifecycle import State
from alerts.alarms.reconcile import reconcile
from alerts.alarms.store import Acknowledged, NotPossible, WhyNot, acknowledge, apply_changes, load_alarms
from alerts.engine import Engine
from alerts.exceptions import StaleDecisionError
from alerts.inspections.store import Moved, NotMoved, move
from alerts.inspections.tasks import TaskEvent, TaskState
from analytics.episodes import Episodes

MINUTE = timedelta(minutes=1)


@pytest.fixture
def alarm_id(story, one_meter, now):
    """Number of an alarm that was raised a moment ago."""
    story.arrive(one_meter, now, MINUTE, flow_m3h=[170.0])
    Engine(story.database).run_once(now)
    return story.alarms()[0]["alarm_id"]


@pytest.fixture
def task_id(story, alarm_id):
    """Number of the visit that the alarm asked for."""
    return story.ask("SELECT task_id FROM task WHERE alarm_id = %(id)s", id=alarm_id)[0]["task_id"]


def test_an_acknowledgement_is_kept_with_who_when_and_why(story, alarm_id, now):
    with story.database.transaction() as transaction:
        done = acknowledge(transaction, alarm_id, "wang", now + MINUTE, "customer was called")
    assert done == Acknowledged(alarm_id, State.ACTIVE_ACKED)
    [alarm] = story.alarms()
    assert (alarm["acknowledged_by"], alarm["acknowledged_at"], alarm["closed_at"]) == (
        "wang",
        now + MINUTE,
        None,
    )
    entry = story.ask("SELECT * FROM alarm_journal ORDER BY journal_id")[-1]
    assert (entry["event"], entry["from_state"], entry["to_state"]) == (
        "acknowledge",
        "active_unacked",
        "active_acked",
    )
    assert (entry["actor"], entry["note"], entry["decided_at"]) == (
        "wang",
        "customer was called",
        now + MINUTE,
    )


def test_acknowledging_what_is_over_closes_it(story, one_meter, alarm_id, now):
    story.arrive(one_meter, now + MINUTE, MINUTE, flow_m3h=[100.0])
    Engine(story.database).run_once(now + MINUTE)
    with story.database.transaction() as transaction:
        assert acknowledge(transaction, alarm_id, "wang", now + 2 * MINUTE) == Acknowledged(
            alarm_id, State.CLOSED
        )
        again = acknowledge(transaction, alarm_id, "li", now + 3 * MINUTE)
    assert again == NotPossible(alarm_id, WhyNot.CLOSED)
    assert story.alarms()[0]["closed_at"] == now + 2 * MINUTE


def test_a_second_acknowledgement_and_one_of_nothing_say_why_not(story, alarm_id, now):
    with story.database.transaction() as transaction:
        acknowledge(transaction, alarm_id, "wang", now)
        assert acknowledge(transaction, alarm_id, "li", now) == NotPossible(
            alarm_id, WhyNot.ALREADY_ACKNOWLEDGED
        )
        assert acknowledge(transaction, alarm_id + 1, "li", now) == NotPossible(
            alarm_id + 1, WhyNot.NOT_FOUND
        )
    assert story.journal(alarm_id) == ["raise", "acknowledge"]


def test_becoming_worse_takes_an_acknowledgement_back(story, one_meter, alarm_id, now):
    with story.database.transaction() as transaction:
        acknowledge(transaction, alarm_id, "wang", now)
    story.arrive(one_meter, now + MINUTE, MINUTE, flow_m3h=[200.0])
    Engine(story.database).run_once(now + MINUTE)
    [alarm] = story.alarms()
    assert (alarm["state"], alarm["severity"], alarm["acknowledged_by"]) == ("active_unacked", "major", None)


def test_a_change_decided_upon_another_state_is_not_written(story, one_meter, alarm_id, now):
    with story.database.transaction() as transaction:
        alarms = load_alarms(transaction, {one_meter: 0}, ["flow_over_range"])
        gone = Episodes.build(
            meter_key=one_meter,
            check=3,
            flag=3,
            part=0,
            started_us=alarms[0].onset_us,
            ended_us=alarms[0].onset_us + 5,
            readings=1,
            value=170.0,
            limit=160.0,
        )
        changes = reconcile(gone, alarms, now)
        acknowledge(transaction, alarm_id, "wang", now)
        with pytest.raises(StaleDecisionError, match="no longer"):
            apply_changes(transaction, changes, now)
    assert story.alarms()[0]["state"] == "active_acked"


def test_a_visit_goes_from_planned_to_verified(story, task_id):
    steps = [TaskEvent.ASSIGN, TaskEvent.START, TaskEvent.FINISH, TaskEvent.VERIFY]
    with story.database.transaction() as transaction:
        done = [
            move(transaction, task_id, step, "li" if step is TaskEvent.ASSIGN else None) for step in steps
        ]
    states = [TaskState.ASSIGNED, TaskState.IN_PROGRESS, TaskState.DONE, TaskState.VERIFIED]
    assert done == [Moved(task_id, state) for state in states]
    [task] = story.ask("SELECT state, assignee FROM task")
    assert task == {"state": "verified", "assignee": "li"}


@pytest.mark.parametrize(
    ("event", "reason"),
    [
        (TaskEvent.FINISH, "a task that is planned cannot finish"),
        (TaskEvent.ASSIGN, "nobody is named to do it"),
    ],
)
def test_a_step_that_is_not_possible_says_why(event, reason, story, task_id):
    with story.database.transaction() as transaction:
        assert move(transaction, task_id, event) == NotMoved(task_id, reason)
        assert move(transaction, task_id + 1, event) == NotMoved(task_id + 1, "there is no such task")
    assert story.ask("SELECT state FROM task") == [{"state": "planned"}]
