"""Planning in the database: obligations, and a task for each; repeated, nothing is doubled.

It is done in steps, each of them some customers of one time zone in one transaction, so that alarms
wait for no more than that. What past months owed while nobody planned is written first, month by
month from the last planned one on, and for everybody before the present is. So planning that was cut
short anywhere leaves no hole behind: the newest month that is there is always begun again.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from itertools import pairwise
from typing import Any, NamedTuple

from alerts.inspections.obligations import Customer, Obligation, customers, owed
from alerts.inspections.periods import period_of
from alerts.inspections.tasks import TaskState, due_on
from fleet.checks import TaskKind
from fleet.meters import CustomerKind, Meter, ReadingClass, Technology
from storage.database import Row, Transaction
from storage.named_sql import load_queries

_SQL = load_queries("alerts.inspections")

#: One step's customers.
CUSTOMERS_PER_STEP = 250


@dataclass(frozen=True, slots=True)
class Planned:
    """What one run of the planning wrote."""

    obligations: int = 0
    tasks: int = 0

    def __add__(self, other: Planned) -> Planned:
        return Planned(self.obligations + other.obligations, self.tasks + other.tasks)


class Slice(NamedTuple):
    """Some customers of a time zone (None: of all), in the database's order of company and customer."""

    timezone: str | None
    after_company: str = ""
    after_customer: str = ""
    #: None: all that follow.
    through_company: str | None = None
    through_customer: str | None = None


class PlanStep(NamedTuple):
    """What one transaction plans."""

    customers: Slice
    today: date
    #: First day of a past month of which is written what nobody planned; None: what runs today.
    missed: date | None = None


def plan_steps(transaction: Transaction, today: date, timezone: str | None) -> list[PlanStep]:
    """List the steps of one time zone's planning (None: of all), to be done in this order.

    Parameters
    ----------
    transaction
        Where to read.
    today
        The day by the companies' calendar.
    timezone
        Only companies in this time zone; None for all.
    """
    slices = _slices(transaction, timezone)
    last = (transaction.row(_SQL["obligations_newest"], {"timezone": timezone}) or {})["period_start"]
    this_month = today.replace(day=1)
    missed, month = [], last or this_month
    while month < this_month:
        missed.append(month)
        month = _next_month(month)
    past = [PlanStep(part, today, month) for month in missed for part in slices]
    return [*past, *(PlanStep(part, today) for part in slices)]


def plan(transaction: Transaction, step: PlanStep, now: datetime) -> Planned:
    """Do one step: write what its customers owe and is not there yet, and a task for each that has none.

    `now` is when the tasks are made.
    """
    owing = _owing(transaction, step.customers)
    if step.missed is not None:
        # A period that is over is a hole to be seen; a task could not fill it any more.
        return Planned(len(_insert(transaction, _missed(transaction, owing, step, step.missed))))
    wanted_of = {"today": step.today, **step.customers._asdict()}
    running = transaction.rows(_SQL["obligations_running"], wanted_of)
    known = {_obligation(row) for row in running}
    wanted = set(owed(owing, step.today, step.today + timedelta(days=1)))
    _withdraw(transaction, [row for row in running if _obligation(row) not in wanted])
    # The registry is asked in full each time, so only what is missing goes to the database.
    written = _insert(transaction, sorted(wanted - known))
    without = [row for row in running if row["task_state"] is None and _obligation(row) in wanted]
    return Planned(len(written), _insert_tasks(transaction, [*without, *written], step.today, now))


def _next_month(month: date) -> date:
    return period_of(month, 1).end + timedelta(days=1)


def _slices(transaction: Transaction, timezone: str | None) -> list[Slice]:
    rows = transaction.rows(_SQL["customers_every"], {"timezone": timezone, "size": CUSTOMERS_PER_STEP})
    borders = [("", ""), *((row["company"], row["customer"]) for row in rows), (None, None)]
    return [Slice(timezone, *after, *through) for after, through in pairwise(borders)]


def _owing(transaction: Transaction, part: Slice) -> list[Customer]:
    rows = transaction.rows(_SQL["customers_of_slice"], part._asdict())
    return customers(_meter(row) for row in rows).owing


def _missed(
    transaction: Transaction, owing: Iterable[Customer], step: PlanStep, month: date
) -> list[Obligation]:
    """List what a past month owed and is over, for customers known then."""
    rows = transaction.rows(_SQL["customers_known"], step.customers._asdict())
    known = {(row["company"], row["customer"]) for row in rows}
    before = [customer for customer in owing if (customer.company, customer.name) in known]
    return [item for item in owed(before, month, _next_month(month)) if item.period_end < step.today]


def _withdraw(transaction: Transaction, rows: Sequence[Row]) -> None:
    """Take back what the registry no longer asks for (another class, another company), if nobody began."""
    untouched = [row["obligation_id"] for row in rows if row["task_state"] in (None, TaskState.PLANNED)]
    if untouched:
        for name in ("obligation_tasks_withdraw", "obligations_withdraw"):
            transaction.execute(_SQL[name], {"obligation_ids": untouched})


def _insert(transaction: Transaction, missing: Sequence[Obligation]) -> list[Row]:
    template = "(" + ", ".join(f"%({name})s" for name in Obligation._fields) + ")"
    rows = [item._asdict() for item in missing]
    return transaction.execute_many(_SQL["obligations_insert"], rows, template)


def _insert_tasks(transaction: Transaction, rows: Sequence[Row], today: date, now: datetime) -> int:
    template = "(%(company)s, %(customer)s, %(kind)s, 'planned', %(obligation_id)s, %(due_on)s, %(now)s)"
    tasks = [{**row, "due_on": due_on(_obligation(row), today), "now": now} for row in rows]
    return len(transaction.execute_many(_SQL["obligation_tasks_insert"], tasks, template))


def _meter(row: Row) -> Meter:
    row["customer_kind"] = CustomerKind(row["customer_kind"])
    row["reading_class"] = ReadingClass(row["reading_class"])
    row["technology"] = Technology(row["technology"])
    return Meter(**row)


def _obligation(row: Row) -> Obligation:
    fields: dict[str, Any] = {name: row[name] for name in Obligation._fields}
    kind, reading_class = TaskKind(row["kind"]), ReadingClass(row["reading_class"])
    return Obligation(**{**fields, "kind": kind, "reading_class": reading_class})
