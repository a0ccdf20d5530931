"""Each finding says whose limit it broke: set exactly that limit for a company, and it is the company's."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from analytics.history import evaluate_history
from analytics.usage.evaluate import SLOW_CHECKS
from fleet.checks import BY_CODE, CATALOGUE
from fleet.meter_table import MeterTable, nearest
from fleet.meters import Meter
from fleet.policies import Origin, Policies
from fleet.readings import ReadingBatch
from fleet.wire import VALVES

#: 2023-11-14 22:00 UTC.
START_US = 1_699_999_200_000_000
HOUR_US = 3_600_000_000

HOURLY = {"volume_m3": [100.0, 110, 120, 130, 140, 150]}
ROOTS = {"technology": "roots", "g_size": "G65"}

#: Check -> the company's word on its limit, what is special about the meter, readings an hour apart.
BY_POLICY: dict[str, tuple[dict[str, Any], dict[str, Any], dict[str, list[float]]]] = {
    "sensor_glitch": ({"glitch_temperature_k": 5}, {}, {"temperature_c": [10.0, 10, 40, 10, 10]}),
    "register_reversed": ({"register_step_m3": 0.5}, {}, {"volume_m3": [100.0, 110, 50, 52, 54]}),
    "flow_spike": ({"spike_ratio": 0.9}, {}, {"flow_m3h": [20.0, 20, 250, 20, 20]}),
    "flow_rate_of_change": ({"rate_qmax_per_s": 0.0001}, {}, {"flow_m3h": [20.0, 20, 90, 90]}),
    "flow_stuck": (
        {"stuck_for_s": 5 * 3600, "stuck_chance": 0.02},
        {},
        {"flow_m3h": [40.0, *[42.5] * 9, 0, 41], "volume_m3": [20.0 * hour for hour in range(12)]},
    ),
    "register_jump": ({"implausible_ratio": 9}, {}, {"volume_m3": [100.0, 110, 9000, 9010, 9020]}),
    "meter_exchanged": (
        {"exchange_gap_s": 6 * 86400},
        {},
        {"volume_m3": [5000.0, 5010, *[np.nan] * 168, 3, 9, 15]},
    ),
    "register_stalled": (
        {"stalled_steps": 1.5},
        {},
        {"volume_m3": [100.0] * 5, "flow_m3h": [20.0] * 5},
    ),
    "idle_or_stuck": ({"idle_after_s": 7200}, {}, {"volume_m3": [100.0] * 5}),
    "balance_low": (
        {"low_balance": {"CNY": 300}},
        {"prepaid": True, "balance_unit": "CNY"},
        {"balance": [150.0] * 3},
    ),
    "battery_low": (
        {"battery": {"lithium_3v6": {"warn_v": 3.35}}},
        {"battery_type": "lithium_3v6"},
        {"battery_v": [3.2, 3.2, 3.2]},
    ),
    "battery_critical": (
        {"battery": {"lithium_3v6": {"critical_v": 3.25}}},
        {"battery_type": "lithium_3v6"},
        {"battery_v": [3.2, 3.2, 3.2]},
    ),
    "balance_frozen": (
        {"balance_frozen_for_s": 7200, "balance_frozen_steps": 5},
        {"prepaid": True, "balance_unit": "CNY"},
        {"balance": [150.0] * 6, "volume_m3": [100.0, 110, 120, 130, 140, 150]},
    ),
    "battery_overdue": (
        {"battery": {"lithium_3v6": {"life_days": 100}}},
        {"battery_type": "lithium_3v6", "installed_on": "2015-01-01"},
        HOURLY,
    ),
    "oil_due_soon": (
        {"oil_due_soon_ratio": 0.5, "oil_interval_days": 16},
        {"oil_filled_on": "2023-11-01"},
        HOURLY,
    ),
    "oil_overdue": ({"oil_interval_days": 9}, {"oil_filled_on": "2023-01-01"}, HOURLY),
    "meter_silent": (
        {"silent_after_intervals": 2},
        {},
        {"volume_m3": [100.0, np.nan, np.nan, np.nan, np.nan, 101.0]},
    ),
    "flow_with_valve_closed": (
        {"creep_share_of_qmax": 0.0001},
        {},
        {"flow_m3h": [5.0] * 4, "valve": [float(VALVES.index("closed"))] * 4},
    ),
    "flow_without_balance": (
        {"creep_share_of_qmax": 0.0001},
        {"prepaid": True},
        {"flow_m3h": [5.0] * 4, "balance": [0.0] * 4},
    ),
}

#: What no company can say: the rated range is the meter's, or its model's.
BY_METER: dict[str, tuple[dict[str, Any], dict[str, list[float]]]] = {
    "flow_over_range": ({"qmax": 90}, {"flow_m3h": [130.0] * 3}),
    "flow_over_range_sustained": ({"qmax": 90}, {"volume_m3": [100.0, 210, 320, 430]}),
    "flow_under_range": ({"qmin": 3}, {"flow_m3h": [1.0] * 5}),
}
#: What has no limit that anybody could set.
WITHOUT = {
    "dropout_frame",
    "balance_exhausted",
    "status_reported",
}
#: Decided where the database is: tests/integration/alerts/test_policies.py. The slow checks have their
#: cases in usage/test_limit_origins.py.
ELSEWHERE = {"data_gap", "clock_skew"}


def origins(code: str, fields: dict[str, Any], columns: dict[str, list[float]], **policies: Any) -> set[int]:
    row = {
        "meter_id": "m1",
        "company": "north",
        "customer": "Bakery",
        "customer_kind": "commercial",
        "reading_class": "daily",
        **ROOTS,
        **{
            name: np.datetime64(value).item() if name.endswith("_on") else value
            for name, value in fields.items()
        },
    }
    table = MeterTable.build([Meter(**row)], policies=Policies(**policies))
    first = np.array(next(iter(columns.values())))
    heard = np.flatnonzero(~np.isnan(first))
    times = START_US + heard * HOUR_US
    batch = ReadingBatch.build(
        len(heard),
        meter_key=np.zeros(len(heard)),
        device_time_us=times,
        received_us=times,
        seq=heard,
        **{name: np.array(values)[heard] for name, values in columns.items()},
    )
    found = evaluate_history(batch, table).episodes
    return set(found.origin[found.check == BY_CODE[code].number].tolist())


def test_every_check_has_its_case():
    assert {spec.code for spec in CATALOGUE} == {*BY_POLICY, *BY_METER, *WITHOUT, *ELSEWHERE, *SLOW_CHECKS}


@pytest.mark.parametrize("code", BY_POLICY)
def test_a_limit_that_a_company_sets_is_said_to_be_the_companys(code):
    said, fields, columns = BY_POLICY[code]
    assert origins(code, fields, columns, companies={"north": said}) == {Origin.COMPANY}
    assert Origin.COMPANY not in origins(code, fields, columns, companies={"south": said})


@pytest.mark.parametrize("code", BY_POLICY)
def test_the_models_word_goes_before_the_companys_and_the_meters_before_both(code):
    said, fields, columns = BY_POLICY[code]
    layers = {"companies": {"north": said}, "models": {"roots": said}}
    assert origins(code, fields, columns, **layers) == {Origin.MODEL}
    assert origins(code, fields, columns, **layers, meters={"m1": said}) == {Origin.METER}


@pytest.mark.parametrize("code", BY_METER)
def test_the_rated_range_is_the_meters_else_its_models(code):
    own, columns = BY_METER[code]
    assert origins(code, own, columns) == {Origin.METER}
    assert origins(code, {}, columns) == {Origin.MODEL}


def test_a_check_without_a_limit_names_nobody():
    blank = {"volume_m3": [100.0, 0, 101], "pressure_kpa": [101.0, 0, 101], "temperature_c": [10.0, 0, 10]}
    assert origins("dropout_frame", {}, blank) == {Origin.NONE}
    assert origins("balance_exhausted", {"prepaid": True}, {"balance": [0.0, 0, 0]}) == {Origin.NONE}


def test_of_the_two_that_make_a_silence_limit_the_longer_is_named():
    columns = BY_POLICY["meter_silent"][2]
    floor = {"silent_after_at_least_s": 4 * 3600}
    assert origins("meter_silent", {"interval_s": 60}, columns) == {Origin.DEFAULT}
    assert origins("meter_silent", {"interval_s": 3600}, columns) == {Origin.METER}
    assert origins("meter_silent", {"interval_s": 60}, columns, companies={"north": floor}) == {
        Origin.COMPANY
    }


def test_the_nearest_of_several_origins_counts_and_nobody_is_the_farthest():
    one = np.array([Origin.NONE, Origin.DEFAULT, Origin.NONE, Origin.METER], dtype=np.uint8)
    other = np.array([Origin.NONE, Origin.MODEL, Origin.COMPANY, Origin.DEFAULT], dtype=np.uint8)
    assert nearest(one, other).tolist() == [Origin.NONE, Origin.MODEL, Origin.COMPANY, Origin.METER]
