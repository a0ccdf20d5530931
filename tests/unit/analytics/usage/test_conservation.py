"""Prepaid balances: what left them against what was measured, and how long they last."""

from __future__ import annotations

import math
from types import MappingProxyType
from typing import Any

import numpy as np
import pytest

from analytics.rollups.hours import hour_rollups
from analytics.rollups.periods import midnight_us
from analytics.usage.calendar import Calendar
from analytics.usage.conservation import Account
from analytics.usage.credit import days_to_zero
from analytics.usage.grid import Grid
from fleet.meter_table import MeterTable
from fleet.policy import Policy
from fleet.readings import ReadingBatch
from tests.unit.analytics.usage.conftest import HOUR_US, MONDAY, ZONE, make_meter

#: 10 m³ a day: one in each of ten hours.
DAY = [0.0] * 8 + [1.0] * 10 + [0.0] * 6
PREPAID = {"prepaid": True, "balance_unit": "m3"}


def balance_of(hours: list[float], price: Any, first: float = 10_000.0) -> np.ndarray:
    """Count a balance down by the price of each hour's gas."""
    return np.round(first - np.concatenate([[0.0], np.cumsum(np.array(hours) * price)]), 6)


def test_a_balance_that_loses_too_little_is_a_mismatch(days_of) -> None:
    hours = DAY * 10
    price = np.where(np.arange(240) < 120, 1.0, 0.8)
    found = days_of(hours, balance=balance_of(hours, price), meter=PREPAID)
    # The week may differ by 2 % and four steps of register (0.01 m³) and balance (0.1 m³).
    # 4 days with use are needed. Two bad days of 7 are fewer than half, though 4 m³ of 70 are lost;
    # on day 8 four of seven are bad: 8 m³ of 70 m³ are lost, above 10 %.
    assert found.flags("balance_mismatch") == "uuu" + "gg" + "ggg" + "FF"
    assert found.episodes("balance_mismatch") == [(5, None, 2, 10.0, 1.84)]


def volumes_beside(register: list[float]) -> list[float]:
    """Give the account's volume of days, m³; readings at 6 and 18 o'clock, and a register of 5 digits."""
    n = len(register)
    time_us = midnight_us(ZONE, MONDAY) + (np.arange(n) * 12 + 6) * HOUR_US
    readings = ReadingBatch.build(
        n,
        meter_key=np.zeros(n),
        device_time_us=time_us,
        received_us=time_us,
        volume_m3=np.array(register),
        balance=np.arange(n, 0, -1.0),
    )
    table = MeterTable.build([make_meter(register_digits=5, **PREPAID)])
    calendar = Calendar.of(ZONE, MONDAY, MONDAY + n // 2 - 1)
    return Account.of(Grid.of(hour_rollups(readings, table, ZONE), table, calendar)).volume_m3[0].tolist()


def test_a_register_that_rolls_over_moved_and_one_that_falls_is_not_known() -> None:
    # An interval belongs to the day in which it begins.
    assert volumes_beside([99_990, 99_998, 3, 10, 11, 12])[:2] == [8 + 5, 7 + 1]
    lost = volumes_beside([59_990, 60_000, 5, 10, 11, 12])
    assert math.isnan(lost[0])
    assert lost[1] == 5 + 1


@pytest.mark.parametrize(("price", "flag"), [(0.91, "S"), (0.89, "F"), (1.09, "S"), (1.11, "F")])
def test_a_tenth_too_little_or_too_much_is_a_failure(days_of, price: float, flag: str) -> None:
    hours = DAY * 8
    found = days_of(hours, balance=balance_of(hours, price), meter=PREPAID)
    assert found.flags("balance_mismatch") == "uuu" + flag * 5


def test_a_week_that_balances_is_good_whatever_was_topped_up(days_of) -> None:
    hours = DAY * 9
    balance = balance_of(hours, 1.0)
    balance[100:] += 500.0
    found = days_of(hours, balance=balance, meter=PREPAID)
    assert set(found.flags("balance_mismatch")) == {"u", "g"}


def test_a_price_is_learned_from_two_weeks_with_use(days_of) -> None:
    hours = DAY * 29
    price = np.where(np.arange(29 * 24) < 24 * 24, 3.6, 2.7)
    found = days_of(hours, balance=balance_of(hours, price), meter={"prepaid": True})
    flags = found.flags("balance_mismatch")
    assert flags[:20] == "u" * 20
    # Never worse than SUSPECT: a new tariff looks the same.
    assert flags[20:] == "gggg" + "ggg" + "SS"


def test_the_policys_price_needs_no_past(days_of) -> None:
    hours = DAY * 6
    found = days_of(
        hours, balance=balance_of(hours, 3.0), meter={"prepaid": True}, policy=Policy(price_per_m3=3.6)
    )
    assert found.flags("balance_mismatch") == "uuu" + "FFF"


TARIFF = Policy(tariff=MappingProxyType({"2026-03-02": (3.0, 3.6, 4.5), "2026-03-10": (3.3, 3.9, 4.8)}))
MONEY = {"prepaid": True, "balance_unit": "CNY"}


def test_a_tariff_has_steps_and_a_first_day(days_of) -> None:
    # A step is reached at noon of the third day, in the middle of the day's gas; the new tariff, with
    # the same step, is valid from the ninth day on; the last day is in the next step.
    hours = DAY * 12
    price = np.repeat([3.0, 3.6, 3.9, 4.8], [60, 132, 72, 24])
    found = days_of(hours, balance=balance_of(hours, price), meter=MONEY, policy=TARIFF)
    assert found.flags("balance_mismatch") == "uuu" + "g" * 9


@pytest.mark.parametrize(
    ("price", "flag"), [(3.3, "S"), (2.85, "S"), (2.6, "F"), (5.1, "F"), (3.48, "S"), (3.55, "g")]
)
def test_a_price_between_the_steps_is_a_mismatch(days_of, price: float, flag: str) -> None:
    # 3.30 is 10 % above the first step, and 8.3 % below the second one, which is the nearer.
    hours = DAY * 8
    found = days_of(hours, balance=balance_of(hours, price), meter=MONEY, policy=TARIFF)
    assert found.flags("balance_mismatch") == "uuu" + flag * 5


def test_before_its_first_tariff_a_price_may_be_stated(days_of) -> None:
    hours = DAY * 12
    price = np.repeat([2.5, 3.3], [8 * 24, 4 * 24])
    late = MappingProxyType({"2026-03-10": (3.3, 3.9)})
    balance = balance_of(hours, price)
    found = days_of(hours, balance=balance, meter=MONEY, policy=Policy(price_per_m3=2.5, tariff=late))
    assert found.flags("balance_mismatch") == "uuu" + "g" * 9
    # What was before costs nobody knows what.
    found = days_of(hours, balance=balance, meter=MONEY, policy=Policy(tariff=late))
    assert found.flags("balance_mismatch") == "u" * 11 + "g"


def test_a_balance_in_gas_has_no_tariff(days_of) -> None:
    hours = DAY * 6
    found = days_of(hours, balance=balance_of(hours, 1.0), meter=PREPAID, policy=TARIFF)
    assert found.flags("balance_mismatch") == "uuu" + "ggg"


def test_a_settled_balance_has_steps_too(days_of) -> None:
    # Charged at midnight for the day before; by the day the loss fits no step.
    days = [4.0, 10.0, 16.0, 7.0, 12.0, 5.0, 14.0] * 4
    hours = [v / 10 if 8 <= at < 18 else 0.0 for v in days for at in range(24)]
    at_midnight = np.repeat(np.concatenate([[0.0], np.cumsum(days)[:-1]]), 24)
    step = np.repeat([3.0, 3.6], [12 * 24, 16 * 24])
    lost = np.concatenate([[0.0], np.cumsum(np.diff(at_midnight, prepend=0.0) * step)])
    for factor, flag in ((1.0, {"g"}), (2.0, {"F"})):
        balance = np.round(10_000.0 - lost * factor, 6)
        found = days_of(hours, balance=balance, meter=MONEY, policy=TARIFF_OF_2026)
        assert set(found.flags("balance_mismatch")[10:]) <= flag, factor


TARIFF_OF_2026 = Policy(tariff=MappingProxyType({"2026-01-01": (3.0, 3.6)}))


def test_a_balance_in_coarse_steps_is_not_taken_for_a_loss(days_of) -> None:
    hours = DAY * 10
    balance = np.floor(balance_of(hours, 0.36))
    found = days_of(hours, balance=balance, meter={"prepaid": True}, policy=Policy(price_per_m3=0.36))
    assert "S" not in found.flags("balance_mismatch")


def test_a_corrected_meter_may_be_charged_by_either_register(days_of) -> None:
    hours = DAY * 10
    standard = np.round(5000.0 + np.concatenate([[0.0], np.cumsum(hours)]) * 1.05, 6)
    for price in (1.0, 1.05):
        found = days_of(hours, std_volume_m3=standard, balance=balance_of(hours, price), meter=PREPAID)
        assert found.flags("balance_mismatch") == "uuu" + "g" * 7
        found = days_of(
            hours,
            std_volume_m3=standard,
            balance=balance_of(hours, 3.6 * price),
            meter={"prepaid": True},
            policy=Policy(price_per_m3=3.6),
        )
        assert found.flags("balance_mismatch") == "uuu" + "g" * 7


def test_a_week_that_fits_neither_register_is_held_against_the_nearer_one(days_of) -> None:
    hours = DAY * 7
    standard = np.round(5000.0 + np.concatenate([[0.0], np.cumsum(hours)]) * 1.05, 6)
    found = days_of(hours, std_volume_m3=standard, balance=balance_of(hours, 1.2), meter=PREPAID)
    # 84 m³ were charged; 70 m³ by the working register are 14 less, 73.5 m³ by the standard one 10.5 less.
    # The limit, of the first four days: 2 % of 42 m³ and four steps of 0.01 and 0.1 m³.
    assert found.flags("balance_mismatch") == "uuu" + "FFFF"
    assert found.episodes("balance_mismatch") == [(0, None, 4, 10.5, 1.28)]


def test_from_one_register_to_the_other_nothing_is_measured(days_of) -> None:
    hours = DAY * 7
    working = 1000.0 + np.concatenate([[0.0], np.cumsum(hours)])
    standard = 5000.0 + working
    working[85:] = np.nan
    found = days_of(
        hours, volume_m3=working, std_volume_m3=standard, balance=balance_of(hours, 1.0), meter=PREPAID
    )
    # On day 3 the working register goes missing, 5,000 m³ below the standard one.
    assert found.flags("balance_mismatch") == "uuuu" + "ggg"


def test_who_does_not_prepay_is_missing(days_of) -> None:
    found = days_of(DAY * 6)
    assert set(found.flags("balance_mismatch") + found.flags("balance_forecast")) == {"-"}


#: 10, 12, 8, 13 and 7 m³ from Monday to Friday, and nothing at weekends.
WEEK = [v * d for d in (1.0, 1.2, 0.8, 1.3, 0.7) for v in DAY] + [0.0] * 48


def settled_at_three(hours: list[float], price: float = 1.0) -> np.ndarray:
    """Take at 03:00 what was used until then."""
    every = balance_of(hours, price)
    at = np.arange(len(every))
    return every[np.maximum((at - 3) // 24 * 24 + 3, 0)]


@pytest.mark.parametrize("meter", [PREPAID, {"prepaid": True}])
def test_a_balance_settled_at_three_is_behind_by_a_day(days_of, meter) -> None:
    hours = WEEK * 6
    found = days_of(hours, balance=settled_at_three(hours), meter=meter)
    # What a Friday used is settled on Saturday, and on Monday there is nothing to settle.
    flags = found.flags("balance_mismatch")
    assert set(flags[4:]) <= {"u", "g"}
    assert flags[35:] == "g" * 7


def test_a_settled_balance_that_loses_more_than_a_days_share_is_a_mismatch(days_of) -> None:
    hours = WEEK * 3
    found = days_of(hours, balance=settled_at_three(hours, 1.5), meter=PREPAID)
    # Of 50 m³, 75 are charged. What may differ: 1 m³, four steps of 0.11 and the largest day, 13 m³.
    assert found.flags("balance_mismatch")[14:] == "FFFFFFF"
    # At 20 % more a week is 10 m³ off, which is less than that day.
    found = days_of(hours, balance=settled_at_three(hours, 1.2), meter=PREPAID)
    assert set(found.flags("balance_mismatch")[7:]) == {"g"}


def test_days_to_zero_by_the_pattern_of_the_week(days_of) -> None:
    week = DAY * 5 + [0.0] * 48
    hours = week * 2 + DAY * 3
    found = days_of(hours, balance=balance_of(hours, 1.0, first=160.0), meter=PREPAID)
    # Two weeks are known after day 13, a Sunday, with 60 left: five working days, a weekend, one day.
    # On Monday 50 are left for four days, a weekend and a Monday, and so on: never counting the weekend
    # as working days.
    assert found.flags("balance_forecast") == "u" * 13 + "g" + "SSS"
    assert found.episodes("balance_forecast") == [(14, None, 3, 5.0, 7.0)]


def test_three_days_left_are_a_failure(days_of) -> None:
    hours = DAY * 18
    found = days_of(hours, balance=balance_of(hours, 1.0, first=200.0), meter=PREPAID)
    # 60, 50, 40, 30 and 20 m³ are left, at 10 m³ a day.
    assert found.flags("balance_forecast")[13:] == "SSSFF"


@pytest.mark.parametrize(
    ("balance", "days"), [(0.0, 0.0), (5.0, 0.5), (10.0, 1.0), (50.0, 5.0), (55.0, 7.5), (100.0, 12.0)]
)
def test_a_balance_is_spent_day_by_day(balance: float, days: float) -> None:
    pattern = np.array([[10.0] * 5 + [0.0, 0.0]])
    assert days_to_zero(np.array([balance]), pattern)[0] == pytest.approx(days)


def test_who_spends_nothing_has_no_last_day() -> None:
    assert np.isnan(days_to_zero(np.array([5.0]), np.zeros((1, 7)))[0])
