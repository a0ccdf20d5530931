"""Batteries by their voltage."""

from __future__ import annotations

from fleet.checks import BY_CODE, Severity

NAN = float("nan")
LITHIUM = {"battery_type": "lithium_3v6"}


def test_battery_by_hand(judge):
    case = judge(meter=LITHIUM, battery_v=[3.6, 3.2, 3.6, 3.25, 3.2, NAN, 3.05, 3.0, 0, 3.15, 3.2, 3.6, 3.6])
    # 3.2 once is a glitch; two in a row are low, two below 3.1 critical; 0 V is no report; two good ones end it.
    assert case.flags("battery_low") == "uuuuS-SS-SSug"
    assert case.flags("battery_critical") == "ugggg-uF-uggg"
    assert case.episodes("battery_low") == [(180, 720, 5, 3.05)]
    assert case.episodes("battery_critical") == [(360, 600, 1, 3.05)]
    assert case.result.episodes.part.tolist() == [1, 1]
    assert case.result.episodes.limit.tolist() == [3.3, 3.1]


def test_low_is_minor_and_critical_is_major():
    assert {BY_CODE["battery_low"].suspect, BY_CODE["battery_low"].fail} == {Severity.MINOR}
    assert {BY_CODE["battery_critical"].suspect, BY_CODE["battery_critical"].fail} == {Severity.MAJOR}


def test_a_second_report_of_one_moment_confirms_nothing(judge):
    case = judge(minutes=[0, 60, 60, 120], battery_v=[3.6, 3.0, 3.0, 3.6], meter=LITHIUM)
    assert case.flags("battery_low") == case.flags("battery_critical") == "uuuu"
    assert case.found == set()


def test_each_battery_has_its_own_episodes(judge):
    case = judge(
        meter={**LITHIUM, "battery2_type": "alkaline_6v"},
        battery_v=[3.2, 3.2, 3.2],
        battery2_v=[4.4, 4.4, 4.4],
    )
    found = case.result.episodes
    assert list(zip(found.check.tolist(), found.part.tolist(), found.flag.tolist(), strict=True)) == [
        (BY_CODE["battery_low"].number, 1, 3),
        (BY_CODE["battery_low"].number, 2, 3),
        (BY_CODE["battery_critical"].number, 2, 4),
    ]
    assert case.flags("battery_low") == "uSS"
    assert case.flags("battery_critical") == "uFF"


def test_a_dropout_frame_says_nothing_of_a_battery(judge):
    case = judge(
        meter=LITHIUM,
        battery_v=[3.0, 3.0, 3.0],
        volume_m3=[5, 0, 5],
        pressure_kpa=[101, 0, 101],
        temperature_c=[20, 0, 20],
    )
    assert case.flags("battery_critical") == "uuF"


def test_a_single_report_and_none_at_all(judge):
    assert judge(meter=LITHIUM, battery_v=[2.9]).flags("battery_critical") == "u"
    assert judge(meter=LITHIUM, battery_v=[]).flags("battery_critical") == ""
