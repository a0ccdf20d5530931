from __future__ import annotations

from fleet.meter_table import MeterTable
from fleet.policy import Policy
from fleet.readings import ReadingBatch

NAN = float("nan")


def test_snapshots_over_range_by_hand(judge):
    case = judge(flow_m3h=[0, 99, 100, 101, 120, 121, NAN, 130, 90, 110])
    assert case.flags("flow_over_range") == "gggSSF-FgS"
    assert case.episodes("flow_over_range") == [(180, 480, 4, 130), (540, None, 1, 110)]
    assert case.result.episodes.limit.tolist() == [100, 100]
    assert case.result.episodes.flag.tolist() == [4, 3]


def test_without_a_qmax_nothing_is_known(judge):
    case = judge(meter={"qmax": None, "qmin": None}, flow_m3h=[1, 1e6], volume_m3=[0, 1e6])
    assert case.flags("flow_over_range") == "uu"
    assert case.flags("flow_under_range") == "uu"
    assert case.flags("flow_over_range_sustained") == "uu"


def test_sustained_over_range_by_hand(judge):
    # Rises of 50, 101, 102, 122, 122, 20; one step is what the display may hide.
    case = judge(volume_m3=[0, 50, 151, 253, 375, 497, 517, 517])
    assert case.flags("flow_over_range_sustained") == "uggSFFgg"
    assert case.episodes("flow_over_range_sustained") == [(120, 300, 3, 121)]


def test_a_window_is_closed_by_its_first_reading_only(judge):
    minutes = [0, 15, 30, 45, 60, 75, 90, 105, 120]
    case = judge(
        minutes=minutes, meter={"interval_s": 900}, volume_m3=[0, 60, 120, 121, 122, 123, 190, 230, 240]
    )
    # 122 in the first hour, 118 in the second: bursts within the hour do not count.
    assert case.flags("flow_over_range_sustained") == "uuuuFuuuS"
    assert case.episodes("flow_over_range_sustained") == [(0, None, 2, 121)]


def test_a_daily_reporter_is_judged_from_reading_to_reading(judge):
    case = judge(minutes=[0, 1440, 2880], meter={"interval_s": 86400}, volume_m3=[0, 2400, 4900])
    assert case.flags("flow_over_range_sustained") == "ugS"


def test_anchors_closer_than_half_a_window_are_not_judged(judge):
    case = judge(minutes=[0, 119, 121, 180], volume_m3=[0, 10, 30, 90])
    # 20 m³ in two minutes would be 600 m³/h.
    assert case.flags("flow_over_range_sustained") == "ugug"


def test_readings_of_one_time_do_not_divide_by_nothing(judge):
    case = judge(minutes=[0, 60, 60, 60, 120], volume_m3=[0, 10, 10, 11, 20], flow_m3h=[10, 20, 20, 20, 20])
    assert case.flags("flow_over_range_sustained") == "uguug"
    assert case.found == set()


def test_a_roll_over_is_no_fall(judge):
    case = judge(meter={"register_digits": 4}, volume_m3=[9800, 9900, 20, 60])
    assert case.flags("flow_over_range_sustained") == "ugSg"
    assert case.flags("register_reversed") == "uggg"
    assert case.episodes("flow_over_range_sustained") == [(60, 120, 1, 119)]


def test_a_misread_register_spoils_no_mean(judge):
    case = judge(volume_m3=[100, 110, 90_000, 120, 130, 140, 20, 150, 160])
    assert "flow_over_range_sustained" not in case.found
    # Not judged where a leap or a fall lies in the window, good after it.
    assert case.flags("flow_over_range_sustained") == "uguuuguug"


def test_under_range_by_hand(judge):
    case_flow = [0, 3, 4, 2, 1, 0, 4, 5, 3, 3, NAN, 3]
    case = judge(flow_m3h=case_flow)
    # Two hours since the onset at 60; the second run breaks at 5 (Qmin itself), the third is two hours old at 660.
    assert case.flags("flow_under_range") == "gggSSggggg-S"
    assert case.episodes("flow_under_range") == [(60, None, 3, 1)]
    case = judge(flow_m3h=case_flow, policy=Policy(under_range_over_after_s=0))
    assert case.episodes("flow_under_range") == [(60, 300, 2, 1), (480, None, 1, 3)]


def test_a_pilot_flame_at_night_is_one_finding(judge):
    # Every third hour; below Qmin (5 m³/h) from midnight to 09:00, found at 03:00, 06:00 and 09:00.
    night, day = [2.0, 3.0, 3.0, 2.5], [40.0, 60.0, 60.0, 30.0]
    hours = {"minutes": [180.0 * at for at in range(48)]}
    case = judge(**hours, flow_m3h=(night + day) * 3 + day * 6)
    assert case.flags("flow_under_range") == "gSSSgggg" * 3 + "g" * 24
    # The last of them at 57 h; on the hour 48 h later it goes on, at the next reading it is over.
    assert case.episodes("flow_under_range") == [(0, (57 + 48 + 3) * 60, 9, 2.5)]


def test_a_gap_begins_the_run_anew(judge):
    case = judge(minutes=[0, 60, 60 + 181, 301, 361], flow_m3h=[3, 3, 3, 3, 3])
    assert case.flags("flow_under_range") == "ggggS"
    assert case.episodes("flow_under_range") == [(241, None, 1, 3)]


def test_one_reading_is_never_sustained(judge):
    case = judge(flow_m3h=[3], policy=Policy(under_range_for_s=0))
    assert case.flags("flow_under_range") == "g"


def test_exactly_qmax_is_not_above_it(judge):
    steps = [48_211.4 + 101 * at for at in range(30)]
    case = judge(volume_m3=steps, flow_m3h=[100.0] * 30)
    assert case.found == set()


def test_a_check_that_no_longer_applies_ends_what_it_found(judge, meter):
    from analytics.pipeline import evaluate  # noqa: PLC0415

    case = judge(flow_m3h=[150, 150])
    unknown = MeterTable.build([meter(qmax=None, qmin=None)])
    later = ReadingBatch.build(
        1, meter_key=[0], device_time_us=case.result.state["last_time_us"] + 1, flow_m3h=[150.0]
    )
    (episode,) = evaluate(later, unknown, case.result.state).episodes.ended_us.tolist()
    assert episode == int(later.device_time_us[0])
