"""Tasks: the life of one, and by when it has to be done; pure."""

from __future__ import annotations

import sys
from datetime import date, timedelta
from enum import StrEnum
from types import MappingProxyType
from zlib import crc32

from alerts.inspections.obligations import Obligation
from alerts.transitions import Transition, TransitionTable
from fleet.checks import Severity


class TaskState(StrEnum):
    """How far a task is."""

    #: Known, and nobody's yet.
    PLANNED = "planned"
    #: Somebody is to do it.
    ASSIGNED = "assigned"
    #: Somebody is at it.
    IN_PROGRESS = "in_progress"
    #: Done, by the word of whoever did it.
    DONE = "done"
    #: Done, by the word of somebody else; final.
    VERIFIED = "verified"
    #: Not to be done; final.
    CANCELLED = "cancelled"


FINAL = frozenset({TaskState.VERIFIED, TaskState.CANCELLED})


class TaskEvent(StrEnum):
    """What can happen to a task."""

    PLAN = "plan"
    ASSIGN = "assign"
    UNASSIGN = "unassign"
    START = "start"
    FINISH = "finish"
    VERIFY = "verify"
    REJECT = "reject"
    CANCEL = "cancel"


def _row(
    state: TaskState | None, event: TaskEvent, to: TaskState, why: str
) -> Transition[TaskState, TaskEvent]:
    return Transition(state, event, to, why)


_S, _E = TaskState, TaskEvent

TASK_LIFECYCLE: TransitionTable[TaskState, TaskEvent] = TransitionTable(
    "task",
    (
        _row(None, _E.PLAN, _S.PLANNED, "an alarm or an obligation asks for it"),
        _row(_S.PLANNED, _E.ASSIGN, _S.ASSIGNED, "somebody is named"),
        _row(_S.PLANNED, _E.CANCEL, _S.CANCELLED, "a person decides so, or its alarm was withdrawn"),
        _row(_S.ASSIGNED, _E.ASSIGN, _S.ASSIGNED, "somebody else is named"),
        _row(_S.ASSIGNED, _E.UNASSIGN, _S.PLANNED, "whoever was named cannot do it"),
        _row(_S.ASSIGNED, _E.START, _S.IN_PROGRESS, "the visit begins"),
        _row(_S.ASSIGNED, _E.CANCEL, _S.CANCELLED, "a person decides that it need not happen"),
        _row(_S.IN_PROGRESS, _E.UNASSIGN, _S.PLANNED, "the visit was broken off; somebody else has to go"),
        _row(_S.IN_PROGRESS, _E.FINISH, _S.DONE, "the visit is recorded"),
        _row(_S.IN_PROGRESS, _E.CANCEL, _S.CANCELLED, "a person decides that it need not happen"),
        _row(_S.DONE, _E.VERIFY, _S.VERIFIED, "another person has seen the record and agrees"),
        _row(_S.DONE, _E.REJECT, _S.ASSIGNED, "another person has seen the record and wants more"),
    ),
)

#: Days from the decision to the day by which a visit for an alarm has to be made; defaults of
#: this program, no quoted rule. An alarm that clears by itself keeps its visit: it is evidence.
VISIT_WITHIN_DAYS = MappingProxyType(
    {Severity.CRITICAL: 0, Severity.MAJOR: 3, Severity.MINOR: 14, Severity.INFO: 30}
)

_SATURDAY = 5


def due_on(obligation: Obligation, today: date) -> date:
    """Choose a day for an obligation's task: a weekday of what is left of its period.

    The choice follows from the obligation, so that work spreads over the period instead of piling
    up at its end, and stays the same however often it is made on one day.
    """
    start, end = max(obligation.period_start, today), obligation.period_end
    days = [start + timedelta(days=n) for n in range((end - start).days + 1)]
    weekdays = [day for day in days if day.weekday() < _SATURDAY] or [end]
    text = f"{obligation.company}\0{obligation.customer}\0{obligation.kind}"
    return weekdays[crc32(text.encode()) % len(weekdays)]


if __name__ == "__main__":
    sys.stdout.write(TASK_LIFECYCLE.mermaid() + "\n")
