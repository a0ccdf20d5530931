from __future__ import annotations

from fleet.policy import Policy

NAN = float("nan")


def test_reversals_and_misreadings_by_hand(judge):
    case = judge(volume_m3=[100, 110, 90, 95, 96, 106, 40, 116, 99_000, 126, 136])
    # 90 is confirmed by 95; 40 and 99,000 are contradicted by what follows.
    assert case.flags("register_reversed") == "ugFgggggggg"
    assert case.flags("sensor_glitch") == "ugggggSgSgg"
    assert case.episodes("register_reversed") == [(120, 180, 1, 20)]
    assert case.episodes("sensor_glitch") == [(360, 420, 1, None), (480, 540, 1, None)]


def test_a_fall_waits_for_the_next_reading(judge):
    case = judge(volume_m3=[100, 110, 90])
    assert case.flags("register_reversed") == "ugu"
    assert case.flags("sensor_glitch") == "ugu"
    assert case.found == set()


def test_a_meter_that_runs_backwards_is_one_episode(judge):
    case = judge(volume_m3=[100, 97, 94, 91, 88])
    assert case.flags("register_reversed") == "uFFFu"
    assert case.episodes("register_reversed") == [(60, None, 3, 3)]


def test_one_step_back_is_within_the_display(judge):
    case = judge(volume_m3=[100, 99, 98.9, 99.9])
    assert case.flags("register_reversed") == "uggg"


def test_a_fall_across_a_long_gap_is_an_exchanged_meter(judge):
    gap = 7 * 1440
    case = judge(minutes=[0, 60, 60 + gap, 120 + gap], volume_m3=[5000, 5010, 3, 9])
    assert "register_reversed" not in case.found
    sooner = judge(minutes=[0, 60, 59 + gap, 120 + gap], volume_m3=[5000, 5010, 3, 9])
    assert "register_reversed" in sooner.found


def test_a_fall_to_zero_from_half_the_top_is_no_roll_over(judge):
    case = judge(meter={"register_digits": 4}, volume_m3=[5000, 5010, 3, 9])
    assert case.flags("register_reversed") == "ugFg"


def test_a_small_register_that_is_read_once_a_day_rolls_over_from_afar_by_hand(judge):
    # 60 m³/h are 1,440 m³ a day, of at most 2,400: from 8,700 to 140, and from 8,780 to 220.
    daily = {"meter": {"register_digits": 4, "interval_s": 86400}, "minutes": [1440 * at for at in range(10)]}
    case = judge(**daily, volume_m3=[7260, 8700, 140, 1580, 3020, 4460, 5900, 7340, 8780, 220])
    assert case.flags("register_reversed") == "ugggggggg" + "u"
    assert case.flags("sensor_glitch") == "ugggggggg" + "u"
    assert case.found == set()


def test_a_fall_that_only_looks_like_a_roll_over_from_afar_is_found(judge):
    daily = {"meter": {"register_digits": 4, "interval_s": 86400}, "minutes": [1440 * at for at in range(6)]}
    misread = judge(**daily, volume_m3=[6800, 7700, 100, 7750, 7760, 7770])
    assert (misread.flags("sensor_glitch"), misread.found) == ("ugSggg", {"sensor_glitch"})
    further = judge(**daily, volume_m3=[6800, 7700, 100, 50, 60, 70])
    assert further.flags("register_reversed") == "ugFFgg"
    # More than Qmax in a day, and more than half the top.
    for fallen, qmax in ((300, 100), (2800, 1000)):
        case = judge(
            meter={"register_digits": 4, "interval_s": 86400, "qmax": qmax},
            minutes=daily["minutes"],
            volume_m3=[6800, 7700, fallen, fallen + 5, fallen + 9, fallen + 14],
        )
        assert case.flags("register_reversed") == "ugFggg", fallen


def test_the_standard_register_speaks_where_the_working_one_is_absent(judge):
    case = judge(std_volume_m3=[1000, 1100, 700, 750, 800])
    assert case.flags("register_reversed") == "ugFgg"
    both = judge(volume_m3=[10, 20, 30, 40, 50], std_volume_m3=[1000, 1100, 700, 750, 800])
    assert "register_reversed" not in both.found


def test_a_working_register_that_is_not_filled_in_raises_nothing(judge):
    case = judge(
        minutes=[0, 1440, 2880, 4320],
        meter={"interval_s": 86400},
        volume_m3=[0, 0, 0, 0],
        std_volume_m3=[13157, 13930, 14933, 15000],
        flow_m3h=[0, 70, 80, 0],
        pressure_kpa=[149, 149, 149, 149],
        temperature_c=[19, 16, 14, 15],
    )
    assert case.found == set()
    assert case.flags("flow_over_range_sustained") == "----"


def test_a_snapshot_of_zero_beside_a_moving_register_is_normal(judge):
    case = judge(volume_m3=[100, 106, 112, 118], flow_m3h=[0, 0, 0, 0])
    assert case.found == set()


def test_idle_or_stuck_by_hand(judge):
    policy = Policy(idle_after_s=3 * 3600)
    case = judge(
        policy=policy,
        volume_m3=[43, 43, 43, 43, 43, 44, 44, NAN, 44, 44],
        flow_m3h=[0, 0, 0, 0, 0, 0, 0, 0, 0, 2],
    )
    assert case.flags("idle_or_stuck") == "gggSSgg-Sg"
    assert case.episodes("idle_or_stuck") == [(0, 300, 2, 0.167), (300, 540, 1, 0.125)]


def test_a_misread_register_is_no_sign_of_use(judge):
    case = judge(policy=Policy(idle_after_s=3 * 3600), volume_m3=[43, 43, 9, 43, 43, 80_000, 43, 43])
    assert case.flags("idle_or_stuck") == "gggSSSSS"


def test_single_and_empty(judge):
    assert judge(volume_m3=[5]).found == set()
    assert judge(volume_m3=[5]).flags("register_reversed") == "u"
    nothing = judge(volume_m3=[])
    assert len(nothing.result.episodes) == 0
    assert all(len(flags) == 0 for flags in nothing.result.flags.values())


def test_a_register_that_falls_does_not_stand_still(judge):
    case = judge(volume_m3=[100, 140, 180, 60, 100, 140], flow_m3h=[40] * 6)
    assert case.found == {"register_reversed"}


def test_a_second_reading_of_one_moment_confirms_no_reversal(judge):
    case = judge(minutes=[0, 60, 120, 120, 180, 240], volume_m3=[100, 110, 40, 40, 120, 130])
    assert case.flags("register_reversed") == "uggugg"
    assert case.flags("sensor_glitch") == "ugSugg"


def test_a_register_misread_by_a_few_qmax_is_no_reversal(judge):
    case = judge(volume_m3=[1000, 1020, 1040, 1360, 1080, 1100, 1120])
    assert case.flags("register_reversed") == "ugggggg"
    assert case.flags("sensor_glitch") == "uggSggg"
    assert case.flags("flow_over_range_sustained") == "ugguggg"
    assert case.found == {"sensor_glitch"}


def test_a_burst_that_stays_is_no_glitch(judge):
    case = judge(volume_m3=[1000, 1020, 1340])
    assert case.flags("flow_over_range_sustained") == "ugu"
    case = judge(volume_m3=[1000, 1020, 1340, 1660, 1680])
    assert case.flags("sensor_glitch") == "ugggg"
    assert case.flags("flow_over_range_sustained") == "ugFFg"


def test_without_qmax_nothing_tells_a_roll_over_from_afar(judge):
    case = judge(
        meter={"register_digits": 4, "interval_s": 86400, "qmax": None},
        minutes=[1440 * at for at in range(5)],
        volume_m3=[7260, 8700, 140, 1580, 3020],
    )
    assert case.flags("register_reversed") == "ugFgg"
