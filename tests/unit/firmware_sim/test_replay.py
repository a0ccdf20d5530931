import numpy as np
import pytest

from firmware_sim.replay import as_telemetry, older_than, shift_to_end_at, with_sequence
from fleet.readings import ABSENT, ReadingBatch

HOUR = 3_600_000_000
END = 1_794_800_000_123_456


def history(**columns: object) -> ReadingBatch:
    return ReadingBatch.build(
        meter_key=[1, 0, 0],
        device_time_us=[5 * HOUR, 3 * HOUR, 4 * HOUR],
        volume_m3=[1.0, 2.0, 3.0],
        **columns,
    )


def test_all_times_move_by_one_amount_so_that_the_newest_is_the_end():
    shifted = shift_to_end_at(history(), END)

    assert shifted.device_time_us.max() == pytest.approx(END, abs=1000)
    assert shifted.device_time_us.max() <= END
    assert np.diff(shifted.device_time_us).tolist() == [-2 * HOUR, HOUR]


def test_a_shift_by_whole_hours_keeps_clock_aligned_windows():
    shifted = shift_to_end_at(history(), END, align_us=HOUR)

    assert (shifted.device_time_us % HOUR == 0).all()
    assert 0 <= END - shifted.device_time_us.max() < HOUR


def test_a_history_from_the_future_moves_back():
    shifted = shift_to_end_at(history(), 2 * HOUR)

    assert shifted.device_time_us.max() == 2 * HOUR


def test_arrival_times_move_along_and_absent_ones_stay_absent():
    shifted = shift_to_end_at(history(received_us=[6 * HOUR, ABSENT, 5 * HOUR]), END)

    assert shifted.received_us[1] == ABSENT
    assert shifted.received_us[0] - shifted.device_time_us[0] == HOUR


def test_a_file_without_numbers_is_numbered_by_meter_and_time():
    numbered = with_sequence(history())

    assert numbered.meter_key.tolist() == [0, 0, 1]
    assert numbered.seq.tolist() == [1, 2, 1]
    assert numbered.boot.tolist() == [1, 1, 1]
    assert numbered.volume_m3.tolist() == [2.0, 3.0, 1.0]


def test_a_file_with_numbers_keeps_them():
    numbered = with_sequence(history(seq=[9, 4, 5], boot=[2, 3, 3]))

    assert numbered.seq.tolist() == [4, 5, 9]
    assert numbered.boot.tolist() == [3, 3, 2]


def test_a_meter_that_lacks_some_numbers_is_numbered_alone():
    numbered = with_sequence(history(seq=[9, ABSENT, 5], boot=[2, 3, 3]), boot=8)

    assert numbered.seq.tolist() == [1, 2, 9]
    assert numbered.boot.tolist() == [8, 8, 2]


def test_a_repeated_row_is_sent_once():
    twice = ReadingBatch.concatenate([history(), history()])

    assert with_sequence(twice).seq.tolist() == [1, 2, 1]


def test_readings_without_a_measurement_are_left_out():
    batch = ReadingBatch.build(
        meter_key=[0, 0], device_time_us=[HOUR, 2 * HOUR], volume_m3=[np.nan, 7.0], valve=[0, 0]
    )

    telemetry = as_telemetry(batch, end_us=END)

    assert telemetry.readings.volume_m3.tolist() == [7.0]
    assert telemetry.readings.seq.tolist() == [1]
    assert telemetry.sent_us.tolist() == telemetry.readings.device_time_us.tolist()


def test_nothing_recorded_is_nothing_to_send():
    assert len(as_telemetry(ReadingBatch.empty(), end_us=END).readings) == 0


def test_readings_too_old_for_a_server_are_counted():
    assert older_than(history(), 1, 4 * HOUR + 24 * HOUR + 1) == 2
