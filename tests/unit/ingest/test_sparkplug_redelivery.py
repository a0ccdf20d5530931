"""Sparkplug B: a broker delivers again what it had no acknowledgement of, however much that is."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.formats import sparkplug_seen
from ingest.formats.sparkplug import SparkplugDecoder
from ingest.formats.sparkplug_readings import Births
from ingest.formats.sparkplug_result import SparkplugResult
from ingest.formats.sparkplug_seen import WINDOW_MESSAGES, Seen
from tests.unit.ingest.test_sparkplug import (
    DEVICE,
    NODE,
    NOW_US,
    SECOND_US,
    T,
    device_birth,
    flows,
    node_birth,
    payload,
    running,
)

Message = tuple[str, bytes]


def data(first: int, end: int, at: int = T) -> list[Message]:
    """Data messages that begin with a sequence number; the flow of each is its number."""
    bodies = [
        payload(n % 256, {"alias": 1, "double_value": float(n)}, at=at + 1000 * n) for n in range(first, end)
    ]
    return [(DEVICE.format("DDATA"), body) for body in bodies]


def birth(at: int, bd_seq: int = 7) -> list[Message]:
    return [
        (NODE.format("NBIRTH"), node_birth(bd_seq, at=at)),
        (DEVICE.format("DBIRTH"), device_birth(at=at)),
    ]


def swapped_birth(seq: int, at: int) -> Message:
    """A birth of the device by which the alias of the flow is the volume's."""
    metrics = {"name": b"volume", "alias": 1, "datatype": 10, "double_value": 9.0}
    return DEVICE.format("DBIRTH"), payload(seq, metrics, at=at)


def tell(decoder: SparkplugDecoder, messages: list[Message], at_us: int = NOW_US) -> list[SparkplugResult]:
    return [decoder.decode(*message, at_us) for message in messages]


def assert_repeated(again: list[SparkplugResult], first: list[SparkplugResult]) -> None:
    assert [result.decoded for result in again] == [result.decoded for result in first]
    assert not any(result.statuses or result.rebirths for result in again)


@pytest.mark.parametrize("number", [1, 256, 257, 400, 3000])
def test_any_number_of_messages_may_come_again(number: int) -> None:
    decoder, messages = running(), data(2, 3002)
    first = tell(decoder, messages)
    assert_repeated(tell(decoder, messages[-number:], NOW_US + SECOND_US), first[-number:])
    after = tell(decoder, data(3002, 3100))
    assert [flows(result) for result in after] == [[("M1", float(n))] for n in range(3002, 3100)]
    assert not any(result.rebirths for result in after)


@pytest.mark.parametrize("bd_seq", [7, 8])
@pytest.mark.parametrize("start", [1, 2, 50, 51, 52, 300])
def test_a_birth_in_the_middle_of_what_comes_again_changes_nothing(start: int, bd_seq: int) -> None:
    decoder = SparkplugDecoder()
    later = T + 10_000_000
    messages = [*birth(T), *data(2, 350), *birth(later, bd_seq), *data(2, 51, later)]
    first = tell(decoder, messages)
    assert_repeated(tell(decoder, messages[start:], NOW_US + SECOND_US), first[start:])
    (result,) = tell(decoder, data(51, 52, later))
    assert (flows(result), result.rebirths) == ([("M1", 51.0)], [])


def test_aliases_are_read_by_the_births_of_their_time() -> None:
    decoder, old = running(), data(2, 40)
    messages = [*old, swapped_birth(40, T + 100_000), *data(41, 60)]
    first = tell(decoder, messages)
    assert flows(first[-1]) == [("M1", None)]
    assert_repeated(tell(decoder, messages, NOW_US + SECOND_US), first)


def test_what_was_refused_for_a_missing_message_is_refused_again() -> None:
    decoder, messages = running(), data(3, 20)
    first = tell(decoder, messages)
    assert_repeated(tell(decoder, messages, NOW_US + SECOND_US), first)


def test_messages_without_any_time_may_repeat_their_bytes() -> None:
    decoder = running()
    for n in range(2, 1200):
        signal = payload(n % 256, {"name": b"rssi", "datatype": 3, "int_value": n // 256 % 2}, at=None)
        assert decoder.decode(DEVICE.format("DDATA"), signal, NOW_US).rebirths == []
    assert flows(tell(decoder, data(1200, 1201))[0]) == [("M1", 1200.0)]


@settings(max_examples=40)
@given(stop=st.integers(0, 700), back=st.integers(0, 700), reborn=st.booleans())
def test_wherever_delivery_stops_and_begins_again_all_is_read(stop: int, back: int, *, reborn: bool) -> None:
    decoder, later = running(), T + 10_000_000
    messages = [*data(2, 300), *(birth(later) if reborn else []), *data(2 if reborn else 300, 500, later)]
    stop = min(stop, len(messages))
    tell(decoder, messages[:stop])
    results = tell(decoder, messages[max(0, stop - back) :])
    assert not any(result.rebirths for result in results)
    assert not any(decoded.reasons for result in results for _, decoded in result.decoded)


def test_the_whole_receive_window_is_remembered_and_no_more_than_twice_as_much() -> None:
    seen = Seen()
    for n in range(5 * WINDOW_MESSAGES):
        seen.note(n, "")
        if n % 10_000 == 0:
            assert seen.recall(max(0, n - WINDOW_MESSAGES + 1)) == ""
    assert len(seen._recent) + len(seen._older) <= 2 * WINDOW_MESSAGES
    assert seen.recall(0) is None


def test_births_that_explain_messages_are_forgotten_before_they_fill_memory(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sparkplug_seen, "_MOST_BYTES", 8_000)
    seen = Seen()
    for n in range(1000):
        seen.note(n, Births(dict.fromkeys(range(10), "flow"), {}))
    assert len(seen._recent) + len(seen._older) <= 22
    assert seen.recall(999) is not None


def test_a_copy_of_what_was_seen_stays_as_it_is() -> None:
    seen = Seen()
    seen.note(1, "")
    kept = seen.copy()
    for n in range(2, WINDOW_MESSAGES + 10):
        seen.note(n, "")
    assert (kept.recall(1), kept.recall(2)) == ("", None)
