"""Periods tile the calendar: no day is left out, no day lies in two."""

from __future__ import annotations

from datetime import date, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alerts.inspections.periods import MONTHS_BY_CLASS, period_of, periods

days = st.dates(date(1970, 1, 1), date(2199, 12, 31))
lengths = st.sampled_from(sorted(MONTHS_BY_CLASS.values()))


@pytest.mark.parametrize("months", sorted(MONTHS_BY_CLASS.values()))
@pytest.mark.parametrize("year", [2023, 2024, 2100])
def test_the_periods_of_a_year_tile_it(months, year):
    found = periods(date(year, 1, 1), date(year + 1, 1, 1), months)
    assert (found[0].start, found[-1].end) == (date(year, 1, 1), date(year, 12, 31))
    assert all(one.end + timedelta(days=1) == next_one.start for one, next_one in pairwise(found))


@given(day=days, months=lengths)
def test_every_day_lies_in_its_period_and_every_day_of_that_period_has_the_same(day, months):
    period = period_of(day, months)
    assert period.start <= day <= period.end
    assert period_of(period.start, months) == period_of(period.end, months) == period


@given(first=days, length=st.integers(1, 800), months=lengths)
def test_the_periods_of_a_range_cover_it_without_gap_or_overlap(first, length, months):
    to = first + timedelta(days=length)
    found = periods(first, to, months)
    assert found[0].start <= first <= found[0].end
    assert found[-1].start < to <= found[-1].end + timedelta(days=1)
    assert all(one.end + timedelta(days=1) == next_one.start for one, next_one in pairwise(found))


@given(first=days, length=st.integers(2, 800), cut=st.integers(1, 799), months=lengths)
def test_cutting_a_range_loses_no_period(first, length, cut, months):
    middle, to = first + timedelta(days=min(cut, length - 1)), first + timedelta(days=length)
    whole = periods(first, to, months)
    assert sorted({*periods(first, middle, months), *periods(middle, to, months)}) == whole
