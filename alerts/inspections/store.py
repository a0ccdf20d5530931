"""Obligations and tasks in the database; everything here can be repeated without doubling."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from alerts.alarms.lifecycle import Event
from alerts.alarms.store import AppliedFold
from alerts.exceptions import StaleDecisionError
from alerts.inspections.obligations import Customer, Obligation, customers, owed
from alerts.inspections.tasks import TASK_LIFECYCLE, VISIT_WITHIN_DAYS, TaskEvent, TaskState, due_on
from fleet.checks import BY_CODE, TaskKind
from fleet.meters import CustomerKind, Meter, ReadingClass, Technology
from storage.database import Row, Transaction, as_json
from storage.named_sql import load_queries

_SQL = load_queries("alerts.inspections")

#: What can bring a visit, or bring it forward.
_ASKS_FOR_VISIT = frozenset({Event.RAISE, Event.REACTIVATE, Event.ESCALATE})


@dataclass(frozen=True, slots=True)
class Planned:
    """What one run of the planning wrote."""

    obligations: int
    tasks: int


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


def plan(transaction: Transaction, today: date, now: datetime, timezone: str | None = None) -> Planned:
    """Write the obligations of the periods running today, and a task for each that has none.

    Parameters
    ----------
    transaction
        Where to write.
    today
        The day by the companies' calendar.
    now
        When the tasks are made.
    timezone
        Only companies in this time zone; None for all.
    """
    running = transaction.rows(_SQL["obligations_running"], {"today": today, "timezone": timezone})
    known = {_obligation(row) for row in running}
    owing = _owing(transaction, timezone)
    wanted = set(owed(owing, today, today + timedelta(days=1)))
    _withdraw(transaction, [row for row in running if _obligation(row) not in wanted])
    # The registry is asked in full each time, so only what is missing goes to the database.
    missing = [*sorted(wanted - known), *_left_out(transaction, owing, today, timezone)]
    template = "(" + ", ".join(f"%({name})s" for name in Obligation._fields) + ")"
    rows = [item._asdict() for item in missing]
    written = transaction.execute_many(_SQL["obligations_insert"], rows, template)
    # A period that is over is a hole to be seen; a task could not fill it any more.
    open_ = [row for row in written if row["period_end"] >= today]
    without = [row for row in running if row["task_state"] is None and _obligation(row) in wanted]
    return Planned(len(written), _insert_tasks(transaction, [*without, *open_], today, now))


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


def _owing(transaction: Transaction, timezone: str | None) -> list[Customer]:
    rows = transaction.rows(_SQL["customers_of_timezone"], {"timezone": timezone})
    return customers(_meter(row) for row in rows).owing


def _withdraw(transaction: Transaction, rows: Sequence[Row]) -> None:
    """Take back what the registry no longer asks for (another class, another company), if nobody began."""
    untouched = [row["obligation_id"] for row in rows if row["task_state"] in (None, TaskState.PLANNED)]
    if untouched:
        for name in ("obligation_tasks_withdraw", "obligations_withdraw"):
            transaction.execute(_SQL[name], {"obligation_ids": untouched})


def _left_out(
    transaction: Transaction, owing: Iterable[Customer], today: date, timezone: str | None
) -> list[Obligation]:
    """List what periods since the last planning owed while nobody planned, for customers known then."""
    last = (transaction.row(_SQL["obligations_newest"], {"timezone": timezone}) or {})["period_start"]
    this_month = today.replace(day=1)
    if last is None or last >= this_month:
        return []
    rows = transaction.rows(_SQL["customers_known"], {"timezone": timezone})
    known = {(row["company"], row["customer"]) for row in rows}
    before = [customer for customer in owing if (customer.company, customer.name) in known]
    return [item for item in owed(before, last, this_month) if item.period_end < today]


def _meter(row: Row) -> Meter:
    row["customer_kind"] = CustomerKind(row["customer_kind"])
    row["reading_class"] = ReadingClass(row["reading_class"])
    row["technology"] = Technology(row["technology"])
    return Meter(**row)


def _insert_tasks(transaction: Transaction, rows: Sequence[Row], today: date, now: datetime) -> int:
    template = "(%(company)s, %(customer)s, %(kind)s, 'planned', %(obligation_id)s, %(due_on)s, %(now)s)"
    tasks = [{**row, "due_on": due_on(_obligation(row), today), "now": now} for row in rows]
    return len(transaction.execute_many(_SQL["obligation_tasks_insert"], tasks, template))


def _obligation(row: Row) -> Obligation:
    fields = {name: row[name] for name in Obligation._fields}
    kind, reading_class = TaskKind(row["kind"]), ReadingClass(row["reading_class"])
    return Obligation(**{**fields, "kind": kind, "reading_class": reading_class})
