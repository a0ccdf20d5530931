from __future__ import annotations

from fleet.policy import Policy

NAN = float("nan")


def test_dropout_frames_by_hand(judge):
    case = judge(
        #         good, blank, blank, good, cold, vacuum, no temp, 0 at new meter
        volume_m3=[500, 0, 0, 501, 502, 503, 0, 0],
        pressure_kpa=[104, 0, 0, 104, 104, 0, 0, 104],
        temperature_c=[12, 0, 0, 12, 0, 12, NAN, 12],
        flow_m3h=[3, 0, 0, 3, 3, 3, 0, 0],
    )
    assert case.flags("dropout_frame") == "gFFgggFg"
    assert case.episodes("dropout_frame") == [(60, 180, 2, 0), (360, 420, 1, 0)]
    # Nothing else is said of them, and they were heard.
    assert case.flags("flow_over_range") == "guugggug"
    assert case.flags("register_reversed") == "uuuggguu"
    assert case.flags("meter_silent") == "uggggggg"
    assert "meter_silent" not in case.found


def test_an_empty_battery_blanks_a_frame_too(judge):
    case = judge(volume_m3=[5, 0, 6], battery_v=[3.6, 0, 3.6], temperature_c=[9, 0, 9])
    assert case.flags("dropout_frame") == "gFg"


def test_the_standard_register_may_survive_in_a_dropout_frame(judge):
    case = judge(
        volume_m3=[500, 0, 501],
        std_volume_m3=[520, 520, 521],
        pressure_kpa=[104, 0, 104],
        temperature_c=[9, 0, 9],
    )
    assert case.flags("dropout_frame") == "gFg"
    assert case.found == {"dropout_frame"}


def test_temperature_glitches_by_hand(judge):
    case = judge(temperature_c=[20.2, 20.2, 59.4, 19.6, 19.4, -40, NAN, 19.2, 45, 45, 44])
    # 59.4 and -40 stand alone; 45 comes twice, so it is no single sample.
    assert case.flags("sensor_glitch") == "ugSggS-gggg"
    assert case.episodes("sensor_glitch") == [(120, 180, 1, 59.4), (300, 420, 1, -40)]
    assert case.found == {"sensor_glitch"}


def test_a_step_to_another_side_is_no_glitch(judge):
    assert judge(temperature_c=[20, 45, 70, 71]).flags("sensor_glitch") == "uggg"


def test_exactly_the_threshold_is_no_glitch(judge):
    case = judge(temperature_c=[20, 40, 20, 40.001, 20, 20], policy=Policy(glitch_temperature_k=20))
    assert case.flags("sensor_glitch") == "uggSgg"


def test_the_last_sample_waits_where_it_is_far_off(judge):
    case = judge(temperature_c=[20, 20, 60])
    assert case.flags("sensor_glitch") == "ugu"
    assert case.found == set()


def test_the_first_sample_is_never_judged(judge):
    assert judge(temperature_c=[60, 20, 20]).flags("sensor_glitch") == "ugg"
    assert judge(temperature_c=[60]).flags("sensor_glitch") == "u"


def test_a_dropout_frame_is_no_neighbour(judge):
    case = judge(
        temperature_c=[26, 0, 26, 60, 26], volume_m3=[9, 0, 9, 9, 9], pressure_kpa=[104, 0, 104, 104, 104]
    )
    assert case.flags("sensor_glitch") == "uugSg"


def test_a_blanked_standard_register_is_a_dropout_where_there_is_no_other(judge):
    case = judge(
        std_volume_m3=[500, 0, 0, 501, 502, 503],
        pressure_kpa=[104, 0, 0, 104, 104, 104],
        temperature_c=[9, 0, 0, 9, 9, 9],
    )
    assert case.flags("dropout_frame") == "gFFggg"
    assert case.found == {"dropout_frame"}


def test_a_frame_of_zeros_is_a_dropout_once_the_register_was_above_zero(judge):
    case = judge(
        #         new meter, freezing; in use; blanked twice
        volume_m3=[0, 0, 1, 7, 0, 0, 8, 9],
        temperature_c=[0, 0, 4, 4, 0, 0, 4, 4],
        flow_m3h=[0, 0, 6, 6, 0, 0, 6, 6],
    )
    assert case.flags("dropout_frame") == "ggggFFgg"
    assert case.found == {"dropout_frame"}


def test_a_frame_of_zeros_beside_a_pressure_is_the_registers_own_fault(judge):
    case = judge(volume_m3=[7, 0, 0, 8], temperature_c=[4, 0, 0, 4], pressure_kpa=[104, 104, 104, 104])
    assert case.flags("dropout_frame") == "gggg"


def test_a_second_reading_of_one_moment_confirms_no_temperature(judge):
    case = judge(minutes=[0, 60, 120, 120, 180, 240], temperature_c=[20, 20, 60, 60, 20, 20])
    assert case.flags("sensor_glitch") == "ugSugg"


def test_a_meter_without_sensors_that_sends_zeros_for_them_is_judged_like_any_other(judge):
    case = judge(volume_m3=[0] * 6, battery_v=[0] * 6, temperature_c=[0] * 6, flow_m3h=[0, 0, 0, 150, 150, 0])
    assert case.flags("dropout_frame") == "gggggg"
    assert case.flags("flow_over_range") == "gggFFg"


def test_a_frame_of_zeros_without_any_sensor_is_a_dropout_after_use(judge):
    case = judge(
        meter={"prepaid": True, "low_balance": 50},
        volume_m3=[100, 105, 0, 0, 0, 110],
        flow_m3h=[5, 5, 0, 0, 0, 5],
        balance=[300, 299, 0, 0, 0, 298],
    )
    assert case.flags("dropout_frame") == "ggFFFg"
    assert case.found == {"dropout_frame"}
