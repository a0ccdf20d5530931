"""A register that stands still while gas flows."""

from __future__ import annotations

import numpy as np
import pytest

from analytics.register.standing import improbability
from fleet.policy import Policy

NAN = float("nan")


def test_a_register_that_dies_at_an_on_off_customer_by_hand(judge):
    case = judge(
        #      moves at 60 for the last time, and again at 660
        volume_m3=[100, 140, 140, 140, 140, 140, 140, 140, 140, 140, 140, 150],
        flow_m3h=[40, 40, 0, 40, 0, 40, 40, 0, 40, 0, 0, 40],
    )
    # Three of five snapshots show 120 m³ in all: exp(-(120 ln 120 + 80 ln(80/199)) / 40) = 3.6e-6, too probable.
    # Four of seven show 160 m³: exp(-(160 ln 160 + 120 ln(120/279)) / 40) = 2e-8.
    assert case.flags("register_stalled") == "ggggggggSSSg"
    assert case.episodes("register_stalled") == [(60, 660, 3, 160)]
    assert case.result.episodes.limit.tolist() == [2]


def test_an_unbroken_flow_is_found_as_soon_as_it_lasts_three_intervals(judge):
    case = judge(
        meter={"register_step": 0.1},
        volume_m3=[100, 106, 106, 106, 106, 106, 110],
        flow_m3h=[6, 6, 6, 6, 6, 6, 6],
    )
    # (0.1 / 18) ** 3 = 1.7e-7.
    assert case.flags("register_stalled") == "ggggSSg"
    assert case.episodes("register_stalled") == [(60, 360, 2, 24)]


def test_a_coarse_register_needs_more_time(judge):
    case = judge(meter={"register_step": 10}, volume_m3=[100] * 14, flow_m3h=[6] * 14)
    # Two steps of 10 m³ are shown after four snapshots; (10 / 48) ** 8 is 3.5e-6, (10 / 54) ** 9 is 2.5e-7.
    assert case.flags("register_stalled") == "gggggggggSSSSS"


def test_short_bursts_that_snapshots_meet_are_no_stalled_register(judge):
    """A burner of 5.4 m³/h that is on for five minutes at a time, beside a register of 1 m³."""
    case = judge(flow_m3h=[0, 5.4, 5.4, 0, 0, 5.4, 5.4], volume_m3=[1000] * 7)
    assert "register_stalled" not in case.found
    surer = judge(
        policy=Policy(stalled_chance=0.5), flow_m3h=[0, 5.4, 5.4, 0, 0, 5.4, 5.4], volume_m3=[1000] * 7
    )
    assert surer.flags("register_stalled") == "gggggSS"


def test_one_finding_lasts_over_nights_of_rest(judge):
    day = [0] * 14 + [40] * 10
    case = judge(flow_m3h=day * 4, volume_m3=[100] * 96)
    assert case.episodes("register_stalled") == [(14 * 60, None, 96 - 17, 1600)]


def test_a_long_gap_and_a_register_that_moves_begin_anew(judge):
    gap = judge(minutes=[0, 60, 120, 360, 420, 480], volume_m3=[100] * 6, flow_m3h=[40] * 6)
    assert "register_stalled" not in gap.found
    moves = judge(volume_m3=[100, 100, 100, 101, 101, 101, 102, 102, 102], flow_m3h=[40] * 9)
    assert "register_stalled" not in moves.found


def test_a_zero_that_creeps_is_no_gas(judge):
    # 0.0005 of 100 m³/h is what a zero may show.
    fine = {"register_step": 0.001}
    creeping = judge(meter=fine, volume_m3=[100] * 9, flow_m3h=[0.05] * 9)
    assert creeping.flags("register_stalled") == "g" * 9
    more = judge(meter=fine, volume_m3=[100] * 9, flow_m3h=[0.06] * 9)
    assert more.flags("register_stalled") == "gggSSSSSS"


def test_a_single_wild_snapshot_counts_as_qmax(judge):
    case = judge(
        meter={"register_step": 0.001},
        volume_m3=[100] * 8,
        flow_m3h=[0, 1e9, 0, 0, 0, 0, 0, 0],
    )
    assert "register_stalled" not in case.found


def test_readings_without_a_register_or_a_snapshot_and_dropouts_are_left_out(judge):
    case = judge(
        meter={"register_step": 0.01},
        volume_m3=[100, 100, NAN, 100, 100, 0, 100],
        flow_m3h=[6, 6, 6, NAN, 6, 0, 6],
        pressure_kpa=[101, 101, 101, 101, 101, 0, 101],
    )
    assert case.flags("register_stalled") == "gg--guS"
    nothing = judge(volume_m3=[], flow_m3h=[])
    assert nothing.flags("register_stalled") == ""
    assert judge(volume_m3=[1], flow_m3h=[1]).flags("register_stalled") == "g"


def test_a_register_that_moved_without_a_snapshot_is_not_stalled(judge):
    case = judge(
        meter={"register_step": 0.1},
        volume_m3=[100, 100, 100, 101, 101, 101],
        flow_m3h=[6, 6, 6, NAN, 6, 6],
    )
    assert "register_stalled" not in case.found


@pytest.mark.parametrize("bursts", [1, 5, 40])
def test_the_bound_holds_for_bursts_met_by_chance(bursts):
    """A burner of 8 m³/h lets 4 m³ through in so many bursts of 40 hours, and is looked at every hour."""
    rng = np.random.default_rng(1)
    fleet, looked, flow_m3h, passed_m3 = 4000, 40, 8.0, 4.0
    begins = rng.random((fleet, 1, bursts)) * looked
    since_h = np.arange(looked)[None, :, None] - begins
    on = ((since_h % looked) < passed_m3 / flow_m3h / bursts).any(axis=2)
    shown_m3 = flow_m3h * on.sum(axis=1)
    surprise = improbability(
        shown_m3, np.full(fleet, flow_m3h), np.full(fleet, looked), np.full(fleet, passed_m3)
    )
    for chance in (0.5, 0.1, 0.01, 0.001):
        assert (surprise >= -np.log(chance)).mean() <= chance


def test_what_is_no_surprise():
    none = improbability(*np.array([[0.0, 1, 2, 8], [1, 1, 2, 8], [4, 4, 1, 1], [1, 1, 2, 1]]))
    assert none.tolist() == pytest.approx([0, 0, 0, np.log(8)])


def test_a_register_that_was_shown_late_is_waited_for_by_hand(judge):
    case = judge(
        #          stands until 360, catches up with 60 m³, and stands from there until 900
        volume_m3=[100, *[100] * 5, 160, *[160] * 8, 250, *[250] * 2],
        flow_m3h=[10] * 18,
    )
    # Found before it caught up; after 480 min the second stand is not yet twice as long as 360 min.
    assert case.flags("register_stalled") == "ggggSS" + "g" * 12
    assert case.episodes("register_stalled") == [(0, 360, 2, 50)]


def test_a_register_that_dies_after_it_was_shown_late_is_found(judge):
    volume = [100, *[100] * 5, 160, *[160] * 20]
    case = judge(volume_m3=volume, flow_m3h=[10] * 27)
    first, second = case.episodes("register_stalled")
    assert first[1] == 6 * 60
    assert second[1] is None


@pytest.mark.parametrize("caught_up_with", [1, 25, 200])
def test_what_is_not_caught_up_with_proves_no_late_display(judge, caught_up_with):
    volume = [100, *[100] * 5, 100 + caught_up_with, *[100 + caught_up_with] * 8]
    case = judge(volume_m3=volume, flow_m3h=[10] * 15)
    assert len(case.episodes("register_stalled")) == 2


def test_nothing_is_waited_for_beyond_what_the_policy_says(judge):
    volume = [100, *[100] * 5, 160, *[160] * 8]
    patient, strict = (
        judge(volume_m3=volume, flow_m3h=[10] * 15, policy=Policy(stalled_late_at_most_s=late_s))
        for late_s in (21600, 3600)
    )
    assert len(patient.episodes("register_stalled")) == 1
    assert len(strict.episodes("register_stalled")) == 2


def test_what_a_late_register_catches_up_with_flowed_since_it_moved(judge):
    """At 14 of 16 m³/h a register that is shown every three hours seems to rise by 42 m³ in an hour."""
    volume = [100 + 42 * (hour // 3) for hour in range(13)]
    case = judge(volume_m3=volume, flow_m3h=[14] * 13, meter={"qmax": 16.0})
    assert "flow_over_range_sustained" not in case.found
    strict = judge(
        volume_m3=volume, flow_m3h=[14] * 13, meter={"qmax": 16.0}, policy=Policy(stalled_late_at_most_s=0)
    )
    assert "flow_over_range_sustained" in strict.found
