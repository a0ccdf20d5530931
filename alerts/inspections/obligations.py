"""Obligations: what has to happen at which customer, computed from the registry alone.

The rules:

- One obligation per customer (of a company), kind and calendar period. Kinds are the safety
  inspection, at the frequency of the customer's reading class, and the reading recheck and the
  record check, both monthly for every customer.
- The rules are for commercial, industrial and public-welfare customers. A residential meter
  makes no obligation; a customer with none but residential meters is left out and counted.
- A customer with meters of several reading classes goes by the most frequent inspection.
- A period counts when it overlaps [first, to), half-open; it is always a whole one, and its last
  day belongs to it.
- A customer owes a period in whose course the first of its meters was installed, and every later
  one, but none that ended before. Where one of its meters has no date, it owes every period.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from typing import NamedTuple

from alerts.inspections.periods import MONTHS_BY_CLASS, periods
from fleet.checks import TaskKind
from fleet.meters import CustomerKind, Meter, ReadingClass

#: Kinds that are due every month at every customer.
_MONTHLY = (TaskKind.READING_RECHECK, TaskKind.RECORD_CHECK)


class Due(NamedTuple):
    """What is due in one period; fields in the order of the command's columns."""

    kind: TaskKind
    reading_class: ReadingClass
    period_start: date
    period_end: date


class Obligation(NamedTuple):
    """What is due in one period at one customer."""

    company: str
    customer: str
    kind: TaskKind
    reading_class: ReadingClass
    period_start: date
    period_end: date


class Customer(NamedTuple):
    """A customer as the obligations see it."""

    name: str
    company: str
    reading_class: ReadingClass
    #: When its first meter was installed; None where the registry does not say so of all.
    installed_on: date | None


@dataclass(frozen=True, slots=True)
class Customers:
    """Customers that owe, sorted by name and company, and how many are residential."""

    owing: list[Customer]
    residential: int


def customers(meters: Iterable[Meter]) -> Customers:
    """Gather the registry's meters by customer."""
    owing: dict[tuple[str, str], Customer] = {}
    residential: set[tuple[str, str]] = set()
    for meter in meters:
        key = (meter.customer, meter.company)
        if meter.customer_kind == CustomerKind.RESIDENTIAL:
            residential.add(key)
            continue
        one = Customer(*key, meter.reading_class, meter.installed_on)
        other = owing.get(key)
        owing[key] = one if other is None else _join(one, other)
    return Customers(sorted(owing.values(), key=lambda c: c[:2]), len(residential - owing.keys()))


def obligations(meters: Sequence[Meter], first: date, last: date) -> list[Obligation]:
    """List what has to happen in [first, last), half-open, sorted as the command prints it.

    The columns' order decides: customer, kind, reading class, period; then the company.
    """
    found = owed(customers(meters).owing, first, last)
    return sorted(found, key=lambda o: (o.customer, o.kind, o.reading_class, o.period_start, o.company))


def owed(owing: Iterable[Customer], first: date, to: date) -> Iterator[Obligation]:
    """Yield the obligations of each customer in turn."""
    for customer in owing:
        for due in dues(customer, first, to):
            yield Obligation(customer.company, customer.name, *due)


def dues(customer: Customer, first: date, to: date) -> tuple[Due, ...]:
    """List what one customer owes in [first, to), sorted by kind and period."""
    installed = customer.installed_on
    # Periods end with a month, so every day of a month of installation gives the same answer,
    # and so does every day before the first period: few answers serve any number of customers.
    since = first if installed is None else max(installed, first)
    return _dues(customer.reading_class, since.replace(day=1), first, to)


@lru_cache(maxsize=4096)
def _dues(reading_class: ReadingClass, since: date, first: date, to: date) -> tuple[Due, ...]:
    months = {TaskKind.SAFETY_INSPECTION: MONTHS_BY_CLASS[reading_class], **dict.fromkeys(_MONTHLY, 1)}
    return tuple(
        Due(kind, reading_class, *period)
        for kind in sorted(months)
        for period in periods(first, to, months[kind])
        if period.end >= since
    )


def _join(one: Customer, other: Customer) -> Customer:
    """Join two meters of a customer: the most frequent inspection, the first installation."""
    reading_class = min(one.reading_class, other.reading_class, key=MONTHS_BY_CLASS.__getitem__)
    dates = (one.installed_on, other.installed_on)
    installed = None if None in dates else min(day for day in dates if day is not None)
    return one._replace(reading_class=reading_class, installed_on=installed)
