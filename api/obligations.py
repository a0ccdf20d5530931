"""Obligations: what had to be inspected, and whether it was."""

from __future__ import annotations

from datetime import date, datetime
from enum import StrEnum
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel, Field

from api.paging import After, Limit, Page, decode_cursor, integer, paged
from api.problems import PROBLEMS
from api.service import SQL, ServiceOf
from api.tasks import DONE_STATES
from fleet.checks import TaskKind
from fleet.wire import ID_PATTERN
from storage.database import Row, Transaction

router = APIRouter(prefix="/api/v1/obligations", tags=["obligations"], responses=PROBLEMS)


class ObligationStatus(StrEnum):
    """What became of an obligation; derived, never stored."""

    OPEN = "open"
    KEPT = "kept"
    MISSED = "missed"


class ObligationOut(BaseModel):
    """What had to happen for one customer in one period, by the registry alone."""

    obligation_id: int
    company: str
    customer: str
    kind: str
    reading_class: str
    period_start: date
    period_end: date = Field(description="Last day of the period")
    status: ObligationStatus = Field(
        description="kept: its task is done; missed: the period is over; else open"
    )
    task_id: int | None = Field(description="Null where no task was made, which does not make it less due")


@router.get("")
def list_obligations(
    request: Request,
    response: Response,
    service: ServiceOf,
    company: Annotated[str | None, Query(pattern=f"^{ID_PATTERN}$")] = None,
    customer: Annotated[str | None, Query(max_length=200)] = None,
    kind: TaskKind | None = None,
    status: ObligationStatus | None = None,
    start: Annotated[date | None, Query(alias="from", description="Periods that end on it or later")] = None,
    to: Annotated[date | None, Query(description="Periods that start on it or earlier")] = None,
    limit: Limit = 100,
    after: After = None,
) -> Page[ObligationOut]:
    """List obligations by number."""
    cursor = decode_cursor(after, integer) or [0]
    wanted = {
        "company": company,
        "customer": customer,
        "kind": kind,
        "status": status,
        "from": start,
        "to": to,
    }
    with service.reading() as transaction:
        rows = fetch_obligations(transaction, service.now(), limit + 1, cursor[0], **wanted)
    return Page[ObligationOut](**paged(request, response, rows, limit, lambda row: [row["obligation_id"]]))


def fetch_obligations(
    transaction: Transaction, now: datetime, limit: int, after: int = 0, **wanted: Any
) -> list[Row]:
    """Fetch obligations by number; `wanted` may hold company, customer, kind, status, from and to."""
    filters = dict.fromkeys(("company", "customer", "kind", "status", "from", "to"))
    return transaction.rows(
        SQL["obligations_list"],
        {
            "now": now,
            "after": after,
            "limit": limit,
            "done_states": [str(state) for state in DONE_STATES],
            **filters,
            **wanted,
        },
    )
