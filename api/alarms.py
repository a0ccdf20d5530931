"""Alarms: list, read, acknowledge."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from enum import StrEnum
from http import HTTPStatus
from typing import Annotated, Any

from fastapi import APIRouter, Header, Path, Query, Request, Response
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from alerts.alarms.lifecycle import State as AlarmState
from alerts.alarms.store import NotPossible, acknowledge
from api.paging import After, Limit, Page, decode_cursor, integer, paged
from api.problems import PROBLEMS, ProblemError
from api.service import SQL, Service, ServiceOf
from fleet.checks import BY_CODE, Severity
from fleet.wire import ID_PATTERN
from storage.database import Row, Transaction

router = APIRouter(prefix="/api/v1/alarms", tags=["alarms"], responses=PROBLEMS)

OPEN_STATES = tuple(state for state in AlarmState if state is not AlarmState.CLOSED)
_JOURNAL_LENGTH = 200
_EVER = datetime.max.replace(tzinfo=UTC)

CheckCode = StrEnum("CheckCode", {code: code for code in BY_CODE})  # type: ignore[misc] # from the catalogue
AlarmId = Annotated[int, Path(ge=1, le=2**63 - 1)]
KnownAt = Annotated[
    AwareDatetime | None,
    Query(description="As it stood for us at that moment, by the time of decision; default: now"),
]
IfMatch = Annotated[str | None, Header(description="The alarm's ETag: acknowledge only what was seen")]


class AlarmOut(BaseModel):
    """An alarm: one finding of one check on one meter, from its onset to its end."""

    alarm_id: int
    company: str
    meter_id: str
    customer: str
    check: str = Field(description="Code of the check that found it")
    severity: str = Field(description="critical, major, minor or info")
    state: str = Field(description="active_unacked, active_acked, cleared_unacked or closed")
    onset_at: datetime = Field(description="When the condition began, by the meter's clock")
    ended_at: datetime | None = Field(description="When it ended, by the meter's clock")
    raised_at: datetime = Field(description="When the engine decided")
    occurrences: int = Field(description="How often the condition came back while the alarm was open")
    readings: int = Field(description="How many readings were flagged")
    value: float | None = Field(description="The worst value, in `unit`")
    limit: float | None = Field(description="What it is held against, in `unit`")
    limit_from: str | None = Field(
        description="Whose limit that is: meter, model, company or default; null where nobody could set one"
    )
    unit: str | None = Field(description="UCUM code, or CNY")
    part: int = Field(description="Which battery, 1 or 2; 0 where the question does not arise")
    acknowledged_by: str | None
    acknowledged_at: datetime | None
    closed_at: datetime | None


class JournalOut(BaseModel):
    """One change of an alarm."""

    event: str
    from_state: str | None
    to_state: str
    event_at: datetime = Field(description="When it happened, by the meter's clock or the person's")
    arrived_at: datetime | None = Field(
        description="When the reading that decided it arrived; null where none did (a person, the calendar)"
    )
    decided_at: datetime = Field(description="When the change was made")
    correction: bool = Field(description="Whether it changes what was known of a time evaluated before")
    actor: str
    note: str | None
    limit_from: str | None = Field(description="Whose limit it was then")


class AlarmDetail(AlarmOut):
    """An alarm with its journal, newest change first."""

    journal: list[JournalOut]


class Acknowledgement(BaseModel):
    """What may be sent along with an acknowledgement."""

    model_config = ConfigDict(extra="forbid")

    actor: str = Field(
        "api", min_length=1, max_length=100, pattern=r"^[^\x00-\x1f]+$", description="Who does it"
    )
    note: str | None = Field(None, max_length=1000, pattern=r"^[^\x00]*$")


@router.get("")
def list_alarms(
    request: Request,
    response: Response,
    service: ServiceOf,
    state: Annotated[
        list[AlarmState] | None, Query(description="Default: all but closed; with `at`, all")
    ] = None,
    check: CheckCode | None = None,
    severity: Severity | None = None,
    meter_id: Annotated[str | None, Query(pattern=f"^{ID_PATTERN}$")] = None,
    company: Annotated[str | None, Query(pattern=f"^{ID_PATTERN}$")] = None,
    known_at: KnownAt = None,
    at: Annotated[
        AwareDatetime | None,
        Query(description="Only those whose condition held at that moment, by the meter's clock"),
    ] = None,
    limit: Limit = 100,
    after: After = None,
) -> Page[AlarmOut]:
    """List alarms by number; open ones unless `state` says otherwise.

    `known_at` asks what we knew then, `at` what was so then; with both, what we knew of it then.
    """
    cursor = decode_cursor(after, integer) or [0]
    wanted = {
        "states": [str(one) for one in state or (OPEN_STATES if at is None else AlarmState)],
        "check": check,
        "severity": severity,
        "meter_id": meter_id,
        "company": company,
        "after": cursor[0],
        "limit": limit + 1,
    }
    with service.reading() as transaction:
        if known_at is None and at is None:
            found = transaction.rows(SQL["alarms_list"], wanted)
        else:
            found = _as_known(transaction, known_at, at=at, **wanted)
    rows = [with_unit(row) for row in found]
    return Page[AlarmOut](**paged(request, response, rows, limit, lambda row: [row["alarm_id"]]))


@router.get("/{alarm_id}")
def read_alarm(
    service: ServiceOf,
    response: Response,
    alarm_id: AlarmId,
    known_at: KnownAt = None,
    if_none_match: Annotated[str | None, Header()] = None,
) -> AlarmDetail:
    """Read one alarm with its journal, now or as it stood; the answer carries an ETag."""
    with service.reading() as transaction:
        alarm = fetch_alarm(transaction, alarm_id, known_at)
    response.headers["ETag"] = tag = etag(alarm)
    if matches(if_none_match, tag):
        response.status_code = HTTPStatus.NOT_MODIFIED
    return alarm


@router.post("/{alarm_id}/acknowledge", responses={409: PROBLEMS[404], 412: PROBLEMS[404]})
def acknowledge_alarm(
    service: ServiceOf,
    response: Response,
    alarm_id: AlarmId,
    body: Acknowledgement | None = None,
    if_match: IfMatch = None,
) -> AlarmDetail:
    """Acknowledge an alarm: somebody knows of it. 409 where its state does not allow it."""
    said = body or Acknowledgement()  # type: ignore[call-arg] # pydantic fills the defaults in
    alarm = acknowledge_now(service, alarm_id, said.actor, said.note, if_match)
    response.headers["ETag"] = etag(alarm)
    return alarm


def acknowledge_now(
    service: Service, alarm_id: int, actor: str, note: str | None = None, if_match: str | None = None
) -> AlarmDetail:
    """Acknowledge in a transaction of its own.

    Raises ProblemError: 404 unknown, 412 changed since `if_match`, 409 not possible in this state.
    """
    with service.database.transaction() as transaction:
        transaction.rows(SQL["alarm_lock"], {"alarm_id": alarm_id})
        before = fetch_alarm(transaction, alarm_id)
        if if_match is not None and not matches(if_match, etag(before)):
            raise ProblemError(
                HTTPStatus.PRECONDITION_FAILED, "The alarm has changed since it was read; read again."
            )
        outcome = acknowledge(transaction, alarm_id, actor, service.now(), note)
        if isinstance(outcome, NotPossible):
            detail = f"Alarm {alarm_id} cannot be acknowledged: {outcome.reason}."
            raise ProblemError(HTTPStatus.CONFLICT, detail, state=before.state)
        return fetch_alarm(transaction, alarm_id)


def fetch_alarm(transaction: Transaction, alarm_id: int, known_at: datetime | None = None) -> AlarmDetail:
    """Fetch an alarm and its journal; raises ProblemError (404) where there is, or was, none."""
    if known_at is None:
        row = transaction.row(SQL["alarm_one"], {"alarm_id": alarm_id})
    else:
        row = next(iter(_as_known(transaction, known_at, alarm_id=alarm_id)), None)
    if row is None:
        then = "" if known_at is None else f" that was known at {known_at.isoformat()}"
        raise ProblemError(HTTPStatus.NOT_FOUND, f"There is no alarm {alarm_id}{then}.")
    return AlarmDetail(**with_unit(row), journal=fetch_journal(transaction, [alarm_id], known_at))


def _as_known(transaction: Transaction, known_at: datetime | None, **wanted: Any) -> list[Row]:
    """List alarms as they stood at a moment of decision."""
    anything = dict.fromkeys(("alarm_id", "check", "severity", "meter_id", "company", "at"))
    everywhere = {"states": [str(one) for one in AlarmState], "after": 0, "limit": 1}
    given = {**anything, **everywhere, **wanted, "known_at": known_at or _EVER}
    return transaction.rows(SQL["alarms_known"], given)


def fetch_journal(
    transaction: Transaction, alarm_ids: list[int], known_at: datetime | None = None
) -> list[Any]:
    """Fetch the newest changes of alarms, but for those that only moved figures."""
    wanted = {"alarm_ids": alarm_ids, "known_at": known_at, "limit": _JOURNAL_LENGTH}
    return transaction.rows(SQL["alarm_journal"], wanted)


def with_unit(row: Row) -> Row:
    """Add the unit of an alarm's value; a balance is in the meter's own unit."""
    spec = BY_CODE.get(row["check"])
    unit = spec.unit if spec else None
    return {**row, "unit": row["balance_unit"] if unit == "balance" else unit}


def etag(shown: BaseModel) -> str:
    """Name a representation: a strong ETag over everything that is sent."""
    return f'"{hashlib.sha256(shown.model_dump_json().encode()).hexdigest()[:32]}"'


def matches(header: str | None, tag: str) -> bool:
    """Tell whether an If-Match or If-None-Match header names this ETag."""
    return header is not None and (
        header.strip() == "*" or tag in [part.strip() for part in header.split(",")]
    )
