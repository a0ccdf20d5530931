import numpy as np
import pytest

from firmware_sim.meter import Telemetry
from firmware_sim.playback import Playback, Schedule
from fleet.readings import ReadingBatch

S = 1_000_000
#: The wall clock when playing begins.
T0 = 1_000 * S


def telemetry(
    times_s: list[int], sent_s: list[int] | None = None, meters: list[int] | None = None
) -> Telemetry:
    batch = ReadingBatch.build(
        meter_key=meters or [0] * len(times_s),
        device_time_us=np.array(times_s) * S,
        seq=np.arange(len(times_s)) + 1,
    )
    nothing = np.empty(0, dtype=np.int64)
    return Telemetry(batch, np.array(sent_s or times_s) * S, nothing, nothing)


def rows(messages) -> list[list[int]]:
    return [message.rows.tolist() for message in messages]


def test_a_history_plays_as_many_times_faster_as_asked():
    played = Playback(
        Schedule.of(telemetry([0, 100, 200, 300])), begin_us=0, end_us=400 * S, started_us=T0, speed=100
    )

    assert rows(played.take(T0, 99)) == [[0]]
    assert played.wait_s(T0, 9) == pytest.approx(1.0)
    assert rows(played.take(T0 + S // 2, 99)) == []
    assert played.wait_s(T0 + S // 2, 9) == pytest.approx(0.5)
    assert rows(played.take(T0 + 2 * S, 99)) == [[1], [2]]
    assert not played.finished
    assert rows(played.take(T0 + 3 * S, 99)) == [[3]]
    assert played.finished


@pytest.mark.parametrize("speed", [0.0, float("inf")])
def test_at_full_speed_only_the_room_bounds(speed):
    played = Playback(
        Schedule.of(telemetry([0, 100, 200, 300])), begin_us=0, end_us=400 * S, started_us=T0, speed=speed
    )

    assert rows(played.take(T0, 3)) == [[0], [1], [2]]
    assert rows(played.take(T0, 0)) == []
    assert played.wait_s(T0, 9) == 0
    assert rows(played.take(T0, 3)) == [[3]]


def test_after_the_history_the_present_plays_in_real_time():
    end_s = T0 // S
    played = Playback(
        Schedule.of(telemetry([end_s - 50, end_s + 10, end_s + 20])),
        begin_us=T0 - 100 * S,
        end_us=T0,
        started_us=T0,
        speed=100,
    )

    assert rows(played.take(T0 + S, 99)) == [[0]]
    assert played.wait_s(T0 + S, 99) == pytest.approx(9.0)
    assert rows(played.take(T0 + 9 * S, 99)) == []
    assert rows(played.take(T0 + 10 * S, 99)) == [[1]]
    assert rows(played.take(T0 + 20 * S, 99)) == [[2]]


def test_a_rate_bounds_messages_per_second():
    played = Playback(
        Schedule.of(telemetry(list(range(10)))), begin_us=0, end_us=100 * S, started_us=T0, rate=2.0
    )

    assert rows(played.take(T0, 99)) == []
    assert played.wait_s(T0, 9) == pytest.approx(0.5)
    assert len(played.take(T0 + S, 99)) == 2
    assert len(played.take(T0 + 3 * S, 99)) == 4


def test_what_one_meter_sends_at_one_moment_is_one_array_newest_first():
    late = telemetry([10, 20, 30, 10], sent_s=[30, 20, 30, 30], meters=[0, 0, 0, 1])

    schedule = Schedule.of(late)

    assert rows(schedule.message(at) for at in range(len(schedule))) == [[1], [2, 0], [3]]


def test_a_duplicate_is_a_message_of_its_own_and_marked():
    again = Telemetry(telemetry([10, 20]).readings, np.array([10, 20]) * S, np.array([0]), np.array([20]) * S)

    schedule = Schedule.of(again)
    messages = [schedule.message(at) for at in range(len(schedule))]

    assert [(m.rows.tolist(), m.duplicate) for m in messages] == [([0], False), ([1], False), ([0], True)]


def test_nothing_to_play_is_finished_at_once():
    played = Playback(Schedule.of(telemetry([])), begin_us=0, end_us=1, started_us=T0)

    assert played.finished
    assert played.take(T0, 9) == []
    assert played.wait_s(T0, 0.1) == 0.1
