"""Calendar periods: how often something has to happen, as whole months, quarters, half-years, years.

The frequencies are those of a gas group's supervision and assessment code for customer safety:
customers read daily are inspected every month, weekly every quarter, three times a month every
half-year, twice a month every year.
"""

from __future__ import annotations

from datetime import date, timedelta
from types import MappingProxyType
from typing import NamedTuple

from fleet.meters import ReadingClass

#: Months in the period within which one safety inspection has to happen.
MONTHS_BY_CLASS = MappingProxyType(
    {
        ReadingClass.DAILY: 1,
        ReadingClass.WEEKLY: 3,
        ReadingClass.THRICE_MONTHLY: 6,
        ReadingClass.TWICE_MONTHLY: 12,
    }
)

_MONTHS_IN_YEAR = 12


class Period(NamedTuple):
    """A whole calendar period; `end` is its last day."""

    start: date
    end: date


def period_of(day: date, months: int) -> Period:
    """Find the period of 1, 3, 6 or 12 months that a day lies in; periods begin with the year."""
    first_month = (day.month - 1) // months * months + 1
    start = date(day.year, first_month, 1)
    return Period(start, _months_later(start, months) - timedelta(days=1))


def periods(first: date, to: date, months: int) -> list[Period]:
    """List the periods that overlap [first, to), half-open, in order.

    A period counts when it starts before `to` and its last day is not before `first`, so a `to`
    that is itself the first day of a period leaves that period out.
    """
    found = []
    period = period_of(first, months)
    while period.start < to and first < to:
        found.append(period)
        period = period_of(period.end + timedelta(days=1), months)
    return found


def _months_later(start: date, months: int) -> date:
    years, month0 = divmod(start.month - 1 + months, _MONTHS_IN_YEAR)
    return date(start.year + years, month0 + 1, 1)
