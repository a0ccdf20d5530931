"""Where exactly the rules of the fast checks turn: on both sides of each constant."""

from __future__ import annotations

import numpy as np
import pytest

from analytics.pipeline import evaluate
from analytics.prepaid.metered import more_than
from analytics.register.limits import Rolling
from fleet.checks import BY_CODE
from fleet.flags import Flag
from fleet.policy import Policy
from fleet.readings import ReadingBatch


@pytest.mark.parametrize(
    ("before", "value", "after", "flag"),
    [
        # Qmax 100: more than 100 from the neighbours' mean, and more than 50 from each.
        (101, 151, 0, "g"),
        (100, 151, 0, "S"),
        (0, 151, 101, "g"),
        (0, 151, 100, "S"),
        # FAIL is further from the mean, above 200, and no further from each.
        (300, 360, 0, "F"),
        (310, 360, 0, "g"),
        (280, 339, 0, "S"),
    ],
)
def test_a_spike_is_further_than_half_the_limit_from_each_neighbour(judge, before, value, after, flag):
    assert judge(flow_m3h=[before, value, after]).flags("flow_spike")[1] == flag


@pytest.mark.parametrize(("value", "flag"), [(70, "g"), (71, "u")])
def test_a_snapshot_waits_where_it_is_half_the_limit_from_the_one_before(judge, value, flag):
    assert judge(flow_m3h=[20, value]).flags("flow_spike") == "u" + flag


@pytest.mark.parametrize(("value", "revised"), [(70, []), (71, [Flag.SUSPECT])])
def test_a_snapshot_that_waited_at_the_end_of_a_run_is_decided_by_the_next(judge, value, revised):
    case = judge(flow_m3h=[20, value])
    at_us = case.result.state["last_time_us"] + 1
    later = ReadingBatch.build(1, meter_key=[0], device_time_us=at_us, flow_m3h=[value - 160.0])
    said = evaluate(later, case.table, case.result.state).revised
    spikes = said.take(said.check == BY_CODE["flow_spike"].number)
    assert spikes.flag.tolist() == revised


@pytest.mark.parametrize(("missing_m3", "flag"), [(4.9, "g"), (5.1, "S")])
def test_a_stuck_snapshot_may_be_off_by_a_share_and_two_register_steps(judge, missing_m3, flag):
    # 60.3 m³ shown in six hours; 5 % of it and two steps of 1 m³ are 5.015 m³.
    flow = [20 + 1.37 * at for at in range(30)] + [10.05] * 7
    volume = np.cumsum([25.0] * 31 + [(60.3 - missing_m3) / 6] * 6)
    assert judge(flow_m3h=flow, volume_m3=volume).flags("flow_stuck")[-1] == flag


@pytest.mark.parametrize(("chance", "needed"), [(2e-5, 3), (1.5e-4, 2)])
def test_no_history_makes_a_repetition_less_probable_than_a_hundredth(judge, chance, needed):
    policy = Policy(stuck_chance=chance, stuck_for_s=0, stuck_after_intervals=0)
    flow = [1 + 0.1 * at for at in range(300)] + [7.77] * 5
    flags = judge(flow_m3h=flow, policy=policy).flags("flow_stuck")
    assert flags == "g" * (300 + needed) + "S" * (5 - needed)


def test_no_history_makes_a_repetition_more_probable_than_ninety_nine_in_a_hundred(judge):
    policy = Policy(stuck_chance=1e-3, stuck_for_s=0, stuck_fail_for_s=10**8, stuck_after_intervals=0)
    flow = np.repeat([1.5, 2.5, 3.5, 4.5, 5.5], [500] * 4 + [800])
    flags = judge(flow_m3h=flow, policy=policy).flags("flow_stuck")
    # 0.99 to the power of 688 is the first below 0.001.
    assert flags[2000:] == "g" * 688 + "S" * (800 - 688)


@pytest.mark.parametrize(("minute", "flag"), [(90, "g"), (91, "u")])
def test_a_mean_needs_half_a_window(judge, minute, flag):
    case = judge(minutes=[0, minute, 120], volume_m3=[0, 20, 40])
    assert case.flags("flow_over_range_sustained") == "ug" + flag


@pytest.mark.parametrize("fall", [0.0, 0.5, 1.0])
def test_a_register_that_falls_by_no_more_than_a_step_has_a_mean(judge, fall):
    case = judge(volume_m3=[1000, 1000 - fall, 1010])
    assert case.flags("flow_over_range_sustained") == "ugg"


def test_a_register_step_is_not_exceeded_by_the_rounding_of_large_numbers():
    gained = np.array([123_456.3 - 123_456.2, 0.1000999, 0.1001001, 0.2])
    assert gained[0] > 0.1
    assert more_than(gained, np.full(4, 0.1)).tolist() == [False, False, True, True]


def test_a_register_rolls_over_from_its_last_tenth_to_its_first():
    n = np.full(6, 1.0)
    rolling = Rolling(tolerance_m3=n * 300, fastest=n * 0, at_qmax=n * 0, top_m3=n * 1000)
    before, value = np.array([900, 899.9, 950, 950, 990, 950]), np.array([50, 50, 100, 100.1, 10, 60.0])
    assert rolling.rolled_near(before, value, np.zeros(6, np.int64)).tolist() == [
        True,
        False,
        True,
        False,
        True,
        True,
    ]


def test_from_afar_a_register_rolls_over_by_less_than_half_and_no_faster_than_qmax():
    n = np.full(4, 1.0)
    rolling = Rolling(
        tolerance_m3=n, fastest=n * 30, at_qmax=np.array([10, 10, 49.9, np.nan]), top_m3=n * 1000
    )
    before, value = n * 700, np.array([201, 201.1, 199, 201])
    assert rolling.rolled_far(before, value, np.array([50, 50, 10, 50])).tolist() == [
        False,
        False,
        True,
        False,
    ]
    assert rolling.rolled_far(before, value - 2, np.array([50, 49, 10, 50])).tolist() == [
        True,
        False,
        True,
        False,
    ]


def test_falls_within_a_step_that_add_up_to_more_have_no_mean(judge):
    case = judge(minutes=[0, 20, 40, 60, 120], volume_m3=[1000, 999.2, 998.4, 998.4, 1008])
    assert case.flags("flow_over_range_sustained") == "uuuug"
