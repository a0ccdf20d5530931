"""Life of an alarm: everything that decides which state follows which stands in this file.

`python -m alerts.alarms.lifecycle` prints the diagram that the documentation shows.
"""

from __future__ import annotations

import sys
from enum import StrEnum

from alerts.transitions import Transition, TransitionTable


class State(StrEnum):
    """Active or cleared, acknowledged or not: two independent facts, as ISA-18.2 has them."""

    #: The condition holds and nobody has said that they know.
    ACTIVE_UNACKED = "active_unacked"
    #: The condition holds and somebody knows.
    ACTIVE_ACKED = "active_acked"
    #: The condition is over, and nobody has said that they know.
    CLEARED_UNACKED = "cleared_unacked"
    #: Over and known; final. A recurrence is a new alarm.
    CLOSED = "closed"


ACTIVE = frozenset({State.ACTIVE_UNACKED, State.ACTIVE_ACKED})


class Event(StrEnum):
    """What can happen to an alarm."""

    #: A condition was found that no open alarm stands for.
    RAISE = "raise"
    #: The condition goes on; its figures moved.
    UPDATE = "update"
    #: The condition goes on and became more severe.
    ESCALATE = "escalate"
    #: The condition is over.
    CLEAR = "clear"
    #: The condition came back before anybody acknowledged the alarm.
    REACTIVATE = "reactivate"
    #: Late readings showed an earlier occurrence that was over before the present one.
    RECUR_LATE = "recur_late"
    #: Late readings showed that the last occurrence was another one than was known.
    CORRECT = "correct"
    #: The readings as they are now show no occurrence at all: it never was.
    WITHDRAW = "withdraw"
    #: A person knows.
    ACKNOWLEDGE = "acknowledge"


def _row(state: State | None, event: Event, to: State, why: str) -> Transition[State, Event]:
    return Transition(state, event, to, why)


_AU, _AA, _CU, _C = State.ACTIVE_UNACKED, State.ACTIVE_ACKED, State.CLEARED_UNACKED, State.CLOSED

LIFECYCLE: TransitionTable[State, Event] = TransitionTable(
    "alarm",
    (
        _row(None, Event.RAISE, _AU, "a new alarm always waits for a person, even one that is over already"),
        _row(_AU, Event.UPDATE, _AU, "value and number of readings follow the condition"),
        _row(_AU, Event.ESCALATE, _AU, "the worst severity counts until the alarm is closed"),
        _row(_AU, Event.ACKNOWLEDGE, _AA, "somebody knows; the condition still holds"),
        _row(_AU, Event.CLEAR, _CU, "it happened, and nobody has seen it: it stays on the list"),
        _row(_AU, Event.RECUR_LATE, _AU, "one alarm stands for every occurrence until it is closed"),
        _row(_AU, Event.WITHDRAW, _C, "it never was, and nobody has said otherwise"),
        _row(_AA, Event.UPDATE, _AA, "value and number of readings follow the condition"),
        _row(_AA, Event.ESCALATE, _AU, "what was acknowledged was the lesser severity"),
        _row(_AA, Event.CLEAR, _C, "known and over: nothing is left to do"),
        _row(_AA, Event.RECUR_LATE, _AA, "whoever acknowledged knows of the condition"),
        _row(_CU, Event.ACKNOWLEDGE, _C, "known and over: nothing is left to do"),
        _row(_CU, Event.REACTIVATE, _AU, "it came back unseen: the same alarm, one occurrence more"),
        _row(_CU, Event.WITHDRAW, _C, "it never was, and nobody has said otherwise"),
        _row(_CU, Event.RECUR_LATE, _CU, "one alarm stands for every occurrence until it is closed"),
        _row(_CU, Event.CORRECT, _CU, "what nobody has acknowledged is told as it is known now"),
    ),
)


if __name__ == "__main__":
    sys.stdout.write(LIFECYCLE.mermaid() + "\n")
