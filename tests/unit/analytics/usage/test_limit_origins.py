"""Each finding of a slow check says whose limit it broke."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from analytics.usage.evaluate import SLOW_CHECKS
from fleet.policies import Origin, Policies

USUAL = [0.0] * 8 + [40.0] * 14 + [0.0] * 2
TOO_MUCH = [0.0] * 8 + [40.0] * 10 + [130.0] * 4 + [0.0] * 2
KITCHEN = [0.0] * 8 + [5.0] * 14 + [0.0] * 2
AROUND_THE_CLOCK = [1.0] * 8 + [6.0] * 14 + [1.0] * 2
BUSY_NIGHTS = [3.0] * 8 + [6.0] * 14 + [3.0] * 2
PREPAID = {"prepaid": True, "balance_unit": "m3"}
TEN_HOURS = [0.0] * 8 + [1.0] * 10 + [0.0] * 6


def falling(volumes: list[float], first: float, price: float | list[float]) -> list[float]:
    """A balance that each hour's gas is taken from."""
    return (first - np.concatenate([[0.0], np.cumsum(np.array(volumes) * price)])).round(6).tolist()


def corrected(volumes: list[float], factor: float) -> dict[str, list[float]]:
    """Gas of 20 Cel and three times the base pressure, with a standard register by some factor."""
    n = len(volumes) + 1
    standard = (5000.0 + np.concatenate([[0.0], np.cumsum(np.array(volumes) * factor)])).round(6).tolist()
    return {"std_volume_m3": standard, "temperature_c": [20.0] * n, "pressure_kpa": [303.975] * n}


#: Check -> the company's word on its limit, what is special about the meter, volumes of hours, columns.
CASES: dict[str, tuple[dict[str, Any], dict[str, Any], list[float], dict[str, list[float]]]] = {
    "small_continuous_flow": (
        {"leak_share_of_qmax": 0.03},
        {},
        KITCHEN * 12 + [hour + 0.5 for hour in KITCHEN] * 4,
        {},
    ),
    "night_flow": ({"night_flow_deviations": 3.0}, {}, AROUND_THE_CLOCK * 21 + BUSY_NIGHTS * 6, {}),
    "usage_shift": (
        {"shift_ratio": 1.9},
        {},
        AROUND_THE_CLOCK * 35 + [3 * hour for hour in AROUND_THE_CLOCK] * 7,
        {},
    ),
    "meter_oversized": ({"oversized_share_of_qmax": 0.12}, {}, KITCHEN * 22, {}),
    "meter_undersized": ({"undersized_volume_share": 0.09}, {}, USUAL * 11 + TOO_MUCH * 6, {}),
    "balance_mismatch": (
        {"balance_mismatch_share": 0.03},
        PREPAID,
        TEN_HOURS * 10,
        {"balance": falling(TEN_HOURS * 10, 10_000.0, [1.0] * 120 + [0.8] * 120)},
    ),
    "balance_forecast": (
        {"balance_forecast_days": 6.0},
        PREPAID,
        TEN_HOURS * 17,
        {"balance": falling(TEN_HOURS * 17, 200.0, 1.0)},
    ),
    "correction_mismatch": ({"correction_mismatch_share": 0.04}, {}, USUAL * 6, corrected(USUAL * 6, 2.6)),
    "low_reception": ({"reception_share": 0.7}, {}, [1.0] * 34 + [math.nan] * 14 + [1.0] * 24, {}),
    "battery_forecast": (
        {"battery_forecast_days": 80.0},
        {"battery_type": "alkaline_6v"},
        [1.0] * 24 * 60,
        {"battery_v": (5.705 - 0.01 * (np.arange(60 * 24 + 1) // 24)).tolist()},
    ),
}


@pytest.fixture
def origins(days_of):
    """Say whose limits a check's findings broke, under some layers of policies."""

    def run(code: str, **layers: Any) -> set[int]:
        _said, fields, volumes, columns = CASES[code]
        given = {name: np.array(values) for name, values in columns.items()}
        return days_of(volumes, meter=fields, policies=Policies(**layers), **given).origins(code)

    return run


def test_every_slow_check_has_its_case() -> None:
    assert set(CASES) == set(SLOW_CHECKS)


@pytest.mark.parametrize("code", CASES)
def test_a_limit_that_nobody_set_is_the_default(origins, code: str) -> None:
    assert origins(code) == {Origin.DEFAULT}


@pytest.mark.parametrize("code", CASES)
def test_the_nearest_word_is_named(origins, code: str) -> None:
    said = CASES[code][0]
    layers = {"companies": {"c1": said}, "models": {"roots": said}, "meters": {"m1": said}}
    assert origins(code, companies=layers["companies"]) == {Origin.COMPANY}
    assert origins(code, companies=layers["companies"], models=layers["models"]) == {Origin.MODEL}
    assert origins(code, **layers) == {Origin.METER}
