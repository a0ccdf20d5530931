"""From messages to columns: who may say what, and when."""

from __future__ import annotations

import json

import numpy as np
import pytest

from fleet.readings import ABSENT
from ingest.admission import TimeWindow
from ingest.batch import AssembledBatch
from ingest.batch import assemble as assemble_columns
from ingest.delivery import Messages
from ingest.directory import Directory
from ingest.refusals import MOST_PAYLOAD_BYTES

NOW_US = 1_795_147_200_000_000
DIRECTORY = Directory.of([("M1", 11, "north"), ("M2", 12, "south")])
WINDOW = TimeWindow.around(NOW_US, 90)


def _message(payload: object, topic: str = "gas/v1/north/M1/telemetry") -> tuple[bytes, bytes]:
    return topic.encode(), payload if isinstance(payload, bytes) else json.dumps(payload).encode()


def assemble(messages: list[tuple[bytes, bytes]], directory: Directory, window: TimeWindow) -> AssembledBatch:
    topics, payloads = zip(*messages, strict=True)
    return assemble_columns(Messages(topics, payloads, [NOW_US + 5] * len(messages)), directory, window)


def _reading(**fields: object) -> dict[str, object]:
    return {"ts": NOW_US // 1000, "flow": 1.0, **fields}


def test_columns_carry_what_was_reported_and_nothing_else() -> None:
    first = _reading(seq=4, boot=2, valve="fault", status=["case_open"], pressure=101.5)
    batch = assemble([_message([first, _reading()])], DIRECTORY, WINDOW)
    readings = batch.readings
    assert readings.meter_key.tolist() == [11, 11]
    assert readings.device_time_us.tolist() == [NOW_US, NOW_US]
    assert readings.received_us.tolist() == [NOW_US + 5, NOW_US + 5]
    assert (readings.seq.tolist(), readings.boot.tolist()) == ([4, ABSENT], [2, ABSENT])
    assert (readings.valve.tolist(), readings.status_bits.tolist()) == ([3, ABSENT], [2, ABSENT])
    np.testing.assert_array_equal(readings.pressure_kpa, [101.5, np.nan])
    assert np.isnan(readings.battery_v).all()


@pytest.mark.parametrize(
    ("topic", "fields", "expected"),
    [
        ("gas/v1/north/M9/telemetry", {}, ("meter", "M9 is not registered")),
        ("gas/v1/south/M1/telemetry", {}, ("company", "belongs to another company")),
        ("gas/v1/north/M 1/telemetry", {}, ("topic", "is not gas/v1/")),
        ("gas/v1/north/M1/telemetry", {"meter": "M2"}, ("meter", "disagrees with the topic")),
        ("gas/v1/north/M1/telemetry", {"meter_id": "M2"}, ("meter_id", "disagrees with the topic")),
        ("gas/v1/north/M1/telemetry", {"company": "south"}, ("company", "disagrees with the topic")),
        ("gas/v1/north/M1/telemetry", {"ts": "1970-01-01T00:00:00Z"}, ("ts", "older than accepted")),
        ("gas/v1/north/M1/telemetry", {"ts": "2099-01-01T00:00:00Z"}, ("ts", "in the future")),
    ],
)
def test_what_topic_registry_and_clock_refuse(topic: str, fields: dict, expected: tuple[str, str]) -> None:
    batch = assemble([_message(_reading(**fields), topic)], DIRECTORY, WINDOW)
    assert len(batch.readings) == 0
    (refusal,) = batch.refusals
    ((reason),) = refusal.reasons
    assert reason.field == expected[0]
    assert expected[1] in reason.reason
    assert refusal.payload == json.dumps(_reading(**fields)).encode()


def test_all_reasons_are_given_at_once() -> None:
    batch = assemble([_message({"ts": 0, "flow": "x"}, "gas/v1/north/M9/telemetry")], DIRECTORY, WINDOW)
    assert [r.field for r in batch.refusals[0].reasons] == ["meter", "flow", "ts"]


def test_a_reading_of_wrong_types_is_told_also_what_else_is_wrong() -> None:
    good = _reading(meter="M2")
    bad = {"ts": "2099-01-01T00:00:00Z", "flow": "x", "meter_id": "M2", "company": "south"}
    empty = {"ts": 0, "meter": "M2"}
    batch = assemble([_message([good, bad, empty])], DIRECTORY, WINDOW)
    assert [(r.item, r.field) for r in batch.refusals[0].reasons] == [
        *[(0, "meter")],
        *[(1, field) for field in ("flow", "ts", "meter_id", "company")],
        *[(2, field) for field in ("payload", "ts", "meter")],
    ]
    assert batch.refusals[0].readings == 3


def test_the_edges_of_the_window_are_taken() -> None:
    edges = [_reading(ts=WINDOW.earliest_us // 1000), _reading(ts=WINDOW.latest_us // 1000)]
    assert len(assemble([_message(edges)], DIRECTORY, WINDOW).readings) == 2


def test_a_refused_reading_counts_as_kept_so_that_it_leaves_no_hole() -> None:
    payload = [_reading(boot=7, seq=1), _reading(boot=7, seq=2, flow="x"), _reading(boot=7, seq=3, ts=0)]
    batch = assemble([_message(payload)], DIRECTORY, WINDOW)
    assert sorted(batch.refused_sequence) == [(11, 7, 2), (11, 7, 3)]
    assert batch.readings.seq.tolist() == [1]
    assert batch.refusals[0].readings == 2


def test_a_stranger_cannot_move_the_mark_of_a_meter() -> None:
    batch = assemble([_message(_reading(boot=7, seq=1), "gas/v1/south/M1/telemetry")], DIRECTORY, WINDOW)
    assert batch.refused_sequence == []
    assert len(batch.readings) == 0


def test_a_reading_that_names_another_meter_does_not_count_for_this_one() -> None:
    payload = [_reading(boot=7, seq=1, meter="M2"), _reading(boot=7, seq=2, meter_id="M2", flow="x")]
    batch = assemble([_message(payload)], DIRECTORY, WINDOW)
    assert batch.refused_sequence == []
    assert batch.refusals[0].readings == 2


def test_readings_keep_their_meter_whatever_stands_around_them() -> None:
    """Single readings, arrays, refused ones and strangers in one batch, long enough to be decoded in pieces."""
    filler = " " * 2000
    messages, expected = [], []
    for number in range(400):
        meter, key = (("north/M1", 11), ("south/M2", 12))[number % 2]
        topic = f"gas/v1/{meter}/telemetry"
        kind = number % 5
        flows = [float(number), number + 0.5] if kind == 1 else [float(number)]
        readings = [_reading(flow=flow) for flow in flows]
        payload = json.dumps(readings if kind == 1 else readings[0]).encode() + filler.encode()
        if kind == 3:
            payload = payload.replace(b"}", b"")
        elif kind == 4:
            topic = topic.replace("/M", "/X")
        else:
            expected += [(key, flow) for flow in flows]
        messages.append((topic.encode(), payload))
    batch = assemble(messages, DIRECTORY, WINDOW)
    found = zip(batch.readings.meter_key.tolist(), batch.readings.flow_m3h.tolist(), strict=True)
    assert list(found) == expected
    assert {r.topic.split("/")[3][0] for r in batch.refusals if r.reasons[0].field == "meter"} == {"X"}
    assert len(batch.refusals) == 160


def test_a_message_too_large_is_refused_whole_and_its_neighbours_are_taken() -> None:
    large = json.dumps([_reading()] * 120_000).encode()
    assert len(large) > MOST_PAYLOAD_BYTES
    batch = assemble([_message(_reading()), _message(large), _message(_reading())], DIRECTORY, WINDOW)
    assert len(batch.readings) == 2
    (refusal,) = batch.refusals
    assert refusal.payload == large
    assert "more than 4194304" in refusal.reasons[0].reason


def test_a_large_array_of_nonsense_is_counted_and_not_explained_item_by_item() -> None:
    batch = assemble([_message([0] * 1000)], DIRECTORY, WINDOW)
    (refusal,) = batch.refusals
    assert refusal.readings == 1000
    assert [r.item for r in refusal.reasons] == [*range(100), None]
    assert refusal.reasons[-1].reason == "and more reasons"


def test_what_nobody_foresaw_in_one_message_does_not_stop_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_payload: bytes) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("ingest.admission.decode", fail)
    batch = assemble([_message(_reading()), _message(b"no json")], DIRECTORY, WINDOW)
    assert len(batch.readings) == 1
    assert [r.reasons[0].reason for r in batch.refusals] == ["cannot be examined: ZeroDivisionError"]


def test_the_directory_names_whom_it_does_not_know_and_learns() -> None:
    topics = [f"gas/v1/north/{meter}/telemetry".encode() for meter in ("M1", "M9", "M8", "M9")]
    other = [b"gas/v1/north/M2/telemetry", b"spBv1.0/x/NDATA/y", b"gas/v1/north/M1/status"]
    assert DIRECTORY.unknown([*topics, *other]) == ["M2", "M8", "M9"]
    assert DIRECTORY.updated([("M1", 11, "north")]) is DIRECTORY
    learnt = DIRECTORY.updated([("M9", 19, "north"), ("M2", 12, "north")])
    assert learnt.unknown([*topics, *other]) == ["M8"]
    assert learnt.meter_keys(topics) == [11, 19, ABSENT, 19]
    assert learnt.addresses == {11: ("north", "M1"), 12: ("north", "M2"), 19: ("north", "M9")}


def test_strange_topics_do_not_pile_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ingest.directory._MOST_STRANGE", 10)
    directory = Directory.of([("M1", 11, "north")])
    directory.meter_keys([b"gas/v1/north/M1/telemetry", *(b"x%d" % number for number in range(95))])
    assert len(directory._strange) <= 10
    assert directory.meter_keys([b"gas/v1/north/M1/telemetry"]) == [11]
