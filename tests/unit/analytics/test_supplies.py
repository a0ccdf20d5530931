"""Balance, batteries, oil."""

from __future__ import annotations

from datetime import UTC, date, datetime

import numpy as np
import pytest

from analytics.episodes import ONGOING_US
from analytics.pipeline import CLOCK_CHECKS, evaluate_clock, initial_state
from fleet.checks import BY_CODE, BY_NUMBER
from fleet.meter_table import MeterTable
from fleet.readings import ABSENT
from fleet.wire import status_bits

NAN = float("nan")
DAY_US = 86_400_000_000
#: When the readings of `judge` begin.
START_US = 1_699_999_200_000_000


def test_balance_by_hand(judge):
    case = judge(
        meter={"prepaid": True, "low_balance": 200}, balance=[900, 201, 200, 50, NAN, 0, -3, 500, 150]
    )
    assert case.flags("balance_low") == "ggSS-gggS"
    assert case.flags("balance_exhausted") == "gggg-SSgg"
    assert case.episodes("balance_low") == [(120, 300, 2, 50), (480, None, 1, 150)]
    assert case.episodes("balance_exhausted") == [(300, 420, 2, -3)]


def test_a_meter_that_is_not_prepaid_has_no_balance(judge):
    case = judge(balance=[0, 0])
    assert case.flags("balance_low") == case.flags("balance_exhausted") == "--"


def _us(*when: int) -> int:
    return int(datetime(*when, tzinfo=UTC).timestamp()) * 1_000_000


def _clock(meter, now_us: int, state=None, **fields):
    table = MeterTable.build([meter(**fields)])
    return evaluate_clock(table, initial_state(1) if state is None else state, now_us, now_us)


def _codes(episodes) -> list[str]:
    return [BY_NUMBER[number].code for number in episodes.check.tolist()]


BATTERY = {"battery_type": "alkaline_6v", "battery_replaced_on": date(2024, 1, 1), "battery_life_days": 100}


@pytest.mark.parametrize(
    ("now", "flag"),
    [
        ((2024, 4, 9, 15, 59), None),
        # Day 100 is 10 April; in China it begins at 16:00 UTC the day before.
        ((2024, 4, 9, 16, 0), 3),
        ((2024, 7, 8, 16, 0), 3),
        ((2024, 7, 8, 16, 1), 4),
    ],
)
def test_battery_overdue_by_the_calendar(meter, now, flag):
    episodes = _clock(meter, _us(*now), **BATTERY)
    assert episodes.flag.tolist() == ([] if flag is None else [flag])
    if flag:
        assert _codes(episodes) == ["battery_overdue"]
        assert episodes.started_us.tolist() == [_us(2024, 4, 9, 16)]
        assert episodes.ended_us.tolist() == [ONGOING_US]
        assert episodes.part.tolist() == [1]


OIL = {"oil_filled_on": date(2024, 1, 1), "oil_interval_days": 100}


def test_oil_by_the_calendar(meter):
    assert _codes(_clock(meter, _us(2024, 4, 4, 15, 59), **OIL)) == []
    soon = _clock(meter, _us(2024, 4, 5), **OIL)
    assert _codes(soon) == ["oil_due_soon"]
    assert soon.started_us.tolist() == [_us(2024, 4, 4, 16)]
    over = _clock(meter, _us(2024, 4, 20), **OIL)
    assert _codes(over) == ["oil_overdue"]
    assert over.started_us.tolist() == [_us(2024, 4, 9, 16)]
    assert over.value.tolist() == pytest.approx([1.1033], abs=1e-3)


def test_oil_by_the_volume_measured(judge):
    meter = {"oil_volume_at_fill": 1000, "oil_interval_m3": 100}
    case = judge(meter=meter, volume_m3=[1000, 1050, 1094, 1096, 1098, 1100, 1130])
    now_us = int(case.result.state["last_time_us"][0])
    over = evaluate_clock(case.table, case.result.state, now_us, now_us)
    assert _codes(over) == ["oil_overdue"]
    # The first reading at 1,100 m³.
    assert over.started_us.tolist() == [now_us - 3_600_000_000]
    assert over.value.tolist() == [1.3]
    part = judge(meter=meter, volume_m3=[1000, 1050, 1094, 1096, 1098])
    soon = evaluate_clock(part.table, part.result.state, now_us, now_us)
    assert _codes(soon)[0] == "oil_due_soon"


def test_after_a_service_the_oil_is_fresh(judge, meter):
    case = judge(meter={"oil_volume_at_fill": 1000, "oil_interval_m3": 100}, volume_m3=[1000, 1130])
    now_us = int(case.result.state["last_time_us"][0])
    served = MeterTable.build([meter(oil_volume_at_fill=1130, oil_interval_m3=100)])
    assert len(evaluate_clock(served, case.result.state, now_us, now_us)) == 0


def test_an_interval_made_shorter_counts_from_the_last_sample(judge, meter):
    case = judge(meter={"oil_volume_at_fill": 1000, "oil_interval_m3": 900}, volume_m3=[1000, 1090, 1130])
    now_us = int(case.result.state["last_time_us"][0])
    shorter = MeterTable.build([meter(oil_volume_at_fill=1000, oil_interval_m3=50)])
    found = evaluate_clock(shorter, case.result.state, now_us + 7, now_us)
    assert _codes(found) == ["oil_overdue"]
    assert found.started_us.tolist() == [now_us]


def test_oil_by_volume_follows_a_roll_over(judge):
    meter = {"oil_volume_at_fill": 9950, "oil_interval_m3": 100, "register_digits": 4}
    case = judge(meter=meter, volume_m3=[9950, 9990, 30, 46, 52, 60])
    now_us = int(case.result.state["last_time_us"][0])
    over = evaluate_clock(case.table, case.result.state, now_us, now_us)
    assert _codes(over) == ["oil_overdue"]
    assert over.started_us.tolist() == [now_us - 3_600_000_000]
    assert over.value.tolist() == [1.1]
    exchanged = judge(meter=meter | {"oil_volume_at_fill": 3000}, volume_m3=[3050, 3060, 10, 20])
    assert len(evaluate_clock(exchanged.table, exchanged.result.state, now_us, now_us)) == 0


LOW_OIL = status_bits(["low_oil"])


def _level(judge, *said, **meter):
    """Judge hourly readings, from 06:00 local on 15 November 2023, whose status says low oil or not."""
    bits = [ABSENT if word is None else LOW_OIL * word for word in said]
    case = judge(meter=meter, status_bits=bits)
    now_us = int(case.result.state["last_time_us"][0])
    found = evaluate_clock(case.table, case.result.state, now_us, now_us)
    return _codes(found), ((found.started_us - START_US) // 3_600_000_000).tolist(), found.value.tolist()


def test_oil_by_the_level_by_hand(judge):
    assert _level(judge, 0, 1, 0, 1, None, 1, 1, None) == (
        ["oil_overdue"],
        [3],
        [pytest.approx(NAN, nan_ok=True)],
    )
    assert _level(judge, 0, 1, 1, 0) == ([], [], [])
    assert _level(judge, 1, 1, technology="diaphragm") == ([], [], [])
    assert _level(judge, None, None) == ([], [], [])


def _levelled(judge, *said, **columns):
    bits = [ABSENT if word is None else LOW_OIL * word for word in said]
    return judge(status_bits=bits, **columns).episodes("oil_overdue")


def test_oil_that_was_low_for_a_while_by_hand(judge):
    # A reading without a status says nothing; one that takes `low_oil` back ends it at its own time.
    nan = None
    assert _levelled(judge, 0, 1, 1, 0, 0, 1, None, 1, None, 0, 1) == [(60, 180, 0, nan), (300, 540, 0, nan)]
    assert _levelled(judge, 1, 1, 0, meter={"technology": "diaphragm"}) == []


def test_a_level_that_was_low_before_the_oil_was_filled_does_not_count(judge):
    # From 06:00 on; the day of 15 November ends after 18 hours.
    filled = {"meter": {"oil_filled_on": date(2023, 11, 15)}}
    assert _levelled(judge, *[1] * 18, 0, **filled) == []
    assert _levelled(judge, *[1] * 20, 0, **filled) == [(18 * 60, 20 * 60, 0, None)]


def test_a_level_that_was_low_while_oil_is_overdue_anyhow_is_no_finding_of_its_own(judge):
    said = (0, 1, 1, 0)
    day = {"oil_interval_days": 10}
    assert _levelled(judge, *said, meter=day | {"oil_filled_on": date(2023, 11, 5)}) == []
    assert len(_levelled(judge, *said, meter=day | {"oil_filled_on": date(2023, 11, 6)})) == 1
    # Nobody knows when it was filled, so nothing is due by the calendar.
    assert len(_levelled(judge, *said, meter=day)) == 1
    volume = {"meter": {"oil_volume_at_fill": 1000, "oil_interval_m3": 100}}
    assert _levelled(judge, *said, volume_m3=[1080, 1090, 1095, 1100], **volume) == []
    assert len(_levelled(judge, *said, volume_m3=[1080, 1090, 1095, 1099], **volume)) == 1


def test_oil_that_was_filled_since_is_not_low(judge):
    codes, since, _ = _level(judge, 1, 1, oil_filled_on=date(2023, 11, 14))
    assert (codes, since) == (["oil_overdue"], [0])
    assert _level(judge, 1, 1, oil_filled_on=date(2023, 11, 15)) == ([], [], [])
    # Still low on the day after, 18 hours later.
    codes, since, _ = _level(judge, *[1] * 20, oil_filled_on=date(2023, 11, 15))
    assert (codes, since) == (["oil_overdue"], [18])


def test_oil_that_is_low_and_overdue_has_its_share_told(judge):
    case = judge(
        meter={"oil_volume_at_fill": 1000, "oil_interval_m3": 100},
        volume_m3=[1000, 1050, 1130],
        status_bits=[0, LOW_OIL, LOW_OIL],
    )
    found = evaluate_clock(case.table, case.result.state, START_US + 7_200_000_000, 0)
    oil = found.take(found.check == BY_CODE["oil_overdue"].number)
    assert (oil.started_us.tolist(), oil.value.tolist()) == ([START_US + 3_600_000_000], [1.3])


def test_without_an_interval_nothing_is_due(judge):
    case = judge(meter={"oil_filled_on": date(2000, 1, 1), "oil_volume_at_fill": 0}, volume_m3=[0, 1e6, 2e6])
    assert len(evaluate_clock(case.table, case.result.state, _us(2023, 11, 15), 0)) == 0


def test_clock_checks_are_those_that_no_reading_decides(judge):
    assert {*judge(volume_m3=[1]).result.flags} & CLOCK_CHECKS == set()
    assert {"battery_overdue", "oil_due_soon", "oil_overdue"} == CLOCK_CHECKS


def test_offsets_may_differ_by_meter(meter):
    table = MeterTable.build([meter(meter_id="a", **BATTERY), meter(meter_id="b", **BATTERY)])
    found = evaluate_clock(table, initial_state(2), _us(2024, 5, 1), 0, np.array([0, 8 * 3600]))
    assert found.started_us.tolist() == [_us(2024, 4, 10), _us(2024, 4, 9, 16)]


def test_a_battery_of_unknown_type_lives_no_longer_than_any_known_one(meter):
    replaced = {"battery_replaced_on": date(2020, 1, 1)}
    assert _codes(_clock(meter, _us(2025, 12, 29), **replaced)) == []
    assert _codes(_clock(meter, _us(2025, 12, 30), **replaced)) == ["battery_overdue"]


@pytest.mark.parametrize(
    ("technology", "oiled"), [("roots", True), ("turbine", True), ("diaphragm", False), ("ultrasonic", False)]
)
def test_a_meter_without_bearings_to_oil_is_never_due(meter, technology, oiled):
    found = _clock(meter, _us(2024, 5, 1), technology=technology, **OIL)
    assert _codes(found) == ["oil_overdue"] * oiled
