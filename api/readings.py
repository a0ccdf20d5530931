"""Readings: one meter's telemetry under the names of the wire."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response
from pydantic import AwareDatetime, BaseModel, Field

from api.meters import fetch_meter
from api.paging import After, Limit, Page, decode_cursor, integer, paged
from api.problems import PROBLEMS, invalid_query
from api.service import SQL, ServiceOf
from fleet.wire import CLOCK_AHEAD_US, ID_PATTERN, VALVES, status_codes
from storage.database import Row, Transaction

router = APIRouter(prefix="/api/v1/readings", tags=["readings"], responses=PROBLEMS)

CLOCK_AHEAD = timedelta(microseconds=CLOCK_AHEAD_US)
_DEFAULT_SPAN = timedelta(days=1)
_EARLIEST = datetime.min.replace(tzinfo=UTC)
_WRONG_WAY_ROUND = ("from", "must lie before `to`")


class ReadingOut(BaseModel):
    """A reading; null where the meter did not report, which is not 0."""

    ts: datetime = Field(description="The meter's own time")
    seq: int | None = Field(description="+1 per reading of a boot")
    boot: int | None = Field(description="Number of the meter's start")
    received_at: datetime = Field(description="When the server had it")
    flow: float | None = Field(description="Snapshot at metering conditions, m³/h")
    volume: float | None = Field(description="Register at metering conditions, m³")
    std_flow: float | None = Field(description="At 20 °C and 101.325 kPa, m³/h")
    std_volume: float | None = Field(description="At 20 °C and 101.325 kPa, m³")
    pressure: float | None = Field(description="Absolute, kPa")
    temperature: float | None = Field(description="°C")
    balance: float | None = Field(description="In the meter's `balance_unit`")
    battery: float | None = Field(description="V")
    battery2: float | None = Field(description="V")
    battery_days: float | None = Field(description="Days left by the meter's own reckoning, d")
    valve: str | None = Field(description="open, closed, moving or fault")
    status: list[str] | None = Field(description="Status codes; an empty list where the meter reported none")


@router.get("")
def list_readings(
    request: Request,
    response: Response,
    service: ServiceOf,
    meter_id: Annotated[str, Query(pattern=f"^{ID_PATTERN}$", description="Whose readings")],
    start: Annotated[
        AwareDatetime | None, Query(alias="from", description="Default: a day before `to`")
    ] = None,
    to: Annotated[
        AwareDatetime | None, Query(description="Not included; default: now, and 10 minutes")
    ] = None,
    limit: Limit = 100,
    after: After = None,
) -> Page[ReadingOut]:
    """List one meter's readings of [from, to) by device time."""
    end = to or service.now() + CLOCK_AHEAD
    begin = start or max(end, _EARLIEST + _DEFAULT_SPAN) - _DEFAULT_SPAN
    if begin >= end:
        raise invalid_query(*_WRONG_WAY_ROUND)
    cursor = decode_cursor(after, parse_time, integer) or [None, None]
    with service.reading() as transaction:
        meter_key = fetch_meter(transaction, meter_id)["meter_key"]
        found = transaction.rows(
            SQL["readings_list"],
            {
                "meter_key": meter_key,
                "from": begin,
                "to": end,
                "after_ts": cursor[0],
                "after_seq": cursor[1],
                "limit": limit + 1,
            },
        )
    rows = [as_wire(row) for row in found]
    return Page[ReadingOut](
        **paged(request, response, rows, limit, lambda row: [row["ts"].isoformat(), row["stored_seq"]])
    )


def fetch_last_reading(transaction: Transaction, meter_key: int, now: datetime) -> Row | None:
    """Fetch a meter's newest reading of the last 400 days, in the wire's terms."""
    row = transaction.row(
        SQL["reading_last"],
        {"meter_key": meter_key, "from": now - timedelta(days=400), "to": now + CLOCK_AHEAD},
    )
    return None if row is None else as_wire(row)


def as_wire(row: Row) -> Row:
    """Spell valve and status as the wire does."""
    valve, bits = row["valve"], row["status_bits"]
    known = valve is not None and 0 <= valve < len(VALVES)
    return {
        **row,
        "valve": VALVES[valve] if known else None,
        "status": None if bits is None else status_codes(bits),
    }


def parse_time(value: Any) -> datetime:
    """Read a cursor's time; raises ValueError for anything but one with an offset."""
    moment = datetime.fromisoformat(value)
    if moment.tzinfo is None:
        msg = "a time without an offset"
        raise ValueError(msg)
    try:
        return moment.astimezone(UTC)
    except OverflowError as error:
        msg = "a time beyond the calendar"
        raise ValueError(msg) from error
