"""Open alarms, the page of one alarm, and the button that acknowledges it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from http import HTTPStatus
from typing import Annotated, Any

from fastapi import APIRouter, Form, Query, Request
from starlette.responses import RedirectResponse, Response

from alerts.alarms.lifecycle import State
from api.alarms import AlarmId, acknowledge_now, fetch_alarm, with_unit
from api.console.render import render, wants_fragment, with_query
from api.console.sessions import local_path
from api.paging import decode_cursor, encode_cursor, integer
from api.service import Service, ServiceOf
from fleet.checks import Severity
from storage.database import Row
from storage.named_sql import load_queries

router = APIRouter(include_in_schema=False)

_SQL = load_queries("api.console")
#: More rows than anybody reads; the rest is one link away.
PAGE_LENGTH = 100
#: Who acknowledges here, until people have accounts.
ACTOR = "console"
#: The condition may hold, but somebody knows.
ACKNOWLEDGEABLE = (State.ACTIVE_UNACKED, State.CLEARED_UNACKED)

Filter = Annotated[str | None, Query(max_length=64)]


@dataclass(frozen=True, slots=True)
class Choice:
    """One value that a list can be filtered by, and how many rows it would show."""

    value: str
    count: int
    chosen: bool


@router.get("/")
def open_alarms(
    request: Request,
    service: ServiceOf,
    severity: Filter = None,
    check: Filter = None,
    company: Filter = None,
    after: Filter = None,
) -> Response:
    """Show the open alarms, worst first; to htmx only the list itself."""
    wanted = {"severity": severity or None, "check": check or None, "company": company or None}
    context = _board(service, request, wanted, after)
    return render(request, "_board.html" if wants_fragment(request) else "alarms.html", context)


@router.get("/alarms/{alarm_id}")
def one_alarm(request: Request, service: ServiceOf, alarm_id: AlarmId) -> Response:
    """Show one alarm with everything that happened to it."""
    with service.reading() as transaction:
        alarm = fetch_alarm(transaction, alarm_id)
        beside = transaction.rows(_SQL["alarm_context"], {"alarm_id": alarm_id})[0]
    context = {"alarm": {**alarm.model_dump(), **beside}, "can_acknowledge": ACKNOWLEDGEABLE}
    return render(request, "alarm.html", context)


@router.post("/alarms/{alarm_id}/acknowledge")
def acknowledge_alarm(
    request: Request,
    service: ServiceOf,
    alarm_id: AlarmId,
    back: Annotated[str, Form(max_length=500)] = "/",
) -> Response:
    """Acknowledge, then show where the person was; htmx fetches the list anew by itself."""
    acknowledge_now(service, alarm_id, ACTOR)
    if wants_fragment(request):
        return Response(status_code=HTTPStatus.NO_CONTENT, headers={"HX-Trigger": "alarms-changed"})
    return RedirectResponse(local_path(back), HTTPStatus.SEE_OTHER)


def _board(
    service: Service, request: Request, wanted: dict[str, str | None], after: str | None
) -> dict[str, Any]:
    cursor = decode_cursor(after, integer, integer) or [None, 0]
    parameters = {
        **wanted,
        "severities": [str(severity) for severity in Severity],
        "acknowledged": State.ACTIVE_ACKED,
        "after_urgency": cursor[0],
        "after_id": cursor[1],
        "limit": PAGE_LENGTH + 1,
    }
    with service.reading() as transaction:
        found = transaction.rows(_SQL["board"], parameters)
        counts = transaction.rows(_SQL["board_counts"])
        no_meters = transaction.rows(_SQL["registry_is_empty"])[0]["empty"]
    rows = [with_unit(row) for row in found[:PAGE_LENGTH]]
    following = None
    if len(found) > PAGE_LENGTH:
        following = with_query(request, after=encode_cursor([rows[-1]["urgency"], rows[-1]["alarm_id"]]))
    return {
        "alarms": rows,
        "wanted": wanted,
        "total": sum(row["alarms"] for row in counts if _matches(row, wanted)),
        "choices": {name: choices(counts, name, wanted) for name in wanted},
        "no_meters": no_meters,
        "next_page": following,
        "can_acknowledge": ACKNOWLEDGEABLE,
        "here": with_query(request),
    }


def choices(counts: list[Row], name: str, wanted: dict[str, str | None]) -> list[Choice]:
    """Count what each value of one filter would show under the other filters; zero stays in the list."""
    others = {**wanted, name: None}
    found: Counter[str] = Counter()
    for row in counts:
        found[row[name]] += row["alarms"] if _matches(row, others) else 0
    chosen = wanted[name]
    known = list(Severity) if name == "severity" else sorted({*found, *([chosen] if chosen else [])})
    return [Choice(value, found[value], value == chosen) for value in known]


def _matches(row: Row, wanted: dict[str, str | None]) -> bool:
    return all(value is None or row[name] == value for name, value in wanted.items())
