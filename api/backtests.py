"""Back-tests: what a changed policy would have raised over a past window, beside what was raised."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus
from typing import Annotated, Any

import numpy as np
from fastapi import APIRouter, Request, Response
from numpy.typing import NDArray
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from alerts.replay import RUN_IN, Window, replay
from api.backtest_rows import (
    KEY_LENGTH,
    CheckOut,
    FindingOut,
    Standing,
    checks_told,
    findings_told,
    keys_of,
)
from api.paging import After, Limit, Page, decode_cursor, integer, paged
from api.policies import PolicyText, changed_policies, check_company, present_documents
from api.problems import PROBLEMS, ProblemError
from api.service import SQL, Service, ServiceOf
from fleet.policies import Policies
from fleet.policy_documents import GROUP, combined
from fleet.wire import ID_PATTERN
from storage.database import Row, Transaction
from storage.policies import valid_policies

router = APIRouter(prefix="/api/v1/backtests", tags=["backtests"], responses=PROBLEMS)

#: Bounds a back-test: it takes a second or two of one processor for 200,000 readings, judged twice.
MOST_READINGS = 2_000_000
MOST_METERS = 10_000
_EARLIEST_YEAR = 1980

MeterIds = Annotated[list[Annotated[str, Field(pattern=f"^{ID_PATTERN}$")]], Field(max_length=MOST_METERS)]


class BacktestIn(BaseModel):
    """A document as it would be put, and the window over which to try it."""

    model_config = ConfigDict(extra="forbid")

    policy: PolicyText
    company: str | None = Field(
        None,
        pattern=f"^{ID_PATTERN}$",
        description="Whose document it is, and whose meters are looked at; the group's and all where absent",
    )
    begin: AwareDatetime = Field(alias="from", description="What begins from here on is told")
    to: AwareDatetime = Field(description="Not included, and not in the future")
    meters: MeterIds | None = Field(None, description="Only these")

    @property
    def document(self) -> str:
        """Name of the document that would be put."""
        return self.company or GROUP

    @property
    def whose(self) -> str | None:
        """The company whose meters are looked at; None for all."""
        return None if self.document == GROUP else self.document


class BacktestOut(BaseModel):
    """What a changed policy would have raised, beside what was raised."""

    begin: datetime = Field(serialization_alias="from")
    to: datetime
    run_in_from: datetime = Field(description="Readings from here on made the checks know each meter")
    meters: int
    readings: int
    policy_before: dict[str, str] = Field(description="The documents as they are, by name")
    policy_after: dict[str, str] = Field(description="The same with the changed one in its place")
    checks: list[CheckOut]
    findings: Page[FindingOut]


@router.post("", responses={429: PROBLEMS[404]})
def run_backtest(
    request: Request,
    response: Response,
    service: ServiceOf,
    body: BacktestIn,
    limit: Limit = 100,
    after: After = None,
) -> BacktestOut:
    """Judge stored readings under a changed policy and under the present one; nothing is written.

    The next page of `findings` is had by posting the same body to its address; it is worked out anew.
    """
    cursor = decode_cursor(after, *[integer] * KEY_LENGTH)
    _check_window(body, service.now())
    with _one_at_a_time(service):
        with service.reading() as transaction:
            asked = _asked(transaction, body, service.now())
        comparison = replay(service.reading, asked.window, asked.sizes, asked.present, asked.changed)
    start = bisect_right(keys_of(comparison), tuple(cursor)) if cursor else 0
    page = comparison.take(np.arange(len(comparison))[start : start + limit + 1])
    with service.reading() as transaction:
        begun = transaction.rows(SQL["alarms_begun"], _between(asked.window, asked.window.meter_keys))
        standing = _standing(transaction, asked.window, page.episodes.meter_key)
    rows = findings_told(page, asked.meters, standing)
    return BacktestOut(
        begin=body.begin,
        to=body.to,
        run_in_from=body.begin - RUN_IN,
        meters=len(asked.meters),
        readings=int(asked.sizes.sum()),
        policy_before=asked.documents,
        policy_after={**asked.documents, body.document: body.policy},
        checks=checks_told(comparison, {row["check"]: row["alarms"] for row in begun}),
        findings=Page[FindingOut](**paged(request, response, rows, limit, lambda row: row["key"])),
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Asked:
    """What a request comes down to."""

    present: Policies
    changed: Policies
    #: The present documents, by name.
    documents: dict[str, str]
    meters: list[Row]
    window: Window
    #: Readings of each meter.
    sizes: NDArray[np.int64]


def _asked(transaction: Transaction, body: BacktestIn, now: datetime) -> _Asked:
    """Look up all that a request names; raises ProblemError where that is not there, or too much."""
    check_company(transaction, body.document)
    changed = changed_policies(transaction, body.document, body.policy, now).policies()
    meters = _meters(transaction, body)
    keys = np.array([row["meter_key"] for row in meters], dtype=np.int32)
    window = Window(keys, [row["timezone"] for row in meters], body.begin, body.to)
    return _Asked(
        present=combined(present_documents(transaction, now)).policies(),
        changed=changed,
        documents={name: one.document for name, one in valid_policies(transaction, now).items()},
        meters=meters,
        window=window,
        sizes=_bounded(window, transaction),
    )


def _check_window(body: BacktestIn, now: datetime) -> None:
    wrong = None
    if body.begin >= body.to:
        wrong = "`from` must lie before `to`."
    elif body.to > now:
        wrong = "`to` lies in the future, of which there are no readings yet; it may be now at most."
    elif body.begin.year < _EARLIEST_YEAR:
        wrong = f"`from` lies before {_EARLIEST_YEAR}, when no meter reported."
    if wrong is not None:
        raise ProblemError(HTTPStatus.UNPROCESSABLE_ENTITY, wrong)


@contextmanager
def _one_at_a_time(service: Service) -> Iterator[None]:
    if not service.replaying.acquire(blocking=False):
        detail = "Another back-test is running; try again when it is done."
        raise ProblemError(HTTPStatus.TOO_MANY_REQUESTS, detail, headers={"Retry-After": "5"})
    try:
        yield
    finally:
        service.replaying.release()


def _meters(transaction: Transaction, body: BacktestIn) -> list[Row]:
    asked = {"company": body.whose, "meter_ids": body.meters, "limit": MOST_METERS + 1}
    found = transaction.rows(SQL["backtest_meters"], asked)
    unknown = sorted(set(body.meters or ()) - {row["meter_id"] for row in found})
    if unknown:
        whose = f"{body.whose} has" if body.whose else "The registry has"
        raise ProblemError(HTTPStatus.NOT_FOUND, f"{whose} no meter {', '.join(unknown[:10])}.")
    if len(found) > MOST_METERS:
        what = f"more than {MOST_METERS} meters"
        raise _too_much(what)
    return found


def _bounded(window: Window, transaction: Transaction) -> NDArray[np.int64]:
    sizes = window.readings(transaction)
    if sizes.sum() > MOST_READINGS:
        what = f"{sizes.sum()} readings with the {RUN_IN.days} days before it; {MOST_READINGS} may be"
        raise _too_much(what)
    return sizes


def _too_much(what: str) -> ProblemError:
    detail = f"The window holds {what}; name a company or meters, or a shorter window."
    return ProblemError(HTTPStatus.UNPROCESSABLE_ENTITY, detail)


def _between(window: Window, meter_keys: Any) -> dict[str, Any]:
    return {"meter_keys": meter_keys, "from": window.begin, "to": window.end}


def _standing(transaction: Transaction, window: Window, meter_keys: Any) -> Standing:
    found: Standing = {}
    for row in transaction.rows(SQL["alarms_standing"], _between(window, np.unique(meter_keys))):
        found.setdefault((row["meter_key"], row["check"]), []).append(row)
    return found
