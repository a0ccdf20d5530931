"""Balances that stand still while gas is measured."""

from __future__ import annotations

from fleet.policy import Policy

NAN = float("nan")
DAY = 1440
PREPAID = {"prepaid": True, "low_balance": 50, "interval_s": 43_200}


def _half_days(n: int) -> list[float]:
    return [day * DAY / 2 for day in range(n)]


def test_a_frozen_balance_by_hand(judge):
    case = judge(
        meter=PREPAID,
        minutes=_half_days(12),
        balance=[300, 290, 290, 290, 290, 290, NAN, 290, 290, 250, 250, 250],
        volume_m3=[100, 104, 109, 113, 114, 118, 120, NAN, 124, 130, 130, 130],
    )
    # Ten steps were measured after a day and a half, two days are over at the sixth reading.
    assert case.flags("balance_frozen") == "gggggS-SSggg"
    assert case.episodes("balance_frozen") == [(720, 6480, 3, 20)]
    assert case.result.episodes.limit[case.result.episodes.check == 25].tolist() == [10]


def test_an_idle_customer_and_one_who_is_settled_once_a_day_are_no_finding(judge):
    idle = judge(meter=PREPAID, minutes=_half_days(12), balance=[290] * 12, volume_m3=[100.0] * 6 + [109] * 6)
    assert idle.flags("balance_frozen") == "g" * 12
    hours = [hour * 60 for hour in range(72)]
    settled = judge(
        meter=PREPAID | {"interval_s": 3600},
        minutes=hours,
        balance=[1000 - 50 * (hour // 24) for hour in range(72)],
        volume_m3=[100 + hour for hour in range(72)],
    )
    assert settled.found == set()


def test_nothing_is_owed_over_a_weekend_without_gas(judge):
    """Settled at midnight; closed from Friday evening to Monday morning, then 10 m³/h from hour 81 on."""
    hours = range(96)
    case = judge(
        meter=PREPAID | {"interval_s": 3600},
        minutes=[hour * 60 for hour in hours],
        balance=[300 if hour < 24 else 290 for hour in hours],
        volume_m3=[100 + min(hour, 16) + 10 * max(hour - 80, 0) for hour in hours],
    )
    assert case.flags("balance_frozen") == "g" * 96


def test_without_a_register_nobody_knows(judge):
    case = judge(meter=PREPAID, minutes=_half_days(7), balance=[290] * 7)
    assert case.flags("balance_frozen") == "gggguuu"


def test_the_standard_register_speaks_where_there_is_no_other(judge):
    case = judge(
        meter=PREPAID, minutes=_half_days(6), balance=[290] * 6, std_volume_m3=[100, 105, 110, 115, 120, 125]
    )
    assert case.flags("balance_frozen") == "ggggSS"


def test_at_nothing_left_nothing_is_frozen(judge):
    columns = {"minutes": _half_days(6), "balance": [-5] * 6, "volume_m3": [100, 105, 110, 115, 120, 125]}
    assert judge(meter=PREPAID, **columns).flags("balance_frozen") == "gggggg"
    allowed = judge(meter=PREPAID, policy=Policy(overdraft=20), **columns)
    assert allowed.flags("balance_frozen") == "ggggSS"


def test_a_meter_that_was_exchanged_or_misread_moved_nothing(judge):
    balance = [290] * 8
    for register in (
        [500, 500, 500, 500, 500, 20, 20, 20],
        [500, 500, 500, 500, 500, 9000, 9000, 9000],
        [500, 500, 3, 500, 500, 500, 500, 500],
        [500, 500, 500, 500, 500, 90_000, 500, 500],
    ):
        case = judge(meter=PREPAID, minutes=_half_days(8), balance=balance, volume_m3=register)
        assert "S" not in case.flags("balance_frozen"), register


def test_after_a_silence_the_register_is_counted_anew(judge):
    minutes = [0, 720, 720 + 4 * DAY, 1440 + 4 * DAY, 2160 + 4 * DAY]
    case = judge(meter=PREPAID, minutes=minutes, balance=[290] * 5, volume_m3=[100, 105, 180, 185, 191])
    assert case.flags("balance_frozen") == "ggggS"
    # What was found is not taken back by a silence.
    again = judge(
        meter=PREPAID,
        minutes=[0, 720, 1440, 2160, 2880, 2880 + 4 * DAY],
        balance=[290] * 6,
        volume_m3=[100, 105, 110, 115, 120, 120],
    )
    assert again.flags("balance_frozen") == "ggggSS"


def test_a_register_that_rolls_over_goes_on(judge):
    case = judge(
        meter=PREPAID | {"register_digits": 4},
        minutes=_half_days(8),
        balance=[290] * 8,
        volume_m3=[9985, 9990, 9995, 0, 4, 8, 12, 16],
    )
    assert case.flags("balance_frozen") == "ggggggSS"


def test_a_fine_register_has_to_move_by_more_than_a_few_steps(judge):
    columns = {"minutes": _half_days(6), "balance": [290] * 6}
    fine = PREPAID | {"register_step": 0.01}
    little = judge(meter=fine, volume_m3=[1, 1.1, 1.2, 1.3, 1.4, 1.5], **columns)
    assert little.found == set()
    more = judge(meter=fine, volume_m3=[1, 1.5, 2, 2.5, 3, 3.5], **columns)
    assert more.flags("balance_frozen") == "ggggSS"


def test_dropouts_two_at_a_time_and_single_readings(judge):
    frames = judge(
        meter=PREPAID,
        minutes=_half_days(6),
        balance=[290, 290, 290, 290, 290, 1],
        volume_m3=[100, 105, 110, 0, 115, 120],
        pressure_kpa=[101, 101, 101, 0, 101, 101],
    )
    assert frames.flags("balance_frozen") == "ggguSg"
    twice = judge(
        meter=PREPAID, minutes=[0, 1440, 1440, 2880, 2880], balance=[290] * 5, volume_m3=[1, 5, 5, 20, 20]
    )
    assert twice.flags("balance_frozen") == "gggSS"
    assert judge(meter=PREPAID, balance=[290]).flags("balance_frozen") == "g"
    assert judge(meter=PREPAID, balance=[]).flags("balance_frozen") == ""
    assert judge(balance=[1, 1]).flags("balance_frozen") == "--"
