"""Spikes of the flow, changes too fast, and snapshots that stand still."""

from __future__ import annotations

import numpy as np
import pytest

from fleet.policy import Policy

NAN = float("nan")


def test_spikes_by_hand(judge):
    # Qmax 100. 150 is 130 above its neighbours' mean, 260 is 240 above; 90 beside 0 is a burner.
    case = judge(flow_m3h=[20, 150, 20, 20, 260, 20, 0, 90, 0, NAN, 20, 180])
    assert case.flags("flow_spike") == "uSggFgggg-gu"
    assert case.episodes("flow_spike") == [(60, 120, 1, 130), (240, 300, 1, 240)]


def test_a_spike_passes_over_what_is_missing_and_blanked(judge):
    case = judge(
        volume_m3=[10, 10, 10, 0, 10, 10],
        pressure_kpa=[104, 104, 104, 0, 104, 104],
        temperature_c=[20, 20, 20, 0, 20, 20],
        flow_m3h=[20, 20, 170, 0, NAN, 20],
    )
    assert case.flags("flow_spike") == "ugSu-u"
    assert case.episodes("flow_spike") == [(120, None, 1, 150)]


def test_what_lies_beside_a_spike_is_none(judge):
    # The mean of 20 and 260 is 120 above the 20 between them.
    case = judge(flow_m3h=[20, 20, 20, 260, 20, 20])
    assert case.flags("flow_spike") == "uggFgg"


def test_a_step_and_a_plateau_are_no_spikes(judge):
    assert judge(flow_m3h=[0, 0, 240, 240, 0, 0]).flags("flow_spike") == "uggggg"


def test_a_second_snapshot_of_one_time_makes_no_spike(judge):
    case = judge(minutes=[0, 60, 60, 120], flow_m3h=[20, 180, 20, 20])
    assert case.flags("flow_spike") == "uSuu"
    assert case.flags("flow_rate_of_change") == "ugug"


@pytest.mark.parametrize("code", ["flow_spike", "flow_rate_of_change"])
def test_single_empty_and_without_a_qmax(judge, code):
    assert judge(flow_m3h=[500]).flags(code) == "u"
    assert judge(flow_m3h=[]).flags(code) == ""
    case = judge(meter={"qmax": None, "qmin": None}, flow_m3h=[1, 1e6, 1])
    assert case.flags(code) == "uuu"
    assert case.found == set()


def test_rates_by_hand(judge):
    # Two minutes apart: SUSPECT above 0.02 x 100 x 120 = 240 m³/h, FAIL above 600.
    case = judge(minutes=[0, 2, 4, 6, 8, 10, 12, 14], flow_m3h=[0, 90, 340, 101, 101, 750, NAN, 20])
    assert case.flags("flow_rate_of_change") == "ugSggF-S"
    episodes = case.episodes("flow_rate_of_change")
    assert episodes == [(4, 6, 1, 2.083), (10, None, 2, 5.408)]


def test_a_solenoid_valve_is_not_too_fast_however_short_the_time(judge):
    case = judge(minutes=[0, 0.1, 0.2, 0.3, 0.4], flow_m3h=[0, 100, 0, 100, 0])
    assert case.flags("flow_rate_of_change") == "ugggg"
    assert "flow_rate_of_change" not in case.found
    assert judge(minutes=[0, 0.1], flow_m3h=[0, 121]).flags("flow_rate_of_change") == "uS"


def _steady(hours: int, *, step: float = 20.0) -> tuple[list[float], list[float]]:
    """Twenty lively hours, then so many at exactly 30 m³/h; the register moves by `step` in each of these."""
    flow = [30 + (at * 7 % 11) / 10 for at in range(20)] + [30.0] * hours
    volume = np.cumsum([30.0] * 20 + [step] * hours)
    return flow, volume.tolist()


def test_stuck_snapshots_by_hand(judge):
    # 42.5 from 60 on; the register shows a mean of 20. After a history of one pair, 21 repetitions would
    # be as improbable as a millionth; the policy here is content with 1 in 50.
    policy = Policy(stuck_chance=0.02)
    flow = [40, 42.5, 42.5, 42.5, 42.5, 42.5, 42.5, 42.5, 42.5, 42.5, 0, 41]
    case = judge(policy=policy, flow_m3h=flow, volume_m3=[20 * at for at in range(12)])
    assert case.flags("flow_stuck") == "gggggggSSSgg"
    assert case.episodes("flow_stuck") == [(60, 600, 3, 42.5)]


def test_stuck_for_a_day_is_worse(judge):
    flow, volume = _steady(26)
    case = judge(flow_m3h=flow, volume_m3=volume)
    assert case.flags("flow_stuck") == "g" * 26 + "S" * 18 + "FF"
    (episode,) = case.episodes("flow_stuck")
    assert episode == (20 * 60, None, 20, 30)


def test_flow_that_is_as_steady_as_the_register_says_is_not_stuck(judge):
    flow, volume = _steady(26, step=30.0)
    assert "flow_stuck" not in judge(flow_m3h=flow, volume_m3=volume).found


def test_without_a_register_nothing_contradicts_what_is_improbable(judge):
    flow, _ = _steady(10)
    assert judge(flow_m3h=flow).flags("flow_stuck") == "g" * 26 + "SSSS"


def test_a_meter_that_often_repeats_itself_has_to_do_so_for_longer(judge):
    # A burner that is off or full on, every third hour off: half of its pairs are equal.
    flow = [30.0, 30.0, 0.0] * 20 + [30.0] * 12
    case = judge(flow_m3h=flow, volume_m3=(np.arange(len(flow)) * 20.0).tolist())
    assert "flow_stuck" not in case.found
    longer = flow + [30.0] * 12
    case = judge(flow_m3h=longer, volume_m3=(np.arange(len(longer)) * 20.0).tolist())
    assert "flow_stuck" in case.found


@pytest.mark.parametrize(("mean", "found"), [(0.21, False), (0.39, False), (0.19, True), (0.41, True)])
def test_a_pilot_flame_that_is_shown_coarsely_is_not_stuck(judge, mean, found):
    # The flow changes for a while, so that equal snapshots are improbable, and stands at 0.3 for two days.
    flow = [5 + 0.1 * at for at in range(26)] + [0.3] * 200
    volume = np.round(1000 + np.cumsum([6.0] * 26 + [mean] * 200), 3)
    case = judge(flow_m3h=flow, volume_m3=volume, meter={"register_step": 0.01})
    assert ("flow_stuck" in case.found) == found


def test_zero_is_not_stuck_and_a_gap_begins_anew(judge):
    assert "flow_stuck" not in judge(flow_m3h=[5, 5.1, 5.2] + [0.0] * 40).found
    flow, volume = _steady(10)
    minutes = [60.0 * at + (200 if at > 25 else 0) for at in range(30)]
    assert "flow_stuck" not in judge(minutes=minutes, flow_m3h=flow, volume_m3=volume).found


def test_six_intervals_of_a_slow_reporter_are_needed(judge):
    flow, _ = _steady(7)
    minutes = [at * 1440.0 for at in range(27)]
    case = judge(meter={"interval_s": 86400}, minutes=minutes, flow_m3h=flow)
    assert case.flags("flow_stuck") == "g" * 26 + "F"


def test_stuck_of_single_empty_and_doubled(judge):
    assert judge(flow_m3h=[5]).flags("flow_stuck") == "g"
    assert judge(flow_m3h=[]).flags("flow_stuck") == ""
    assert judge(minutes=[0, 60, 60], flow_m3h=[5, 5, 5]).flags("flow_stuck") == "ggu"
    case = judge(
        volume_m3=[10, 0, 10], pressure_kpa=[104, 0, 104], temperature_c=[20, 0, 20], flow_m3h=[5, 0, NAN]
    )
    assert case.flags("flow_stuck") == "gu-"
