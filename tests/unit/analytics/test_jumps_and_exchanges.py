"""Registers that jumped, and meters that were exchanged."""

from __future__ import annotations

from datetime import date

import pytest

NAN = float("nan")
DAY = 1440
GAP = 7 * DAY


def test_jumps_by_hand(judge):
    # Ten times Qmax is 1,000 m³ an hour. 9,000 stays; 99,000 is taken back; 40 was misread, 9,040 only comes back.
    case = judge(volume_m3=[100, 110, 9000, 9010, 99_000, 9020, 40, 9040, 9050, NAN, 9060])
    assert case.flags("register_jump") == "ugFgggggg-g"
    assert case.episodes("register_jump") == [(120, 180, 1, 8890)]
    assert case.flags("sensor_glitch") == "ugggSgSgg-g"
    assert case.found == {"register_jump", "sensor_glitch"}


def test_a_jump_waits_for_the_next_reading(judge):
    case = judge(volume_m3=[100, 110, 9000])
    assert case.flags("register_jump") == "ugu"
    assert case.found == set()


def test_what_gas_could_do_is_no_jump(judge):
    assert "register_jump" not in judge(volume_m3=[100, 1100, 2100, 2100]).found


def test_a_register_that_stood_may_catch_up_by_hand(judge):
    # Every five minutes at Qmax 160; it moved last at 10. By 190, 180 minutes later, 1.2 Qmax would be 576 m³.
    meter = {"qmax": 160, "interval_s": 300, "register_step": 0.1}
    minutes = [0, 5, 10, 45, 80, 115, 150, 185, 190, 195]
    stands = [1000, 1008, 1016.6, *[1016.6] * 5]
    catches_up = judge(meter=meter, minutes=minutes, volume_m3=[*stands, 1324.6, 1333])
    assert catches_up.flags("register_jump") == "uggggggggg"
    more = judge(meter=meter, minutes=minutes, volume_m3=[*stands, 1593, 1601])
    assert more.flags("register_jump") == "ugggggggFg"
    # Without the standstill it is what no gas can do.
    moving = judge(meter=meter, minutes=minutes, volume_m3=[*stands[:-1], 1017, 1324.6, 1333])
    assert moving.flags("register_jump") == "ugggggggFg"


def test_a_register_at_rest_for_long_may_catch_up_with_a_day(judge):
    """1.2 Qmax of 100 m³/h deliver 2,880 m³ in a day, whatever the rest before; and a step is the display's."""
    minutes = [60.0 * at for at in range(52)]
    for rise, last in ((2880, "g"), (2882, "F")):
        case = judge(minutes=minutes, volume_m3=[100] * 50 + [100 + rise, 101 + rise])
        assert case.flags("register_jump") == "u" + "g" * 49 + last + "g"


def test_a_roll_over_is_no_jump_and_no_exchange(judge):
    case = judge(
        meter={"register_digits": 4}, minutes=[0, 60, GAP + 60, GAP + 120], volume_m3=[9800, 9900, 20, 60]
    )
    assert case.flags("register_jump") == case.flags("meter_exchanged") == "uggg"


def test_the_standard_register_jumps_where_it_is_alone(judge):
    case = judge(std_volume_m3=[100, 110, 90_000, 90_010])
    assert case.flags("register_jump") == "ugFg"
    both = judge(volume_m3=[1, 2, 3, 4], std_volume_m3=[100, 110, 90_000, 90_010])
    assert "register_jump" not in both.found


def test_an_exchange_across_a_gap_by_hand(judge):
    minutes = [0, 60, 120, GAP + 120, GAP + 180, GAP + 240, GAP + 300, GAP + 360]
    case = judge(minutes=minutes, volume_m3=[5000, 5010, 5020, 3, 9, 15, 14, 20])
    assert case.flags("meter_exchanged") == "uggSgggg"
    assert case.episodes("meter_exchanged") == [(GAP + 120, GAP + 180, 1, 5017)]
    assert case.flags("register_reversed") == "uggggggg"
    assert case.flags("flow_over_range_sustained") == "uggugggg"


def test_the_registry_tells_of_an_exchange(judge):
    # The series begins at six in the morning of 15 November in China.
    installed = {"installed_on": date(2023, 11, 16)}
    volume = [5000 + at for at in range(20)] + [7 + at for at in range(8)]
    case = judge(meter=installed, volume_m3=volume)
    assert case.episodes("meter_exchanged") == [(20 * 60, 21 * 60, 1, 5012)]
    assert case.found == {"meter_exchanged"}
    before = judge(meter={"installed_on": date(2023, 11, 14)}, volume_m3=volume)
    assert before.found == {"register_reversed"}


def test_a_new_meter_may_show_more(judge):
    installed = {"installed_on": date(2023, 11, 15)}
    case = judge(meter=installed, volume_m3=[50, 55, 88_000, 88_010])
    assert case.episodes("meter_exchanged") == [(120, 180, 1, -87_945)]
    assert "register_jump" not in case.found


def test_a_register_misread_after_a_gap_is_no_exchange(judge):
    case = judge(minutes=[0, 60, GAP + 60, GAP + 120, GAP + 180], volume_m3=[5000, 5010, 3, 5020, 5030])
    assert case.flags("meter_exchanged") == "ugggg"
    assert case.flags("sensor_glitch") == "ugSgg"
    assert case.found == {"sensor_glitch", "meter_silent"}


def test_an_exchange_waits_for_the_next_reading(judge):
    assert judge(minutes=[0, GAP], volume_m3=[5000, 3]).flags("meter_exchanged") == "uu"
    assert judge(minutes=[0, GAP, GAP], volume_m3=[5000, 3, 3]).flags("meter_exchanged") == "uuu"


@pytest.mark.parametrize("code", ["register_jump", "meter_exchanged"])
def test_single_empty_and_blanked(judge, code):
    assert judge(volume_m3=[5]).flags(code) == "u"
    assert judge(volume_m3=[]).flags(code) == ""
    blank = {"pressure_kpa": [104, 0, 104], "temperature_c": [20, 0, 20]}
    assert judge(volume_m3=[5, 0, 6], **blank).flags(code) == "uug"


@pytest.mark.parametrize(
    ("zone", "found"), [("Europe/Berlin", "meter_exchanged"), ("Asia/Shanghai", "register_reversed")]
)
def test_the_day_of_installation_is_the_companys_own(judge, zone, found):
    # The histories begin at 22:00 UTC: 23:00 of the 14th in Berlin, 06:00 of the 15th in Shanghai.
    case = judge(
        meter={"installed_on": date(2023, 11, 14)},
        zone=zone,
        minutes=[0, 20, 40, 60],
        volume_m3=[5000, 5001, 3, 4],
    )
    assert case.found == {found}


def test_a_register_that_rested_does_not_catch_up_by_hand(judge):
    """After six hours at rest 140 m³ come in an hour, at a meter of 10 m³/h of which 100 are implausible."""
    volume, at_rest = [100, 104, *[104] * 5, 244, 245], [4, 4, 0, 0, 0, 0, 0, 4, 1]
    case = judge(volume_m3=volume, flow_m3h=at_rest, meter={"qmax": 10.0})
    assert case.flags("register_jump") == "ugggggg" + "Fg"
    # Snapshots that show gas all the while, or no snapshots, say that it may only have been shown late.
    for shows in (8.0, float("nan")):
        late = judge(volume_m3=[100, 104, *[104] * 17, 244, 245], flow_m3h=[shows] * 21, meter={"qmax": 10.0})
        assert "register_jump" not in late.found
