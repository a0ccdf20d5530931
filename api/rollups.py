"""Roll-ups: one meter's hours, days or months with their volumes."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Annotated
from zoneinfo import ZoneInfo

import numpy as np
from fastapi import APIRouter, Query, Request, Response
from pydantic import AwareDatetime, BaseModel, Field

from alerts.meter_cache import MeterCache
from alerts.rollups.store import DAYS, HOURS, read_next, read_page, uses_standard
from analytics.rollups.columns import HourRollups
from analytics.rollups.merge import coarser
from analytics.rollups.periods import Granularity, begin_us, end_us
from analytics.rollups.volumes import Volumes, period_volumes, reception
from api.meters import MeterId, fetch_meter, finite
from api.paging import After, Limit, Page, decode_cursor, paged
from api.problems import PROBLEMS, invalid_query
from api.readings import CLOCK_AHEAD, parse_time
from api.service import ServiceOf
from fleet.meter_table import MeterTable
from fleet.readings import ABSENT
from fleet.times import to_datetime, to_us
from storage.database import Row, Transaction

router = APIRouter(prefix="/api/v1/meters", tags=["rollups"], responses=PROBLEMS)

_DEFAULT_SPAN = {
    Granularity.HOUR: timedelta(days=1),
    Granularity.DAY: timedelta(days=31),
    Granularity.MONTH: timedelta(days=366),
}
#: No reading is older, and none will be this far ahead; between them every calendar can count.
_EARLIEST = datetime(1990, 1, 1, tzinfo=UTC)
_LONGEST_AHEAD = timedelta(days=400)
_WRONG_WAY_ROUND = ("from", "must lie before `to`")
#: More days than rows are ever kept.
_ALL_DAYS = 100_000


class RollupOut(BaseModel):
    """An hour, day or month of the company's local time in which the meter was heard."""

    period_start: datetime = Field(description="Instant at which the local hour, day or month begins")
    period_end: datetime = Field(description="Instant at which the next one begins")
    begin_at: datetime | None = Field(description="When the register was first read in it; null: it was not")
    begin_register: float | None = Field(description="What it showed, m³")
    end_at: datetime | None = Field(
        description="When it was first read in the next period that has it; null: not yet"
    )
    end_register: float | None = Field(description="m³")
    volume: float | None = Field(description="Between these two readings, m³")
    standard: bool = Field(description="Whether the register is the one at 20 °C and 101.325 kPa")
    mean_flow: float | None = Field(description="Volume over the time between the two readings, m³/h")
    peak_flow: float | None = Field(description="Largest snapshot of the period, m³/h")
    minimum_flow: float | None = Field(description="Smallest snapshot of the period, m³/h")
    readings: int = Field(description="Frames heard, blanked ones among them")
    dropouts: int = Field(description="Frames that a transport fault blanked")
    reception: float = Field(description="Frames heard against those the interval asks for; 1 is all")


@dataclass(frozen=True, slots=True)
class _Wanted:
    """What is asked for: periods of one meter that begin in [begin, end), the oldest of them."""

    granularity: Granularity
    begin: datetime
    end: datetime
    most: int


@router.get("/{meter_id}/rollups")
def list_rollups(
    request: Request,
    response: Response,
    service: ServiceOf,
    meter_id: MeterId,
    granularity: Annotated[Granularity, Query(description="Of the company's local time")] = Granularity.HOUR,
    start: Annotated[
        AwareDatetime | None,
        Query(alias="from", description="Default: a day, 31 days or 366 days before `to`"),
    ] = None,
    to: Annotated[
        AwareDatetime | None, Query(description="Not included; default: now, and 10 minutes")
    ] = None,
    limit: Limit = 100,
    after: After = None,
) -> Page[RollupOut]:
    """List one meter's hours, days or months that begin in [from, to), with their volumes."""
    latest = service.now() + _LONGEST_AHEAD
    end = min(to or service.now() + CLOCK_AHEAD, latest)
    begin = start or max(end - _DEFAULT_SPAN[granularity], _EARLIEST)
    if begin >= (to or end):
        raise invalid_query(*_WRONG_WAY_ROUND)
    cursor = decode_cursor(after, parse_time)
    if cursor:
        begin = max(begin, cursor[0] + timedelta(microseconds=1))
    wanted = _Wanted(granularity, max(begin, _EARLIEST), max(end, _EARLIEST), limit + 1)
    with service.reading() as transaction:
        rows = _fetch(transaction, fetch_meter(transaction, meter_id), wanted)
    return Page[RollupOut](
        **paged(request, response, rows, limit, lambda row: [row["period_start"].isoformat()])
    )


def _fetch(transaction: Transaction, meter: Row, wanted: _Wanted) -> list[Row]:
    key, zone = meter["meter_key"], ZoneInfo(meter["timezone"])
    table = MeterCache().table(transaction, np.array([key], dtype=np.int32))
    found = _periods(transaction, key, zone, table, wanted)
    standard = np.array([uses_standard(transaction, key)])
    rows = found.take(np.arange(min(wanted.most, int(np.sum(found.begin_us < to_us(wanted.end))))))
    volumes = period_volumes(found, table, standard)
    at = {period: row for row, period in enumerate(volumes.period_us.tolist())}
    share = reception(rows, table, zone, wanted.granularity)
    ends_us = end_us(rows.begin_us, zone, wanted.granularity)
    return [
        {
            "period_start": to_datetime(period),
            "period_end": to_datetime(int(ends_us[row])),
            "standard": bool(standard[0]),
            **(_volume(volumes, at[period]) if period in at else _NO_VOLUME),
            "peak_flow": finite(float(rows.flow_max[row])),
            "minimum_flow": finite(float(rows.flow_min[row])),
            "readings": int(rows.readings[row]),
            "dropouts": int(rows.dropouts[row]),
            "reception": float(share[row]),
        }
        for row, period in enumerate(rows.begin_us.tolist())
    ]


_NO_VOLUME: Row = dict.fromkeys(
    ("begin_at", "begin_register", "end_at", "end_register", "volume", "mean_flow")
)


def _volume(volumes: Volumes, row: int) -> Row:
    """Tell a period's volume; its end is null where it is not known yet."""
    end = int(volumes.end_us[row])
    return {
        "begin_at": to_datetime(int(volumes.begin_us[row])),
        "begin_register": float(volumes.begin_register[row]),
        "end_at": None if end == ABSENT else to_datetime(end),
        "end_register": finite(float(volumes.end_register[row])),
        "volume": finite(float(volumes.volume[row])),
        "mean_flow": finite(float(volumes.take(np.array([row])).mean_m3h()[0])),
    }


def _periods(
    transaction: Transaction, key: int, zone: ZoneInfo, table: MeterTable, wanted: _Wanted
) -> HourRollups:
    """Read the periods, and behind them those with which the last of them end."""
    if wanted.granularity is Granularity.MONTH:
        return _months(transaction, key, zone, table, wanted)
    name = HOURS if wanted.granularity is Granularity.HOUR else DAYS
    rows = read_page(transaction, name, key, wanted.begin, wanted.end, wanted.most)
    if len(rows) == 0:
        return rows
    behind = to_datetime(int(rows.begin_us[-1]) + 1)
    return HourRollups.concatenate([rows, read_next(transaction, name, key, behind)])


def _months(
    transaction: Transaction, key: int, zone: ZoneInfo, table: MeterTable, wanted: _Wanted
) -> HourRollups:
    """Roll days up into the months that begin in the span, whole ones, and those that end them."""
    last = end_us(np.array([to_us(wanted.end) - 1]), zone, Granularity.MONTH)
    days = read_page(transaction, DAYS, key, wanted.begin, to_datetime(int(last[0])), _ALL_DAYS)
    begins_us = begin_us(days.begin_us, zone, Granularity.MONTH)
    days = days.take(begins_us >= to_us(wanted.begin))
    if len(days) == 0:
        return days
    behind = read_next(transaction, DAYS, key, to_datetime(int(days.begin_us[-1]) + 1))
    return coarser(HourRollups.concatenate([days, behind]), zone, Granularity.MONTH, table)
