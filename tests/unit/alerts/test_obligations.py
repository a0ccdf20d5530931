"""Obligations from the registry: which customers, which periods."""

from __future__ import annotations

from collections import Counter
from datetime import date

import pytest

from alerts.inspections.obligations import customers, obligations
from alerts.inspections.periods import Period, period_of, periods
from alerts.inspections.tasks import VISIT_WITHIN_DAYS, due_on
from fleet.checks import Severity, TaskKind
from fleet.meters import ReadingClass

YEAR = (date(2026, 1, 1), date(2027, 1, 1))


def inspections(meters, first, to):
    found = obligations(meters, first, to)
    return [(o.customer, o.period_start, o.period_end) for o in found if o.kind is TaskKind.SAFETY_INSPECTION]


@pytest.mark.parametrize(
    ("months", "day", "start", "end"),
    [
        (1, date(2024, 2, 10), date(2024, 2, 1), date(2024, 2, 29)),
        (1, date(2026, 12, 31), date(2026, 12, 1), date(2026, 12, 31)),
        (3, date(2026, 5, 31), date(2026, 4, 1), date(2026, 6, 30)),
        (6, date(2026, 7, 1), date(2026, 7, 1), date(2026, 12, 31)),
        (12, date(2026, 7, 1), date(2026, 1, 1), date(2026, 12, 31)),
    ],
)
def test_a_day_lies_in_its_calendar_period(months, day, start, end):
    assert period_of(day, months) == Period(start, end)


@pytest.mark.parametrize(
    ("sentence", "first", "to", "starts"),
    [
        ("The first day of a period as end leaves it out.", date(2026, 1, 1), date(2026, 3, 1), [1, 2]),
        ("Its second day takes it in.", date(2026, 1, 1), date(2026, 3, 2), [1, 2, 3]),
        ("The last day of a period as beginning takes it in.", date(2026, 1, 31), date(2026, 2, 1), [1]),
        ("One day is enough.", date(2026, 2, 14), date(2026, 2, 15), [2]),
        ("An empty range has no periods.", date(2026, 2, 14), date(2026, 2, 14), []),
    ],
)
def test_a_period_counts_when_it_overlaps_the_half_open_range(sentence, first, to, starts):
    assert [period.start.month for period in periods(first, to, 1)] == starts, sentence


@pytest.mark.parametrize(
    ("reading_class", "a_year"),
    [("daily", 12), ("weekly", 4), ("thrice_monthly", 2), ("twice_monthly", 1)],
)
def test_the_reading_class_decides_how_often_a_customer_is_inspected(reading_class, a_year, make_meter):
    found = obligations([make_meter(reading_class=ReadingClass(reading_class))], *YEAR)
    assert Counter(item.kind for item in found) == {
        TaskKind.SAFETY_INSPECTION: a_year,
        TaskKind.READING_RECHECK: 12,
        TaskKind.RECORD_CHECK: 12,
    }
    assert {item.reading_class for item in found} == {reading_class}


def test_the_most_frequent_inspection_wins_among_a_customers_meters(make_meter):
    meters = [
        make_meter("M1", customer="Hotel", reading_class=ReadingClass.TWICE_MONTHLY),
        make_meter("M2", customer="Hotel", reading_class=ReadingClass.WEEKLY),
    ]
    assert len(inspections(meters, *YEAR)) == 4
    assert len(inspections(meters[::-1], *YEAR)) == 4


def test_one_name_in_two_companies_is_two_customers(make_meter):
    meters = [make_meter("M1", customer="Hotel"), make_meter("M2", customer="Hotel", company="south")]
    assert len(inspections(meters, *YEAR)) == 24


def test_a_residential_customer_owes_nothing_and_is_counted(make_meter):
    meters = [
        make_meter("M1", customer="Home", customer_kind="residential"),
        make_meter("M2", customer="Home", customer_kind="residential"),
        make_meter("M3", customer="Shop with a flat", customer_kind="residential", reading_class="daily"),
        make_meter("M4", customer="Shop with a flat", reading_class="weekly"),
    ]
    found = customers(meters)
    assert (len(found.owing), found.residential) == (1, 1)
    assert {o.reading_class for o in obligations(meters, *YEAR)} == {"weekly"}


@pytest.mark.parametrize(
    ("sentence", "installed_on", "first_month"),
    [
        ("Before the range: every period.", date(2020, 5, 5), 1),
        ("Unknown: every period.", None, 1),
        ("On a period's last day: that period.", date(2026, 3, 31), 3),
        ("On a period's first day: that period.", date(2026, 4, 1), 4),
        ("After the range: none.", date(2027, 1, 1), None),
    ],
)
def test_a_customer_owes_the_period_of_its_first_installation_and_later_ones(
    sentence, installed_on, first_month, make_meter
):
    found = inspections([make_meter(installed_on=installed_on)], *YEAR)
    assert [start.month for _, start, _ in found] == (
        [] if first_month is None else list(range(first_month, 13))
    ), sentence


def test_the_first_installed_meter_counts_for_the_customer(make_meter):
    meters = [
        make_meter("M1", customer="Hotel", installed_on=date(2026, 11, 1)),
        make_meter("M2", customer="Hotel", installed_on=date(2026, 12, 1)),
    ]
    assert len(inspections(meters, *YEAR)) == 2
    assert len(inspections([*meters, make_meter("M3", customer="Hotel")], *YEAR)) == 12


def test_a_meter_installed_within_a_quarter_owes_the_quarter_but_no_month_before(make_meter):
    found = obligations(
        [make_meter(reading_class=ReadingClass.WEEKLY, installed_on=date(2026, 2, 15))],
        date(2026, 1, 1),
        date(2026, 4, 1),
    )
    assert [(o.kind, o.period_start.month) for o in found] == [
        ("reading_recheck", 2),
        ("reading_recheck", 3),
        ("record_check", 2),
        ("record_check", 3),
        ("safety_inspection", 1),
    ]


def test_due_days_are_weekdays_within_what_is_left_and_spread(make_meter):
    found = obligations([make_meter(f"M{i}") for i in range(100)], date(2026, 11, 1), date(2026, 12, 1))
    days = [due_on(item, date(2026, 11, 9)) for item in found]
    assert all(date(2026, 11, 9) <= day <= date(2026, 11, 30) and day.weekday() < 5 for day in days)
    assert len(set(days)) == 16
    assert days == [due_on(item, date(2026, 11, 9)) for item in found]


def test_where_only_a_weekend_is_left_the_last_day_has_to_do(make_meter):
    [item] = [
        o
        for o in obligations([make_meter()], date(2026, 1, 1), date(2026, 1, 2))
        if o.kind is TaskKind.RECORD_CHECK
    ]
    assert due_on(item, date(2026, 1, 31)) == date(2026, 1, 31)


def test_the_more_severe_an_alarm_the_sooner_its_visit():
    assert [VISIT_WITHIN_DAYS[severity] for severity in Severity] == [0, 3, 14, 30]
