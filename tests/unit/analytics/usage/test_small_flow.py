"""Small continuous flow: a leak fills the hours at which a customer used to rest."""

from __future__ import annotations

import math
from datetime import date

import numpy as np
import pytest

from fleet.policy import Policy

CODE = "small_continuous_flow"
#: A kitchen: at rest from 22 to 8, 5 m³ an hour otherwise.
USUAL = [0.0] * 8 + [5.0] * 14 + [0.0] * 2
#: The same with 0.5 m³/h leaking all day.
LEAKING = [hour + 0.5 for hour in USUAL]


def test_three_days_without_rest_at_a_small_constant_flow_are_a_leak(days_of) -> None:
    found = days_of(USUAL * 12 + LEAKING * 4 + USUAL)
    # Rest at the beginning of day 0 to 11; day 12 is the first without, day 14 the third.
    assert found.flags(CODE) == "g" * 14 + "SS" + "g"
    # Small is below 0.02 Qmax = 2 m³/h.
    assert found.episodes(CODE) == [(12, 16, 2, 0.5, 2.0)]
    assert found.found >= {CODE}


def test_after_a_week_it_is_fail_and_stays_open(days_of) -> None:
    found = days_of(USUAL * 12 + LEAKING * 9)
    assert found.flags(CODE) == "g" * 14 + "SSSS" + "FFF"
    assert found.episodes(CODE) == [(12, None, 7, 0.5, 2.0)]


def test_what_a_pilot_flame_may_burn_is_never_fail(days_of) -> None:
    lit = [hour + 0.2 for hour in USUAL]
    found = days_of(USUAL * 12 + lit * 9)
    assert found.flags(CODE) == "g" * 14 + "S" * 7
    assert found.episodes(CODE) == [(12, None, 7, 0.2, 2.0)]
    strict = days_of(USUAL * 12 + lit * 9, policy=Policy(leak_fail_m3h=0, leak_fail_days=3))
    assert strict.flags(CODE) == "g" * 14 + "F" * 7


def test_a_customer_that_never_rested_is_undecided(days_of) -> None:
    found = days_of(LEAKING * 20)
    assert set(found.flags(CODE)) == {"u"}
    assert found.episodes(CODE) == []


def test_nine_days_of_rest_are_too_short_a_past(days_of) -> None:
    assert days_of(USUAL * 9 + LEAKING * 4).flags(CODE) == "g" * 11 + "uu"


def test_work_around_the_clock_is_no_leak(days_of) -> None:
    at_work = [3.0] * 24
    assert days_of(USUAL * 12 + at_work * 5).flags(CODE) == "g" * 17


def test_heating_that_comes_and_goes_at_night_is_no_leak(days_of) -> None:
    heating = [0.3, 1.9, 0.9, 0.4, 1.8, 0.3, 1.6, 0.9] + [5.0] * 14 + [1.7, 1.2]
    assert days_of(USUAL * 12 + heating * 6).flags(CODE) == "g" * 18


def test_weekends_of_rest_only_are_undecided(days_of) -> None:
    week = [4.0] * 24 * 5 + [0.0] * 24 * 2
    flags = days_of(week * 3 + LEAKING * 4).flags(CODE)
    assert flags[-2:] == "uu"


def test_a_coarse_register_is_given_longer_windows(days_of) -> None:
    # 1 m³ steps, and a leak of 0.25 m³/h: the register moves in every fourth hour only.
    leak = [1.0 if hour % 4 == 0 else 0.0 for hour in range(24)]
    leaking = [a + b for a, b in zip(USUAL, leak, strict=True)]
    found = days_of(USUAL * 12 + leaking * 4, meter={"register_step": 1.0})
    assert found.flags(CODE) == "g" * 14 + "SS"


@pytest.mark.parametrize("lost", [3, 12])
def test_a_gap_without_any_rest_decides_nothing(days_of, lost: int) -> None:
    gap = LEAKING[:12] + [math.nan] * lost + LEAKING[12 + lost :]
    flags = days_of(USUAL * 12 + LEAKING * 2 + gap + LEAKING * 4).flags(CODE)
    # A short gap leaves enough windows; after a long one three new days are needed.
    assert flags[14:] == ("SSSSF" if lost == 3 else "uuuSS")


def test_what_an_earlier_meter_did_is_no_history(days_of) -> None:
    found = days_of(USUAL * 12 + LEAKING * 8, meter={"installed_on": date(2026, 3, 14)})
    assert found.flags(CODE)[12:] == "u" * 8


def test_a_roll_over_is_movement(days_of) -> None:
    hours = USUAL * 12 + LEAKING * 4
    register = (9_000.0 + np.concatenate([[0.0], np.cumsum(hours)])) % 10_000
    found = days_of(hours, volume_m3=np.round(register, 6), meter={"register_digits": 4})
    assert found.flags(CODE) == "g" * 14 + "SS"


def test_without_qmax_and_qmin_nothing_is_small(days_of) -> None:
    found = days_of(USUAL * 12 + LEAKING * 4, meter={"qmax": None, "qmin": None})
    assert found.flags(CODE)[-2:] == "uu"
