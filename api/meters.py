"""Meters: the registry, and when each was last heard."""

from __future__ import annotations

import math
from dataclasses import fields
from datetime import date, datetime
from http import HTTPStatus
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Request, Response
from pydantic import BaseModel, Field

from api.paging import After, Limit, Page, decode_cursor, paged, text
from api.problems import PROBLEMS, ProblemError
from api.service import SQL, ServiceOf
from fleet.limits import rated_range_m3h
from fleet.meters import Meter
from fleet.wire import ID_PATTERN
from storage.database import Row, Transaction
from storage.registry import meter_from_row

router = APIRouter(prefix="/api/v1/meters", tags=["meters"], responses=PROBLEMS)

MeterId = Annotated[str, Path(pattern=f"^{ID_PATTERN}$", description="Id of the meter, as in the registry")]
Search = Annotated[str | None, Query(max_length=100, description="Part of a meter's id or customer's name")]


class RatedRange(BaseModel):
    """The rated range that the checks use: the meter's own values, else those of its size."""

    qmin: float | None = Field(description="Lower end, m³/h")
    qmax: float | None = Field(description="Upper end, m³/h")


class MeterOut(BaseModel):
    """A meter of the registry under the registry's field names; null where the registry is silent."""

    meter_id: str
    company: str
    customer: str
    customer_kind: str
    reading_class: str = Field(description="How often the customer is read; decides the inspection's period")
    technology: str
    g_size: str | None
    qmax: float | None = Field(description="m³/h")
    qmin: float | None = Field(description="m³/h")
    prepaid: bool
    balance_unit: str | None = Field(description="CNY or m3")
    interval_s: int | None = Field(description="Reporting interval, s")
    register_digits: int | None
    register_step: float | None = Field(description="m³")
    installed_on: date | None
    battery_type: str | None
    battery_replaced_on: date | None
    battery_life_days: int | None = Field(description="d")
    battery2_type: str | None
    battery2_replaced_on: date | None
    battery2_life_days: int | None = Field(description="d")
    oil_filled_on: date | None
    oil_volume_at_fill: float | None = Field(description="Register when the oil was filled, m³")
    oil_interval_days: int | None = Field(description="d")
    oil_interval_m3: float | None = Field(description="m³")
    low_balance: float | None = Field(description="In the balance's unit")
    manager: str | None
    contact: str | None
    phone: str | None
    rated_range: RatedRange
    online: bool | None = Field(
        description="What the meter's retained status said last; null before the first"
    )
    boot: int | None = Field(description="Number of the meter's last start")
    firmware: str | None
    evaluated_through: datetime | None = Field(description="Device time of the newest reading checked")
    last_received_at: datetime | None = Field(description="When the newest reading checked arrived")
    open_alarms: int


@router.get("")
def list_meters(
    request: Request,
    response: Response,
    service: ServiceOf,
    company: Annotated[str | None, Query(max_length=64)] = None,
    search: Search = None,
    limit: Limit = 100,
    after: After = None,
) -> Page[MeterOut]:
    """List meters by their ids."""
    cursor = decode_cursor(after, text)
    with service.reading() as transaction:
        rows = fetch_meters(transaction, limit + 1, cursor[0] if cursor else None, company, search)
    rows = [with_rated_range(row) for row in rows]
    return Page[MeterOut](**paged(request, response, rows, limit, lambda row: [row["meter_id"]]))


@router.get("/{meter_id}")
def read_meter(service: ServiceOf, meter_id: MeterId) -> MeterOut:
    """Read one meter."""
    with service.reading() as transaction:
        return MeterOut(**with_rated_range(fetch_meter(transaction, meter_id)))


def fetch_meters(
    transaction: Transaction,
    limit: int,
    after: str | None = None,
    company: str | None = None,
    search: str | None = None,
    customer: str | None = None,
) -> list[Row]:
    """Fetch meters in the order of their ids, beginning behind the id `after`."""
    return transaction.rows(
        SQL["meters_list"],
        {
            "after": after,
            "company": company,
            "customer": customer,
            "search": (search or "").strip() or None,
            "limit": limit,
        },
    )


def fetch_meter(transaction: Transaction, meter_id: str) -> Row:
    """Fetch a meter by its id; raises ProblemError (404) where the registry has none."""
    row = transaction.row(SQL["meter_one"], {"meter_id": meter_id})
    if row is None:
        raise ProblemError(HTTPStatus.NOT_FOUND, f"The registry has no meter {meter_id}.")
    return row


def with_rated_range(row: Row) -> dict[str, Any]:
    """Add the resolved rated range to a meter's row."""
    qmin, qmax = rated_range_m3h(meter_from_row({name.name: row[name.name] for name in fields(Meter)}))
    return {**row, "rated_range": {"qmin": finite(qmin), "qmax": finite(qmax)}}


def finite(value: float) -> float | None:
    """Turn "nothing known" (NaN) into null."""
    return value if math.isfinite(value) else None
