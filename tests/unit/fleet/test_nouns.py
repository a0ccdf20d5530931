"""Flags, columns, ratings, limits and the wire's names."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date

import numpy as np
import pytest

from fleet.checks import BY_CODE, BY_NUMBER, CATALOGUE
from fleet.flags import PRECEDENCE, Flag, worst
from fleet.limits import day_number, rated_range_m3h
from fleet.meter_table import MeterTable
from fleet.meters import Meter, Technology
from fleet.ratings import QMAX_M3H, ROTARY_QMIN_M3H
from fleet.readings import ABSENT, ReadingBatch
from fleet.wire import STATUS_CODES, Topic, parse_topic, status_bits, status_codes, topic


def test_the_worst_of_two_flags_is_the_later_in_the_precedence() -> None:
    for better, flag in enumerate(PRECEDENCE):
        for other in PRECEDENCE[: better + 1]:
            combined = worst(np.array([flag], np.uint8), np.array([other], np.uint8))
            assert combined.tolist() == [flag]


def test_a_check_that_could_not_run_does_not_hide_one_that_did() -> None:
    first = np.array([Flag.MISSING, Flag.GOOD, Flag.FAIL], np.uint8)
    second = np.array([Flag.GOOD, Flag.UNKNOWN, Flag.SUSPECT], np.uint8)
    assert worst(first, second).tolist() == [Flag.GOOD, Flag.GOOD, Flag.FAIL]


def test_the_worst_of_tables_is_a_table() -> None:
    first = np.array([[Flag.GOOD, Flag.SUSPECT], [Flag.MISSING, Flag.GOOD]], np.uint8)
    second = np.array([[Flag.FAIL, Flag.GOOD], [Flag.UNKNOWN, Flag.SUSPECT]], np.uint8)
    assert worst(first, second).tolist() == [[Flag.FAIL, Flag.SUSPECT], [Flag.UNKNOWN, Flag.SUSPECT]]


def test_the_worst_of_nothing_is_an_error() -> None:
    with pytest.raises(ValueError, match="at least one"):
        worst()


def test_a_batch_fills_what_was_not_reported() -> None:
    batch = ReadingBatch.build(meter_key=[1, 2], device_time_us=[10, 20], flow_m3h=[1.0, 2.0])
    assert batch.seq.tolist() == [ABSENT, ABSENT]
    assert np.isnan(batch.volume_m3).all()
    assert len(ReadingBatch.empty()) == 0


def test_a_batch_is_sorted_by_meter_then_time_then_sequence() -> None:
    batch = ReadingBatch.build(meter_key=[2, 1, 1, 1], device_time_us=[5, 9, 3, 3], seq=[0, 1, 8, 7])
    assert batch.sorted_by_meter_and_time().seq.tolist() == [7, 8, 1, 0]


@pytest.mark.parametrize(
    ("columns", "error"), [({"colour": [1]}, TypeError), ({"meter_key": [1], "seq": [1, 2]}, ValueError)]
)
def test_a_batch_refuses_columns_that_do_not_fit(columns: dict, error: type[Exception]) -> None:
    with pytest.raises(error):
        ReadingBatch.build(**columns)


def test_the_rotary_table_never_contradicts_itself() -> None:
    for size, turndowns in ROTARY_QMIN_M3H.items():
        qmins = [turndowns[turndown] for turndown in sorted(turndowns)]
        assert qmins == sorted(qmins, reverse=True), size
        assert all(abs(qmin * t / QMAX_M3H[size] - 1) < 0.1 for t, qmin in turndowns.items()), size


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"qmin": 1.6, "qmax": None, "g_size": "G100"}, (1.6, 160)),
        ({"qmin": None, "qmax": None, "g_size": "G100"}, (8, 160)),
        ({"qmin": None, "qmax": 150.0, "g_size": None, "technology": Technology.DIAPHRAGM}, (1, 150)),
        ({"qmin": None, "qmax": None, "g_size": "G6", "technology": Technology.DIAPHRAGM}, (10 / 150, 10)),
    ],
)
def test_the_meters_own_range_goes_before_its_models(
    make_meter: Callable[..., Meter], fields: dict, expected: tuple[float, float]
) -> None:
    assert rated_range_m3h(make_meter(**fields)) == pytest.approx(expected)


def test_a_table_is_sorted_by_key_and_resolves_every_limit(make_meter: Callable[..., Meter]) -> None:
    first = make_meter("A", prepaid=True, balance_unit="m3", register_digits=6, register_step=0.1)
    second = make_meter(
        "B", battery_type="alkaline_6v", battery_replaced_on=date(2026, 1, 1), interval_s=None
    )
    table = MeterTable.build([first, second], [9, 4])
    assert table.meter_key.tolist() == [4, 9]
    assert table.prepaid.tolist() == [False, True]
    assert table.low_balance.tolist() == [200, 50]
    assert table.register_top_m3.tolist() == [1e8, 1e6]
    assert table.interval_s.tolist() == [3600, 3600]
    assert table.battery_warn_v.tolist() == [4.9, 3.3]
    assert table.battery_due_day[0] == day_number(date(2027, 1, 1))
    assert np.isnan(table.battery_due_day[1])
    assert table.rows_of(np.array([9, 4, 9], np.int32)).tolist() == [1, 0, 1]


def test_codes_and_numbers_of_checks_are_unique() -> None:
    assert len(BY_CODE) == len(BY_NUMBER) == len(CATALOGUE)


@pytest.mark.parametrize("leaf", ["telemetry", "status", "confirm", "backfill"])
def test_a_topic_is_taken_apart_as_it_was_built(leaf: str) -> None:
    assert parse_topic(topic("north", "M-1_a", leaf)) == Topic("north", "M-1_a", leaf)


@pytest.mark.parametrize(
    "text", ["gas/v1/a/b", "gas/v1/a/b/telemetry/x", "gas/v1/a b/c/telemetry", "gas/v1//c/telemetry", "gas/v2/a/b/telemetry", "gas/v1/a/b/telemetry\n", "gas/v1/气/b/telemetry"]
)  # fmt: skip
def test_what_is_no_topic_of_the_contract_is_none(text: str) -> None:
    assert parse_topic(text) is None


def test_status_codes_survive_their_bits() -> None:
    assert status_codes(status_bits(list(STATUS_CODES))) == list(STATUS_CODES)
    assert status_codes(status_bits(["case_open", "brand_new"])) == ["case_open", "unrecognised"]
    assert status_codes(ABSENT) == []
    assert status_codes(0) == []
