"""Visits that alarms ask for, and the life of every task, in the database; repeated, nothing is doubled."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from alerts.alarms.lifecycle import Event
from alerts.alarms.store import AppliedFold
from alerts.exceptions import StaleDecisionError
from alerts.inspections.tasks import TASK_LIFECYCLE, VISIT_WITHIN_DAYS, TaskEvent, TaskState
from fleet.checks import BY_CODE
from storage.database import Transaction, as_json
from storage.named_sql import load_queries

_SQL = load_queries("alerts.inspections")

#: What can bring a visit, or bring it forward.
_ASKS_FOR_VISIT = frozenset({Event.RAISE, Event.REACTIVATE, Event.ESCALATE})


@dataclass(frozen=True, slots=True)
class Moved:
    """The event was taken; the state that the task is in now."""

    task_id: int
    state: TaskState


@dataclass(frozen=True, slots=True)
class NotMoved:
    """The event was not taken, and why."""

    task_id: int
    reason: str


def create_alarm_tasks(transaction: Transaction, applied: Iterable[AppliedFold], decided_at: datetime) -> int:
    """Make the visits that alarms ask for, one per alarm; gives how many are new."""
    rows = [_visit_row(item) for item in applied if _asks_for_visit(item)]
    if not rows:
        return 0
    visits = {"rows": as_json(rows), "decided_at": decided_at}
    return sum(row["created"] for row in transaction.rows(_SQL["alarm_tasks_insert"], visits))


def cancel_alarm_tasks(transaction: Transaction, applied: Iterable[AppliedFold]) -> None:
    """Cancel the visits that nobody was sent to yet, of alarms that were withdrawn."""
    gone = [item.alarm_id for item in applied if item.fold.changes[-1].event is Event.WITHDRAW]
    if gone:
        transaction.execute(_SQL["alarm_tasks_cancel"], {"alarm_ids": gone})


def move(
    transaction: Transaction, task_id: int, event: TaskEvent, assignee: str | None = None
) -> Moved | NotMoved:
    """Let an event happen to a task; `assignee` is needed to assign, and kept otherwise."""
    row = transaction.row(_SQL["task_state"], {"task_id": task_id})
    if row is None:
        return NotMoved(task_id, "there is no such task")
    state = TaskState(row["state"])
    if not TASK_LIFECYCLE.possible(state, event):
        return NotMoved(task_id, f"a task that is {state} cannot {event}")
    if event is TaskEvent.ASSIGN and not assignee:
        return NotMoved(task_id, "nobody is named to do it")
    after = TASK_LIFECYCLE.after(state, event)
    who = None if after is TaskState.PLANNED else assignee or row["assignee"]
    guarded = {"task_id": task_id, "state": after, "expected": state, "assignee": who}
    if transaction.row(_SQL["task_move"], guarded) is None:
        msg = f"task {task_id} is no longer {state}"
        raise StaleDecisionError(msg)
    return Moved(task_id, after)


def _asks_for_visit(item: AppliedFold) -> bool:
    visit = BY_CODE[item.fold.after.check].visit
    return visit is not None and any(change.event in _ASKS_FOR_VISIT for change in item.fold.changes)


def _visit_row(item: AppliedFold) -> dict[str, Any]:
    alarm = item.fold.after
    return {
        "alarm_id": item.alarm_id,
        "kind": BY_CODE[alarm.check].visit,
        "within_days": VISIT_WITHIN_DAYS[alarm.severity],
    }
