"""The list of meters, and the page of one meter with its chart."""

from __future__ import annotations

from datetime import datetime, timedelta
from enum import StrEnum
from types import MappingProxyType
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from starlette.responses import JSONResponse, Response

from alerts.alarms.lifecycle import ACTIVE
from api.alarms import fetch_journal, with_unit
from api.console.alarm_pages import ACKNOWLEDGEABLE
from api.console.render import render, with_query
from api.flow_chart import Bucket, bucket_s, register_means, series, silent_after_s
from api.meter_status import NORMAL, meter_status
from api.meters import MeterId, fetch_meter, fetch_meters, with_rated_range
from api.paging import decode_cursor, encode_cursor, text
from api.readings import CLOCK_AHEAD, fetch_last_reading
from api.service import SQL, ServiceOf
from api.tasks import fetch_tasks
from storage.database import Row, Transaction
from storage.named_sql import load_queries

router = APIRouter(include_in_schema=False)

_SQL = load_queries("api.console")
PAGE_LENGTH = 100
_RECENT_ALARMS = 20
_TASKS_SHOWN = 20


class Span(StrEnum):
    """How far back a chart looks."""

    DAY = "24h"
    WEEK = "7d"
    MONTH = "30d"


LENGTHS = MappingProxyType(
    {Span.DAY: timedelta(days=1), Span.WEEK: timedelta(days=7), Span.MONTH: timedelta(days=30)}
)
#: Rows of the table beside the chart are this long.
TABLE_STEPS = MappingProxyType(
    {Span.DAY: timedelta(hours=1), Span.WEEK: timedelta(hours=6), Span.MONTH: timedelta(days=1)}
)

Filter = Annotated[str | None, Query(max_length=200)]


@router.get("/meters")
def meters(
    request: Request, service: ServiceOf, search: Filter = None, company: Filter = None, after: Filter = None
) -> Response:
    """Show the registry, searched by a meter's id or a customer's name."""
    cursor = decode_cursor(after, text) or [None]
    with service.reading() as transaction:
        found = fetch_meters(transaction, PAGE_LENGTH + 1, cursor[0], company or None, search)
    rows = [with_rated_range(row) for row in found[:PAGE_LENGTH]]
    more = len(found) > PAGE_LENGTH
    context = {
        "meters": rows,
        "search": search or "",
        "company": company,
        "next_page": with_query(request, after=encode_cursor([rows[-1]["meter_id"]])) if more else None,
    }
    return render(request, "meters.html", context)


@router.get("/meters/{meter_id}")
def one_meter(
    request: Request, service: ServiceOf, meter_id: MeterId, span: Annotated[Span, Query()] = Span.DAY
) -> Response:
    """Show one meter: what it does now, its chart, alarms, tasks and file."""
    now = service.now()
    with service.reading() as transaction:
        meter = with_rated_range(fetch_meter(transaction, meter_id))
        key = meter["meter_key"]
        last = fetch_last_reading(transaction, key, now)
        found = transaction.rows(_SQL["meter_alarms"], {"meter_key": key, "limit": _RECENT_ALARMS})
        alarms = [with_unit(row) for row in found]
        context: dict[str, Any] = {
            "meter": meter,
            "last": last,
            "alarms": alarms,
            "journal": fetch_journal(transaction, [row["alarm_id"] for row in alarms]),
            "tasks": fetch_tasks(transaction, now, _TASKS_SHOWN, meter_id=meter_id),
            "table": flow_table(
                fetch_buckets(transaction, key, now, span, TABLE_STEPS[span]),
                TABLE_STEPS[span],
                gap_after_s(meter["interval_s"], TABLE_STEPS[span]),
            ),
        }
    active = [row["check"] for row in alarms if row["state"] in ACTIVE]
    status = meter_status(last, meter["rated_range"], meter["interval_s"], active, now)
    context |= {
        "status": status,
        "is_normal": status in NORMAL,
        "span": span,
        "spans": list(Span),
        "can_acknowledge": ACKNOWLEDGEABLE,
        "here": with_query(request),
    }
    return render(request, "meter.html", context)


@router.get("/meters/{meter_id}/flow.json")
def flow(service: ServiceOf, meter_id: MeterId, span: Annotated[Span, Query()] = Span.DAY) -> Response:
    """Give the chart's columns: at most one low and one high per bucket, whatever the meter sent."""
    now = service.now()
    width = timedelta(seconds=bucket_s(LENGTHS[span]))
    with service.reading() as transaction:
        meter = with_rated_range(fetch_meter(transaction, meter_id))
        buckets = fetch_buckets(transaction, meter["meter_key"], now, span, width)
    gap_s = gap_after_s(meter["interval_s"], width)
    start = now - LENGTHS[span]
    return JSONResponse(
        {
            **series(buckets, gap_s),
            **meter["rated_range"],
            "from": start.timestamp(),
            "to": now.timestamp(),
            "timezone": meter["timezone"],
        }
    )


def fetch_buckets(
    transaction: Transaction, meter_key: int, now: datetime, span: Span, width: timedelta
) -> list[Bucket]:
    """Fetch a meter's readings of a span, summed up by buckets."""
    rows = transaction.rows(
        SQL["flow_buckets"],
        {
            "meter_key": meter_key,
            "from": now - LENGTHS[span],
            "to": now + CLOCK_AHEAD,
            "bucket_s": width.total_seconds(),
        },
    )
    return [Bucket(**row) for row in rows]


def gap_after_s(interval_s: float | None, width: timedelta) -> float:
    """Say how far apart two buckets may lie before there is a gap between them, s."""
    return max(silent_after_s(interval_s), 2 * width.total_seconds())


def flow_table(buckets: list[Bucket], width: timedelta, gap_s: float) -> list[Row]:
    """Make the rows of the table that says what the chart draws, newest first."""
    means = register_means(buckets, width.total_seconds(), gap_s)
    rows: list[Row] = [{"bucket": bucket, "mean": mean} for bucket, mean in zip(buckets, means, strict=True)]
    return rows[::-1]
