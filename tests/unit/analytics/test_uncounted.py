"""A register that stands still while the balance is spent."""

from __future__ import annotations

import pytest

from fleet.policy import Policy

NAN = float("nan")
IN_GAS = {"prepaid": True, "balance_unit": "m3", "low_balance": 5}


def test_a_register_that_stands_while_gas_is_paid_for_by_hand(judge):
    case = judge(
        meter=IN_GAS,
        balance=[90, 85, 84, 83, 82, NAN, 80, 80, 78, 76, 400, 395],
        volume_m3=[100, 105, 105, 105, 105, 105, 105, 105, 107, 109, 109, 114],
    )
    # The fall to 84 may settle what was measured before; two steps are paid for at 82.
    assert case.flags("register_stalled") == "ggggS-SSgggg"
    assert case.episodes("register_stalled") == [(120, 480, 3, 4)]
    assert case.result.episodes.limit.tolist() == [2]


def test_a_balance_in_money_needs_a_price(judge):
    columns = {"balance": [90, 88, 84, 80, 76], "volume_m3": [100] * 5}
    assert judge(meter={"prepaid": True}, **columns).flags("register_stalled") == "-----"
    priced = judge(meter={"prepaid": True}, policy=Policy(price_per_m3=4), **columns)
    assert priced.flags("register_stalled") == "gggSS"
    assert priced.episodes("register_stalled") == [(60, None, 2, 3)]


def test_a_refund_while_the_register_rests_is_no_stalled_register(judge):
    tenths = IN_GAS | {"register_step": 0.1, "interval_s": 600}
    ten_minutes = [10.0 * at for at in range(16)]
    # What was measured up to 30 is settled at 40, and 200 m³ are paid back at 120.
    left = [500, 499, 498, 497, *[496.98] * 8, *[296.98] * 4]
    register = [1000, 1001, 1002, *[1003] * 13]
    case = judge(meter=tenths, minutes=ten_minutes, balance=left, volume_m3=register)
    assert case.flags("register_stalled") == "g" * 16
    # Gas that goes on to be paid for is found beside it.
    spent = [*left[:13], 296.4, 295.8, 295.2]
    case = judge(meter=tenths, minutes=ten_minutes, balance=spent, volume_m3=register)
    assert case.episodes("register_stalled") == [(40, None, 3, 1.78)]


@pytest.mark.parametrize(("fall", "flags"), [(10, "gggS"), (10.01, "gggg")])
def test_ten_times_all_other_falls_is_a_refund(judge, fall, flags):
    case = judge(meter=IN_GAS, balance=[90, 89, 89, 89 - fall], volume_m3=[100] * 4)
    assert case.flags("register_stalled") == flags


def test_a_register_that_stands_is_found_where_the_balance_is_settled_once_a_day(judge):
    hours = range(96)
    case = judge(meter=IN_GAS, balance=[900 - 40 * (hour // 24) for hour in hours], volume_m3=[100] * 96)
    assert case.episodes("register_stalled") == [(24 * 60, None, 48, 80)]


def test_a_balance_settled_once_a_day_is_no_stalled_register(judge):
    hours = range(72)
    case = judge(
        meter=IN_GAS,
        balance=[900 - 40 * (hour // 24) for hour in hours],
        volume_m3=[100 + 40 * (hour // 24) + min(hour % 24, 20) * 2 for hour in hours],
    )
    assert case.found == set()


def test_a_top_up_and_a_long_gap_begin_anew(judge):
    topped_up = judge(meter=IN_GAS, balance=[90, 89, 88, 500, 499, 498], volume_m3=[100] * 6)
    assert topped_up.flags("register_stalled") == "gggggg"
    gap = judge(
        meter=IN_GAS, minutes=[0, 60, 120, 420, 480], balance=[90, 89, 88, 60, 59], volume_m3=[100] * 5
    )
    assert gap.flags("register_stalled") == "ggggg"


def test_roll_over_exchange_and_misread_registers(judge):
    for register in ([9998, 9999, 0, 1, 2], [500, 500, 20, 20, 20], [100, 100, 9000, 100, 100]):
        case = judge(meter=IN_GAS | {"register_digits": 4}, balance=[90, 89, 88, 87, 86], volume_m3=register)
        assert "register_stalled" not in case.found, register


def test_dropouts_two_at_a_time_and_single_readings(judge):
    frames = judge(
        meter=IN_GAS,
        balance=[90, 88, 86, 84, 82],
        volume_m3=[100, 100, 100, 0, 100],
        pressure_kpa=[101, 101, 101, 0, 101],
    )
    assert frames.flags("register_stalled") == "ggSuS"
    twice = judge(meter=IN_GAS, minutes=[0, 60, 60, 120], balance=[90, 89, 86, 83], volume_m3=[100] * 4)
    assert twice.flags("register_stalled") == "gggS"
    assert judge(meter=IN_GAS, balance=[9], volume_m3=[1]).flags("register_stalled") == "g"
    assert judge(meter=IN_GAS, balance=[]).flags("register_stalled") == ""
