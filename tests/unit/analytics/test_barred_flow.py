"""Gas where none may flow: behind a closed valve, and without a balance."""

from __future__ import annotations

import numpy as np
import pytest

from fleet.policy import Policy
from fleet.wire import VALVES

NAN = float("nan")
OPEN, CLOSED, MOVING, FAULT = range(len(VALVES))
PREPAID = {"prepaid": True, "low_balance": 50}


def test_flow_with_the_valve_closed_by_hand(judge):
    case = judge(
        valve=[OPEN, CLOSED, CLOSED, CLOSED, CLOSED, CLOSED, -1, CLOSED, CLOSED, OPEN, CLOSED, OPEN],
        flow_m3h=[4, 2, 0, 2, 3, 2.5, 9, NAN, 0, 5, 6, 5],
    )
    # The last gas of a closing valve is nothing; one snapshot above 0 decides nothing, the second does.
    assert case.flags("flow_with_valve_closed") == "guguFF-uggug"
    assert case.episodes("flow_with_valve_closed") == [(180, 480, 2, 2.5)]


def test_a_register_that_moves_behind_a_closed_valve(judge):
    case = judge(
        valve=[OPEN, CLOSED, CLOSED, CLOSED, CLOSED, CLOSED, CLOSED, OPEN],
        flow_m3h=[0] * 8,
        volume_m3=[100, 108, 108, 109, 110, NAN, 111, 119],
    )
    # What came up to the first closed report is the closing valve's; one step is resolution.
    assert case.flags("flow_with_valve_closed") == "guggFuFg"
    assert case.episodes("flow_with_valve_closed") == [(180, 420, 2, 0.667)]


def test_a_zero_that_creeps_is_no_flow(judge):
    closed = {"valve": [CLOSED] * 5, "volume_m3": [100] * 5}
    # Qmax is 100 m³/h: 0.05 is the most that a zero may show.
    assert judge(flow_m3h=[0.05] * 5, **closed).flags("flow_with_valve_closed") == "ugggg"
    assert judge(flow_m3h=[0.051] * 5, **closed).flags("flow_with_valve_closed") == "uFFFF"


def test_a_valve_that_was_opened_again_between_two_reports(judge):
    """The reminder closure at the alarm balance, opened again, and closed when nothing was left."""
    case = judge(
        meter=PREPAID,
        valve=[OPEN, CLOSED, CLOSED, CLOSED, CLOSED, CLOSED, OPEN],
        balance=[60, 45, 45, 0, 0, 300, 290],
        flow_m3h=[5, 2, 0, 3, 0, 4, 5],
        volume_m3=[100, 105, 105, 120, 120, 126, 130],
    )
    assert case.flags("flow_with_valve_closed") == "gugugug"
    assert case.flags("flow_without_balance") == "ggguggg"
    assert case.found == {"balance_low", "balance_exhausted"}


def test_nobody_knows_what_a_valve_did_in_a_long_gap(judge):
    case = judge(
        minutes=[0, 60, 120, 121 + 180, 360, 420],
        valve=[CLOSED] * 6,
        flow_m3h=[0] * 6,
        volume_m3=[100, 100, 100, 150, 150, 150],
    )
    assert case.flags("flow_with_valve_closed") == "uggugg"


@pytest.mark.parametrize("state", [MOVING, FAULT])
def test_a_valve_that_moves_or_is_at_fault_ends_the_run_but_not_the_finding(judge, state):
    case = judge(valve=[CLOSED, CLOSED, state, CLOSED, CLOSED, OPEN], flow_m3h=[2, 2, 2, 2, 2, 2])
    assert case.flags("flow_with_valve_closed") == "uFuuFg"
    assert case.episodes("flow_with_valve_closed") == [(0, 300, 2, 2)]


def test_roll_over_and_misread_registers_behind_a_closed_valve(judge):
    rolls = judge(meter={"register_digits": 4}, valve=[CLOSED] * 3, volume_m3=[9998, 9999, 1])
    assert rolls.flags("flow_with_valve_closed") == "ugF"
    for odd in ([100, 60, 100, 100], [100, 250, 100, 100], [100, 9999, 100, 100], [100, 5, 6, 7]):
        case = judge(valve=[CLOSED] * 4, volume_m3=odd)
        assert case.episodes("flow_with_valve_closed") == [], odd


def test_a_register_that_rises_too_fast_is_believed_at_the_next_sample(judge):
    case = judge(valve=[CLOSED] * 4, volume_m3=[100, 100, 250, 250])
    assert case.flags("flow_with_valve_closed") == "uguF"


def test_a_meter_exchanged_behind_a_closed_valve(judge):
    case = judge(valve=[CLOSED] * 4, volume_m3=[100, 100, 90_000, 90_000])
    assert case.episodes("flow_with_valve_closed") == []


def test_the_standard_register_speaks_where_there_is_no_other(judge):
    case = judge(valve=[CLOSED] * 3, std_volume_m3=[100, 101, 103])
    assert case.flags("flow_with_valve_closed") == "ugF"


def test_two_readings_at_one_time_confirm_nothing(judge):
    case = judge(minutes=[0, 60, 60, 120], valve=[CLOSED] * 4, flow_m3h=[0, 2, 2, 0])
    assert case.flags("flow_with_valve_closed") == "uuug"


def test_a_dropout_frame_and_a_missing_valve(judge):
    frames = judge(
        valve=[CLOSED, CLOSED, CLOSED, -1],
        flow_m3h=[2, 0, 2, 2],
        volume_m3=[100, 0, 100, 100],
        pressure_kpa=[101, 0, 101, 101],
    )
    assert frames.flags("flow_with_valve_closed") == "uuF-"
    assert judge(valve=[]).flags("flow_with_valve_closed") == ""
    assert judge(valve=[CLOSED], flow_m3h=[2]).flags("flow_with_valve_closed") == "u"


def test_flow_without_a_balance_by_hand(judge):
    case = judge(
        meter=PREPAID,
        balance=[9, 4, 0, 0, 0, -2, NAN, -2, -2, 500, 495],
        flow_m3h=[5, 5, 4, 3, 0, 0, 8, 0, 0, 5, 5],
        volume_m3=[100, 105, 109, 112, 112, 112, 112, 112, 112, 116, 121],
    )
    # Three cubic metres passed once; nothing moved for a few hours since, which is not long enough.
    assert case.flags("flow_without_balance") == "gguFuu-uugg"
    assert case.episodes("flow_without_balance") == [(120, 540, 1, 3)]


def test_a_top_up_that_does_not_reach_zero_begins_anew(judge):
    case = judge(meter=PREPAID, balance=[-9, -9, -3, -3], volume_m3=[100, 100, 105, 105])
    assert case.flags("flow_without_balance") == "ugug"


def test_overdraft_is_allowed_as_far_as_the_policy_says(judge):
    columns = {"balance": [5, -5, -10, -20, -25], "flow_m3h": [3] * 5}
    assert judge(meter=PREPAID, **columns).flags("flow_without_balance") == "guFFF"
    allowed = judge(meter=PREPAID, policy=Policy(overdraft=20), **columns)
    assert allowed.flags("flow_without_balance") == "ggguF"


def test_a_meter_that_is_not_prepaid_needs_no_balance(judge):
    assert judge(balance=[0, 0], flow_m3h=[2, 2]).flags("flow_without_balance") == "--"


SMALL = PREPAID | {"qmax": 16, "qmin": 0.1, "interval_s": 600, "register_step": 0.01}


def test_a_valve_that_closes_later_than_the_balance_is_used_up_by_hand(judge):
    case = judge(
        meter=SMALL,
        minutes=[0, 10, 20, 30, 40, 50, 60, 70],
        balance=[1.55, 0.71, 0, 0, 0, 0, 0, 500],
        valve=[OPEN, OPEN, OPEN, CLOSED, CLOSED, CLOSED, CLOSED, OPEN],
        flow_m3h=[8.4, 8.4, 8.5, 0, 0, 0, 0, 8],
        volume_m3=[2817.27, 2818.11, 2818.95, 2819.75, 2819.75, 2819.75, 2819.75, 2820],
    )
    assert case.flags("flow_without_balance") == "gguugggg"
    assert case.flags("flow_with_valve_closed") == "gggugggg"
    assert case.episodes("flow_without_balance") == []


@pytest.mark.parametrize("valve", [[OPEN, MOVING, CLOSED, CLOSED], [OPEN, OPEN, -1, CLOSED], [-1] * 4])
def test_the_last_gas_of_an_event_report(judge, valve):
    """Reported at once when the balance is used up, 5 litres at a 1 litre register before it is closed."""
    case = judge(
        meter=SMALL | {"register_step": 0.001},
        minutes=[9, 14, 14 + 1 / 3, 19],
        balance=[0.71, 0, 0, 0],
        valve=valve,
        flow_m3h=[8.4, 8.5, 0, 0],
        volume_m3=[2818.111, 2818.821, 2818.826, 2818.826],
    )
    assert case.episodes("flow_without_balance") == []
    assert case.episodes("flow_with_valve_closed") == []


def test_a_valve_that_says_closed_a_moment_early(judge):
    columns = {"valve": [OPEN, CLOSED, CLOSED, CLOSED], "flow_m3h": [8.4, 8.5, 0, 0]}
    early = {"meter": SMALL | {"register_step": 0.001}, "minutes": [9, 14, 19, 29]} | columns
    case = judge(volume_m3=[2818.111, 2818.821, 2818.824, 2818.824], **early)
    assert case.flags("flow_with_valve_closed") == "gugg"
    # In 30 s a meter of 16 m³/h lets 133 litres through at most.
    case = judge(volume_m3=[2818.111, 2818.821, 2818.955, 2818.955], **early)
    assert case.flags("flow_with_valve_closed") == "guFu"
    case = judge(policy=Policy(last_gas_s=0), volume_m3=[2818.111, 2818.821, 2818.824, 2818.824], **early)
    assert case.flags("flow_with_valve_closed") == "guFu"


def test_snapshots_while_a_valve_closes_are_its_last_gas(judge):
    case = judge(
        meter=SMALL,
        minutes=[0, 1 / 6, 1 / 3, 10, 20],
        valve=[CLOSED] * 5,
        flow_m3h=[8, 5, 2, 0, 0],
    )
    assert case.flags("flow_with_valve_closed") == "uuugg"


def test_gas_that_passed_once_is_over_after_a_day_of_rest_by_hand(judge):
    case = judge(
        meter=SMALL,
        minutes=[0, 10, 20, *range(30, 60 * 26, 25)],
        valve=[CLOSED] * (3 + 62),
        volume_m3=[100, 100.2] + [100.2] * 63,
    )
    # Nothing passes from minute 10 on; at minute 1450 a day of it is over, and so is the finding, since 10.
    assert case.flags("flow_with_valve_closed") == "uF" + "u" * 58 + "g" * 5
    assert case.episodes("flow_with_valve_closed") == [(0, 10, 1, 1.2)]


def test_a_valve_that_leaks_at_a_coarse_register_is_one_finding(judge):
    # One step of 1 m³ every 30 h for 20 days, then rest: over after 60 h.
    hours = np.arange(24 * 24)
    case = judge(valve=[CLOSED] * len(hours), volume_m3=(100 + np.minimum(hours, 480) // 30).tolist())
    (finding,) = case.episodes("flow_with_valve_closed")
    assert finding == (59 * 60, 480 * 60, 15, 0.033)
    assert case.flags("flow_with_valve_closed")[480:] == "F" + "u" * 59 + "g" * 36


def test_gas_that_passes_a_closed_valve_by_day_is_one_finding(judge):
    by_day = np.array([0.0] * 8 + [2.0] * 12 + [0.0] * 4)
    volume = 100 + np.cumsum(np.tile(by_day, 4))
    case = judge(valve=[CLOSED] * 96, flow_m3h=np.tile(by_day, 4).tolist(), volume_m3=volume.tolist())
    assert len(case.episodes("flow_with_valve_closed")) == 1


def test_a_rise_at_the_second_of_two_readings_at_one_time_is_seen_at_the_next(judge):
    case = judge(minutes=[0, 60, 60, 120, 180], valve=[CLOSED] * 5, volume_m3=[100, 100, 105, 105, 105])
    assert case.flags("flow_with_valve_closed") == "uguFu"


def test_a_valve_that_closes_begins_anew_what_the_balance_bars(judge):
    """Open although nothing is left, which is a finding; closed at last, which ends it."""
    case = judge(
        meter=PREPAID,
        balance=[5, 0, 0, 0, 0, 0],
        valve=[OPEN, OPEN, OPEN, CLOSED, CLOSED, CLOSED],
        volume_m3=[100, 105, 110, 118, 118, 118],
    )
    assert case.flags("flow_without_balance") == "guFugg"
    assert case.episodes("flow_without_balance") == [(60, 240, 1, 5)]
