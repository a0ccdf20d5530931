"""Hours, days and months of a company's local time, as instants at which they begin.

A local day begins at the first instant of its date; so a day on which clocks change has 23 or 25
hours. A local hour begins where the local clock shows a full hour, and where it is changed: an
hour that the clock shows twice is two, and a change by half an hour makes short ones. Every instant
lies in exactly one hour, day and month. Source of the rules: IANA time zones, through `zoneinfo`.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum
from functools import lru_cache
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from analytics.block import US_PER_DAY, US_PER_H
from fleet.times import to_datetime, to_us

Times = NDArray[np.int64]

_EPOCH_DAY = date(1970, 1, 1)
#: Local time is at most 14 h ahead of UTC and 12 h behind: a local date is within a day of the UTC one.
_AROUND = (-1, 0, 1, 2)


class Granularity(StrEnum):
    """How long a period is."""

    HOUR = "hour"
    DAY = "day"
    MONTH = "month"


@dataclass(frozen=True, slots=True, eq=False)
class LocalDays:
    """The local day of each of n instants, as arrays of shape (n,)."""

    #: Local date, days since 1970-01-01.
    number: Times
    begin_us: Times
    end_us: Times


def local_days(time_us: Times, zone: ZoneInfo) -> LocalDays:
    """Find the local day of each instant (microseconds since 1970 UTC, shape (n,))."""
    numbers = _dates_near(time_us)
    begins = np.array([midnight_us(zone, day) for day in numbers.tolist()], dtype=np.int64)
    # A date that was skipped begins where the next one does, and nothing lies in it.
    at = np.searchsorted(begins, time_us, side="right") - 1
    return LocalDays(numbers[at], begins[at], begins[np.minimum(at + 1, len(begins) - 1)])


def begin_us(time_us: Times, zone: ZoneInfo, granularity: Granularity) -> Times:
    """Give the instant at which each instant's local period begins, shape (n,)."""
    days = local_days(time_us, zone)
    if granularity is Granularity.DAY:
        return days.begin_us
    if granularity is Granularity.MONTH:
        return _month_begin_us(days.number, zone, 0)
    return _hour_begin_us(time_us, days, zone)


def end_us(time_us: Times, zone: ZoneInfo, granularity: Granularity) -> Times:
    """Give the instant at which each instant's local period ends and the next begins, shape (n,)."""
    days = local_days(time_us, zone)
    if granularity is Granularity.DAY:
        return days.end_us
    if granularity is Granularity.MONTH:
        return _month_begin_us(days.number, zone, 1)
    ends = _hour_begin_us(time_us, days, zone) + US_PER_H
    for day, rows in _changing_days(days, zone):
        begins = np.append(_hours_of(zone, day), midnight_us(zone, day + 1))
        ends[rows] = begins[np.searchsorted(begins, time_us[rows], side="right")]
    return ends


@lru_cache(maxsize=1 << 17)
def midnight_us(zone: ZoneInfo, day: int) -> int:
    """Give the first instant of a local date (days since 1970-01-01)."""
    # Where the clock skips midnight the offset before the change leads to the change itself.
    start = datetime.combine(_EPOCH_DAY + timedelta(days=day), datetime.min.time(), tzinfo=zone)
    return to_us(start.astimezone(UTC))


def _dates_near(time_us: Times) -> Times:
    utc = time_us // US_PER_DAY
    # Sorted by meter and time most neighbours share their day: little is left to sort.
    heads = np.unique(utc[np.flatnonzero(np.diff(utc, prepend=utc[:1] - 1))])
    return np.unique(np.concatenate([heads + days for days in _AROUND]))


def _hour_begin_us(time_us: Times, days: LocalDays, zone: ZoneInfo) -> Times:
    begins: Times = time_us - (time_us - days.begin_us) % US_PER_H
    for day, rows in _changing_days(days, zone):
        hours = _hours_of(zone, day)
        begins[rows] = hours[np.searchsorted(hours, time_us[rows], side="right") - 1]
    return begins


def _changing_days(days: LocalDays, zone: ZoneInfo) -> list[tuple[int, NDArray[np.intp]]]:
    """List the days on which the clock is changed, with the rows that lie in them."""
    numbers = np.unique(days.number[np.flatnonzero(np.diff(days.number, prepend=-1 << 40))])
    changing = [day for day in numbers.tolist() if _changes(zone, day)]
    return [(day, np.flatnonzero(days.number == day)) for day in changing]


@lru_cache(maxsize=1 << 17)
def _changes(zone: ZoneInfo, day: int) -> bool:
    begin, end = midnight_us(zone, day), midnight_us(zone, day + 1)
    return end - begin != US_PER_DAY or _offset_us(zone, begin) != _offset_us(zone, end)


@lru_cache(maxsize=1 << 12)
def _hours_of(zone: ZoneInfo, day: int) -> Times:
    """Give the instants at which the hours of a day begin."""
    at, end = midnight_us(zone, day), midnight_us(zone, day + 1)
    begins = []
    while at < end:
        begins.append(at)
        at = _next_hour_us(zone, at)
    return np.array(begins, dtype=np.int64)


def _next_hour_us(zone: ZoneInfo, at_us: int) -> int:
    """Give the next instant with a full hour on the clock or a change of it."""
    offset = _offset_us(zone, at_us)
    before, after = at_us, at_us + US_PER_H - (at_us + offset) % US_PER_H
    if _offset_us(zone, after - 1) == offset:
        return after
    while after - before > 1:
        middle = (before + after) // 2
        before, after = (middle, after) if _offset_us(zone, middle) == offset else (before, middle)
    return after


def _offset_us(zone: ZoneInfo, at_us: int) -> int:
    offset = to_datetime(at_us).astimezone(zone).utcoffset()
    return 0 if offset is None else offset // timedelta(microseconds=1)


def _month_begin_us(number: Times, zone: ZoneInfo, ahead: int) -> Times:
    months, at = np.unique(number.astype("datetime64[D]").astype("datetime64[M]"), return_inverse=True)
    firsts = (months + ahead).astype("datetime64[D]").astype(np.int64)
    begins = np.array([midnight_us(zone, day) for day in firsts.tolist()], dtype=np.int64)
    return begins[at]
