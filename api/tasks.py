"""Tasks: what somebody has to do, until when, and why."""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel, Field

from alerts.inspections.tasks import TaskState
from api.paging import After, Cursor, Limit, Page, decode_cursor, integer, paged
from api.problems import PROBLEMS
from api.service import SQL, ServiceOf
from fleet.checks import TaskKind
from fleet.wire import ID_PATTERN
from storage.database import Row, Transaction

router = APIRouter(prefix="/api/v1/tasks", tags=["tasks"], responses=PROBLEMS)


#: Somebody still has to go; only these can be overdue.
OPEN_STATES = (TaskState.PLANNED, TaskState.ASSIGNED, TaskState.IN_PROGRESS)
DONE_STATES = (TaskState.DONE, TaskState.VERIFIED)


class TaskOut(BaseModel):
    """A task; its reason is either an alarm or an obligation."""

    task_id: int
    company: str
    customer: str
    meter_id: str | None
    kind: str
    state: str
    alarm_id: int | None = Field(description="The alarm that asks for it")
    obligation_id: int | None = Field(description="The obligation that asks for it")
    due_on: date = Field(description="In the company's calendar")
    overdue: bool = Field(description="Not done, and the company's today is past `due_on`")
    assignee: str | None
    created_at: datetime


@router.get("")
def list_tasks(
    request: Request,
    response: Response,
    service: ServiceOf,
    state: Annotated[list[TaskState] | None, Query(description="Default: those still to be done")] = None,
    kind: TaskKind | None = None,
    company: Annotated[str | None, Query(pattern=f"^{ID_PATTERN}$")] = None,
    meter_id: Annotated[str | None, Query(pattern=f"^{ID_PATTERN}$")] = None,
    overdue: Annotated[
        bool | None, Query(description="Only those that are, or only those that are not")
    ] = None,
    limit: Limit = 100,
    after: After = None,
) -> Page[TaskOut]:
    """List tasks by due date; those still to be done unless `state` says otherwise."""
    wanted = {"kind": kind, "company": company, "meter_id": meter_id, "overdue": overdue}
    with service.reading() as transaction:
        rows = fetch_tasks(
            transaction, service.now(), limit + 1, tuple(state or OPEN_STATES), task_cursor(after), **wanted
        )
    return Page[TaskOut](**paged(request, response, rows, limit, task_position))


def fetch_tasks(
    transaction: Transaction,
    now: datetime,
    limit: int,
    states: tuple[TaskState, ...] = OPEN_STATES,
    after: Cursor | None = None,
    **wanted: Any,
) -> list[Row]:
    """Fetch tasks by due date; `wanted` may hold kind, company, meter_id and overdue."""
    filters = {"kind": None, "company": None, "meter_id": None, "overdue": None, **wanted}
    after_due, after_id = after or (None, 0)
    return transaction.rows(
        SQL["tasks_list"],
        {
            "states": [str(state) for state in states],
            "open_states": [str(state) for state in OPEN_STATES],
            "now": now,
            "after_due": after_due,
            "after_id": after_id,
            "limit": limit,
            **filters,
        },
    )


def task_cursor(after: str | None) -> Cursor | None:
    """Read the cursor of a list of tasks."""
    return decode_cursor(after, date.fromisoformat, integer)


def task_position(row: Row) -> list[Any]:
    """Say where a task stands in the list."""
    return [row["due_on"].isoformat(), row["task_id"]]
