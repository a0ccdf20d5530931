"""Open tasks, and the obligations behind them."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from api.console.render import render, with_query
from api.obligations import ObligationStatus, fetch_obligations
from api.paging import decode_cursor, encode_cursor, integer
from api.service import ServiceOf
from api.tasks import DONE_STATES, fetch_tasks, task_cursor, task_position
from fleet.checks import TaskKind
from storage.named_sql import load_queries

router = APIRouter(include_in_schema=False)

_SQL = load_queries("api.console")
PAGE_LENGTH = 100
#: How far back the summary of obligations looks: every period was due once.
_YEAR = timedelta(days=366)

Filter = Annotated[str | None, Query(max_length=100)]


@router.get("/tasks")
def open_tasks(
    request: Request,
    service: ServiceOf,
    kind: Filter = None,
    overdue: Filter = None,
    after: Filter = None,
) -> Response:
    """Show the tasks that somebody still has to do, the most urgent first."""
    wanted: dict[str, Any] = {"kind": kind or None, "overdue": True if overdue else None}
    with service.reading() as transaction:
        found = fetch_tasks(transaction, service.now(), PAGE_LENGTH + 1, after=task_cursor(after), **wanted)
    rows = found[:PAGE_LENGTH]
    more = len(found) > PAGE_LENGTH
    context = {
        "tasks": rows,
        "kinds": list(TaskKind),
        "wanted": wanted,
        "next_page": with_query(request, after=encode_cursor(task_position(rows[-1]))) if more else None,
    }
    return render(request, "tasks.html", context)


@router.get("/obligations")
def obligations(
    request: Request,
    service: ServiceOf,
    kind: Filter = None,
    status: Annotated[ObligationStatus, Query()] = ObligationStatus.MISSED,
    after: Filter = None,
) -> Response:
    """Show which inspections were missed, are open or were done, and a summary of the year."""
    now = service.now()
    cursor = decode_cursor(after, integer) or [0]
    wanted = {"kind": kind or None, "status": status, "from": (now - _YEAR).date()}
    with service.reading() as transaction:
        found = fetch_obligations(transaction, now, PAGE_LENGTH + 1, cursor[0], **wanted)
        counts = transaction.rows(
            _SQL["obligation_counts"],
            {"now": now, "since": (now - _YEAR).date(), "done_states": [str(state) for state in DONE_STATES]},
        )
    rows = found[:PAGE_LENGTH]
    more = len(found) > PAGE_LENGTH
    context = {
        "obligations": rows,
        "counts": {(row["kind"], row["status"]): row["obligations"] for row in counts},
        "kinds": [kind for kind in TaskKind if any(row["kind"] == kind for row in counts)],
        "statuses": list(ObligationStatus),
        "wanted": wanted,
        "next_page": with_query(request, after=encode_cursor([rows[-1]["obligation_id"]])) if more else None,
    }
    return render(request, "obligations.html", context)
