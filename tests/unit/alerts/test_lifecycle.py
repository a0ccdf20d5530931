"""The transition tables of alarms and tasks."""

from __future__ import annotations

import subprocess
import sys

import pytest

from alerts.alarms.lifecycle import LIFECYCLE, Event, State
from alerts.exceptions import UnknownTransitionError
from alerts.inspections.tasks import FINAL, TASK_LIFECYCLE, TaskEvent, TaskState
from alerts.transitions import Transition, TransitionTable


@pytest.mark.parametrize(
    ("sentence", "state", "event", "to"),
    [
        ("A new alarm waits for a person.", None, Event.RAISE, State.ACTIVE_UNACKED),
        (
            "Who knows of an active alarm acknowledges it.",
            State.ACTIVE_UNACKED,
            Event.ACKNOWLEDGE,
            State.ACTIVE_ACKED,
        ),
        ("What is over unseen stays on the list.", State.ACTIVE_UNACKED, Event.CLEAR, State.CLEARED_UNACKED),
        ("What is over and known is closed.", State.ACTIVE_ACKED, Event.CLEAR, State.CLOSED),
        ("Seeing what is over closes it.", State.CLEARED_UNACKED, Event.ACKNOWLEDGE, State.CLOSED),
        ("It came back unseen.", State.CLEARED_UNACKED, Event.REACTIVATE, State.ACTIVE_UNACKED),
        (
            "Becoming worse takes an acknowledgement back.",
            State.ACTIVE_ACKED,
            Event.ESCALATE,
            State.ACTIVE_UNACKED,
        ),
    ],
)
def test_an_event_leads_to_the_state_of_the_table(sentence, state, event, to):
    assert LIFECYCLE.after(state, event) is to, sentence


@pytest.mark.parametrize("event", list(Event))
def test_a_closed_alarm_is_final(event):
    with pytest.raises(UnknownTransitionError, match="closed"):
        LIFECYCLE.after(State.CLOSED, event)


@pytest.mark.parametrize("event", sorted(set(Event) - {Event.RAISE}))
def test_nothing_but_raising_happens_to_an_alarm_that_is_not_there(event):
    assert not LIFECYCLE.possible(None, event)


@pytest.mark.parametrize("state", sorted(FINAL))
@pytest.mark.parametrize("event", list(TaskEvent))
def test_a_verified_or_cancelled_task_is_final(state, event):
    with pytest.raises(UnknownTransitionError):
        TASK_LIFECYCLE.after(state, event)


def test_a_task_goes_from_planned_to_verified():
    state = None
    for event in (TaskEvent.PLAN, TaskEvent.ASSIGN, TaskEvent.START, TaskEvent.FINISH, TaskEvent.VERIFY):
        state = TASK_LIFECYCLE.after(state, event)
    assert state is TaskState.VERIFIED


@pytest.mark.parametrize("table", [LIFECYCLE, TASK_LIFECYCLE])
def test_every_row_says_why_and_every_state_can_be_reached_and_left_unless_final(table):
    assert all(row.why for row in table.rows)
    reached = {row.to for row in table.rows}
    left = {row.state for row in table.rows if row.state is not None}
    states = set(State) if table is LIFECYCLE else set(TaskState)
    assert reached == states
    assert states - left == ({State.CLOSED} if table is LIFECYCLE else set(FINAL))


def test_a_table_with_one_state_and_event_in_two_rows_is_refused():
    row = Transition(None, Event.RAISE, State.ACTIVE_UNACKED, "once")
    with pytest.raises(ValueError, match="two rows"):
        TransitionTable("alarm", (row, row))


def test_the_module_prints_its_diagram():
    printed = subprocess.run(
        [sys.executable, "-m", "alerts.alarms.lifecycle"], check=True, capture_output=True, text=True
    ).stdout
    assert printed == LIFECYCLE.mermaid() + "\n"
    lines = printed.splitlines()
    assert lines[0] == "stateDiagram-v2"
    assert "    [*] --> active_unacked: raise" in lines
    assert "    cleared_unacked --> closed: acknowledge" in lines
    assert lines[-1] == "    closed --> [*]"


def test_the_markdown_has_one_line_per_row_and_a_head():
    assert len(LIFECYCLE.markdown().splitlines()) == len(LIFECYCLE.rows) + 2
