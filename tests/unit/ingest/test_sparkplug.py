"""Sparkplug B: golden payloads, the state of edge nodes, and what happens to what cannot be explained."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.formats.sparkplug import SparkplugDecoder
from ingest.formats.sparkplug_b_pb2 import Payload
from ingest.formats.sparkplug_result import SparkplugResult

T = 1_795_147_200_000
NOW_US = T * 1000
SECOND_US = 1_000_000
NODE, DEVICE = "spBv1.0/G/{}/E", "spBv1.0/G/{}/E/M1"
COMMAND = "spBv1.0/G/NCMD/E"

# Written by another implementation from the published protobuf definition (mqtt-spb-wrapper 2.1.2).
HEX = {
    "NBIRTH": "0880ecf1b89f3412120a0562645365711880ecf1b89f342008580712210a144e6f646520436f6e74726f6c2f526562697274681880ecf1b89f34200b700012290a1850726f706572746965732f4861726477617265204d616b651880ecf1b89f34200c7a0441434d451800",
    "DBIRTH": "0880ecf1b89f34122f0a084761732f666c6f7710011880ecf1b89f3420094a130a07656e67556e69741208080c42046d332f6865b81e654012200a0a4761732f766f6c756d6510021880ecf1b89f34200a69cdcccccc6c8ae74012220a0f4761732f74656d706572617475726510031880ecf1b89f34200350fbffffff0f121e0a0b56616c76652f76616c766510041880ecf1b89f34200c7a046f70656e12120a0373657110051880ecf1b89f342008580c12160a0762616c616e636510061880ecf1b89f34200a380112260a07486973746f727910071880ecf1b89f342010420642046b6570748a0107080112016118031801",
    "DDATA": "08e0c0f5b89f34120e100118e0c0f5b89f346500008840120b100518e0c0f5b89f34580d1211100318b0d6f3b89f34280150feffffff0f1802",
    "NDEATH": "0880ecf1b89f3412120a0562645365711880ecf1b89f3420085807",
    "NCMD": "0880ecf1b89f3412210a144e6f646520436f6e74726f6c2f526562697274681880ecf1b89f34200b7001",
}
GOLDEN = {name: bytes.fromhex(text) for name, text in HEX.items()}


def payload(seq: int | None, *metrics: dict, at: int | None = T) -> bytes:
    message = Payload(timestamp=at, seq=seq)
    for metric in metrics:
        message.metrics.add(**{"timestamp": at, **metric})
    return message.SerializeToString()


def node_birth(bd_seq: int = 7, seq: int = 0, at: int = T) -> bytes:
    return payload(seq, {"name": b"bdSeq", "datatype": 8, "long_value": bd_seq}, at=at)


def device_birth(seq: int = 1, at: int = T) -> bytes:
    return payload(
        seq,
        {"name": b"Gas/flow", "alias": 1, "datatype": 10, "double_value": 1.0},
        {"name": b"Gas/seq", "alias": 2, "datatype": 8, "long_value": 1},
        at=at,
    )


def flow(seq: int, value: float, at: int | None = None) -> bytes:
    return payload(seq, {"alias": 1, "double_value": value}, at=T + 1000 * seq if at is None else at)


def running() -> SparkplugDecoder:
    """A decoder that knows edge node E with meter M1, and waits for number 2."""
    decoder = SparkplugDecoder()
    decoder.decode(NODE.format("NBIRTH"), node_birth(), NOW_US)
    decoder.decode(DEVICE.format("DBIRTH"), device_birth(), NOW_US)
    return decoder


def flows(result: SparkplugResult) -> list[tuple[str | None, float | None]]:
    return [(meter, reading.flow) for meter, decoded in result.decoded for _, reading in decoded.readings]


def reasons(result: SparkplugResult) -> list[tuple]:
    return [(meter, r.item, r.field, r.reason) for meter, decoded in result.decoded for r in decoded.reasons]


def test_golden_birth_and_data_are_read_as_they_were_meant() -> None:
    decoder = SparkplugDecoder()
    node = decoder.decode(NODE.format("NBIRTH"), GOLDEN["NBIRTH"], NOW_US)
    assert node == SparkplugResult([], [("E", True)], [])
    birth = decoder.decode(DEVICE.format("DBIRTH"), GOLDEN["DBIRTH"], NOW_US)
    assert (birth.statuses, birth.rebirths, reasons(birth)) == ([("M1", True)], [], [])
    ((_, decoded),) = birth.decoded
    ((item, reading),) = decoded.readings
    assert (item, decoded.times_us, decoded.unknown_fields) == (0, [NOW_US], 1)
    assert (reading.flow, reading.volume, reading.temperature) == (3.58, 48211.4, -5.0)
    assert (reading.valve, reading.seq, reading.balance) == ("open", 12, None)
    data = decoder.decode(DEVICE.format("DDATA"), GOLDEN["DDATA"], NOW_US)
    ((meter, decoded),) = data.decoded
    assert (meter, decoded.reasons, data.rebirths) == ("M1", [], [])
    assert decoded.times_us == [NOW_US + 60 * SECOND_US, NOW_US + 30 * SECOND_US]
    assert [(r.flow, r.seq, r.temperature) for _, r in decoded.readings] == [
        (4.25, 13, None),
        (None, None, -2.0),
    ]
    death = decoder.decode(NODE.format("NDEATH"), GOLDEN["NDEATH"], NOW_US)
    assert death == SparkplugResult([], [("E", False), ("M1", False)], [])


def test_the_rebirth_command_is_what_the_published_definition_writes() -> None:
    result = SparkplugDecoder().decode(DEVICE.format("DDATA"), GOLDEN["DDATA"], NOW_US)
    assert [(request.topic, request.payload) for request in result.rebirths] == [(COMMAND, GOLDEN["NCMD"])]


VALUES = [
    ({"name": b"flow", "double_value": 1.5}, "flow", 1.5),
    ({"name": b"A/B/flow", "float_value": 0.1}, "flow", 0.1),
    ({"name": b"flow", "datatype": 7, "int_value": 3}, "flow", 3.0),
    ({"name": b"flow", "datatype": 1, "int_value": 0xFF}, "flow", -1.0),
    ({"name": b"flow", "datatype": 2, "int_value": 0xFFFFFFFE}, "flow", -2.0),
    ({"name": b"balance", "datatype": 4, "long_value": 2**64 - 3}, "balance", -3.0),
    ({"name": b"status", "datatype": 12, "string_value": b"low_oil, case_open"}, "status", ["low_oil", "case_open"]),
    ({"name": b"status", "datatype": 33, "bytes_value": b"low_oil\0case_open\0"}, "status", ["low_oil", "case_open"]),
    ({"name": b"status", "datatype": 12, "string_value": b""}, "status", []),
    ({"name": b"Z\xe4hler/flow", "double_value": 2.0}, "flow", 2.0),
]  # fmt: skip


@pytest.mark.parametrize(("metric", "field", "value"), VALUES, ids=[repr(v[0]) for v in VALUES])
def test_values_of_every_type_are_read(metric: dict, field: str, value: object) -> None:
    result = running().decode(DEVICE.format("DDATA"), payload(2, metric), NOW_US)
    ((_, decoded),) = result.decoded
    assert (decoded.reasons, getattr(decoded.readings[0][1], field)) == ([], value)


WRONG = [
    ({"name": b"flow", "boolean_value": True}, "flow", "True is not a number"),
    ({"name": b"flow", "string_value": b"1.5"}, "flow", "'1.5' is not a number"),
    ({"name": b"flow", "double_value": float("nan")}, "flow", "nan is not a finite number"),
    ({"name": b"flow", "float_value": float("inf")}, "flow", "inf is not a finite number"),
    ({"name": b"flow", "int_value": 3}, "flow", "the integer 3 of unknown data type is not a number"),
    ({"name": b"flow", "datatype": 10, "int_value": 3}, "flow", "the integer 3 of data type 10 is not a number"),
    ({"name": b"flow", "dataset_value": b"x"}, "flow", "a dataset is not a number"),
    ({"name": b"seq", "double_value": 1.0}, "seq", "1.0 is not a whole number"),
    ({"name": b"seq", "datatype": 8, "long_value": 2**63}, "seq", "is not a whole number"),
    ({"name": b"valve", "string_value": b"ajar"}, "valve", "'ajar' is none of"),
    ({"name": b"valve", "string_value": b"\xff"}, "valve", "not UTF-8, is none of"),
    ({"name": b"status", "datatype": 33, "bytes_value": b"\xff"}, "status", "not UTF-8, is not a list of codes"),
    ({"name": b"status", "bytes_value": b"x"}, "status", "a bytes is not a list of codes"),
    ({"name": b"flow", "double_value": 1.0, "timestamp": 2**60}, "ts", "is beyond any time"),
    ({"alias": 99, "double_value": 1.0}, "metric", "alias 99 is not known: it is in no birth"),
    ({"double_value": 1.0}, "metric", "has neither name nor alias"),
]  # fmt: skip


@pytest.mark.parametrize(("metric", "field", "part"), WRONG, ids=[repr(w[0]) for w in WRONG])
def test_a_wrong_metric_is_refused_by_field_and_its_neighbour_taken(metric, field, part) -> None:
    good = {"name": b"flow", "double_value": 8.0, "timestamp": T + 5}
    result = running().decode(DEVICE.format("DDATA"), payload(2, metric, good), NOW_US)
    assert flows(result) == [("M1", 8.0)]
    ((meter, item, where, reason),) = reasons(result)
    assert (meter, item, where, result.decoded[0][1].refused) == ("M1", 0, field, 1)
    assert part in reason


def test_a_metric_without_any_time_is_refused() -> None:
    message = payload(2, {"name": b"flow", "double_value": 1.0, "timestamp": None}, at=None)
    assert reasons(running().decode(DEVICE.format("DDATA"), message, NOW_US)) == [
        ("M1", 0, "ts", "is missing")
    ]


def test_two_values_of_one_field_and_moment_are_refused() -> None:
    twice = payload(2, {"name": b"A/flow", "double_value": 1.0}, {"name": b"B/flow", "double_value": 2.0})
    ((meter, item, where, reason),) = reasons(running().decode(DEVICE.format("DDATA"), twice, NOW_US))
    assert (meter, item, where) == ("M1", 0, "flow")
    assert "given twice for one moment, the second time by 'B/flow'" in reason


def test_nulls_and_what_is_not_of_meters_make_no_reading() -> None:
    message = payload(2, {"alias": 1, "is_null": True}, {"name": b"rssi", "datatype": 3, "int_value": 5})
    assert running().decode(DEVICE.format("DDATA"), message, NOW_US) == SparkplugResult()


WHOLE = [
    ("spBv1.0/G/NDATA", b"", "topic", "is not spBv1.0/"),
    ("spBv1.0/G/DDATA/E", b"", "topic", "is not spBv1.0/"),
    ("spBv1.0/G/NDATA/E/M1", b"", "topic", "is not spBv1.0/"),
    ("spBv1.0/G/NDATA/", b"", "topic", "is not spBv1.0/"),
    ("spBv1.0/#/NDATA/E", b"", "topic", "is not spBv1.0/"),
    ("spAv1.0/G/NDATA/E", b"", "topic", "is not spBv1.0/"),
    ("spBv1.0/G/NDATA/E", b"\xff", "payload", "is not a Sparkplug B payload"),
    ("spBv1.0/G/NDATA/E", b"{}", "payload", "is not a Sparkplug B payload"),
    ("spBv1.0/G/NDATA/E", b"\x22\x12SPBV1.0_COMPRESSED", "payload", "is compressed"),
    ("spBv1.0/G/NDATA/E", b"", "payload", "holds no metric"),
    ("spBv1.0/G/NDEATH/E", b"", "bdSeq", "is missing"),
    ("spBv1.0/G/NDATA/no id", payload(0, {"name": b"flow", "double_value": 1.0}), "meter", "'no id' is no meter's id"),
]  # fmt: skip


@pytest.mark.parametrize(("topic", "message", "field", "part"), WHOLE)
def test_a_message_that_is_wrong_as_a_whole_says_why(topic, message, field, part) -> None:
    result = SparkplugDecoder().decode(topic, message, NOW_US)
    ((meter, item, where, reason),) = reasons(result)
    assert (meter, item, where, result.decoded[0][1].refused) == (None, None, field, 1)
    assert part in reason


@pytest.mark.parametrize("topic", ["spBv1.0/STATE/host", "STATE/host", COMMAND, "spBv1.0/G/DCMD/E/M1"])
def test_what_hosts_say_is_ignored(topic: str) -> None:
    assert SparkplugDecoder().decode(topic, b"\xff", NOW_US) == SparkplugResult()


def test_the_edge_node_itself_may_be_a_meter() -> None:
    decoder = running()
    result = decoder.decode(NODE.format("NDATA"), payload(2, {"name": b"flow", "double_value": 6.0}), NOW_US)
    assert (flows(result), result.rebirths) == ([("E", 6.0)], [])


def test_the_sequence_goes_on_after_255_with_0() -> None:
    decoder = running()
    results = [decoder.decode(DEVICE.format("DDATA"), flow(n % 256, n, T + n), NOW_US) for n in range(2, 600)]
    assert [flows(result) for result in results] == [[("M1", float(n))] for n in range(2, 600)]
    assert not any(result.rebirths for result in results)


def test_after_a_missed_message_aliases_wait_for_the_rebirth_and_names_do_not() -> None:
    decoder = running()
    both = payload(
        5, {"alias": 1, "double_value": 1.0}, {"name": b"flow", "double_value": 2.0, "timestamp": T + 1}
    )
    result = decoder.decode(DEVICE.format("DDATA"), both, NOW_US)
    assert flows(result) == [("M1", 2.0)]
    assert "alias 1 is not known: a message before it is missing" in reasons(result)[0][3]
    assert [request.topic for request in result.rebirths] == [COMMAND]
    assert flows(decoder.decode(DEVICE.format("DDATA"), flow(6, 3.0), NOW_US)) == []
    decoder.decode(NODE.format("NBIRTH"), node_birth(at=T + 9), NOW_US)
    assert flows(decoder.decode(DEVICE.format("DBIRTH"), device_birth(at=T + 9), NOW_US)) == [("M1", 1.0)]
    assert flows(decoder.decode(DEVICE.format("DDATA"), flow(2, 4.0), NOW_US)) == [("M1", 4.0)]


def test_data_before_a_birth_are_refused_and_births_asked_for() -> None:
    decoder = SparkplugDecoder()
    result = decoder.decode(DEVICE.format("DDATA"), flow(2, 1.0), NOW_US)
    assert "the edge node's birth is missing" in reasons(result)[0][3]
    decoder.decode(NODE.format("NBIRTH"), node_birth(), NOW_US)
    result = decoder.decode(DEVICE.format("DDATA"), flow(1, 1.0), NOW_US + 10 * SECOND_US)
    assert "the device's birth is missing" in reasons(result)[0][3]
    assert [request.topic for request in result.rebirths] == [COMMAND]


def test_a_device_birth_before_its_edge_nodes_is_read_all_the_same() -> None:
    result = SparkplugDecoder().decode(DEVICE.format("DBIRTH"), device_birth(), NOW_US)
    assert (flows(result), result.statuses, len(result.rebirths)) == ([("M1", 1.0)], [("M1", True)], 1)


def test_births_are_asked_for_once_in_ten_seconds_and_edge_node() -> None:
    decoder = SparkplugDecoder()
    asked = [
        len(decoder.decode(f"spBv1.0/G/DDATA/{edge}/M1", flow(2, 1.0), NOW_US + at).rebirths)
        for edge, at in [("E", 0), ("E", 9_999_999), ("F", 1), ("E", 10_000_000), ("F", 9_999_999), ("E", -5)]
    ]
    assert asked == [1, 0, 1, 1, 0, 1], "a clock that was put back does not silence it"


def test_memory_of_who_was_asked_does_not_grow_with_invented_edge_nodes() -> None:
    decoder = SparkplugDecoder()
    for n in range(1000):
        decoder.decode(f"spBv1.0/G/DDATA/E{n}/M1", flow(2, 1.0), NOW_US + n * SECOND_US)
    assert len(decoder.snapshot().rebirths) < 30


def test_an_unknown_alias_asks_for_births() -> None:
    result = running().decode(DEVICE.format("DDATA"), payload(2, {"alias": 99, "double_value": 1.0}), NOW_US)
    assert [request.topic for request in result.rebirths] == [COMMAND]


def test_the_death_of_an_earlier_session_is_ignored() -> None:
    decoder = running()
    late = payload(None, {"name": b"bdSeq", "datatype": 8, "long_value": 6})
    assert decoder.decode(NODE.format("NDEATH"), late, NOW_US) == SparkplugResult()
    assert flows(decoder.decode(DEVICE.format("DDATA"), flow(2, 2.0), NOW_US)) == [("M1", 2.0)]


def test_after_its_death_an_edge_node_has_to_be_born_again() -> None:
    decoder = running()
    decoder.decode(NODE.format("NDEATH"), GOLDEN["NDEATH"], NOW_US)
    result = decoder.decode(DEVICE.format("DDATA"), flow(2, 2.0), NOW_US)
    assert (flows(result), len(result.rebirths)) == ([], 1)
    assert decoder.decode(NODE.format("NBIRTH"), node_birth(8), NOW_US).statuses == [("E", True)]


def test_the_death_of_an_unknown_edge_node_is_told() -> None:
    result = SparkplugDecoder().decode(NODE.format("NDEATH"), GOLDEN["NDEATH"], NOW_US)
    assert result == SparkplugResult([], [("E", False)], [])


def test_a_new_session_takes_the_devices_of_the_old_one_offline() -> None:
    result = running().decode(NODE.format("NBIRTH"), node_birth(8), NOW_US)
    assert result.statuses == [("M1", False), ("E", True)]


def test_a_rebirth_leaves_devices_online_until_their_births() -> None:
    decoder = running()
    assert decoder.decode(NODE.format("NBIRTH"), node_birth(at=T + 5), NOW_US).statuses == [("E", True)]
    assert decoder.decode(NODE.format("NDEATH"), GOLDEN["NDEATH"], NOW_US).statuses == [
        ("E", False),
        ("M1", False),
    ]


def test_a_devices_death_takes_only_it_offline() -> None:
    decoder = running()
    death = decoder.decode(DEVICE.format("DDEATH"), payload(2), NOW_US)
    assert death == SparkplugResult([], [("M1", False)], [])
    result = decoder.decode(DEVICE.format("DDATA"), flow(3, 2.0), NOW_US)
    assert (flows(result), len(result.rebirths)) == ([], 1)
    decoder.decode(DEVICE.format("DBIRTH"), device_birth(4), NOW_US)
    assert flows(decoder.decode(DEVICE.format("DDATA"), flow(5, 3.0), NOW_US)) == [("M1", 3.0)]


def test_what_is_delivered_again_after_the_commit_gives_the_same_readings_and_changes_nothing() -> None:
    decoder = SparkplugDecoder()
    messages = [
        (NODE.format("NBIRTH"), node_birth()),
        (DEVICE.format("DBIRTH"), device_birth()),
        *((DEVICE.format("DDATA"), flow(n, n)) for n in range(2, 40)),
    ]
    first = [decoder.decode(*message, NOW_US) for message in messages]
    for again, before in zip((decoder.decode(*m, NOW_US + SECOND_US) for m in messages), first, strict=True):
        assert (again.decoded, again.statuses, again.rebirths) == (before.decoded, [], [])
    assert flows(decoder.decode(DEVICE.format("DDATA"), flow(40, 40.0), NOW_US)) == [("M1", 40.0)]


def test_aliases_of_an_earlier_birth_are_never_read_by_a_later_one() -> None:
    decoder = running()
    old = flow(2, 2.0)
    decoder.decode(DEVICE.format("DDATA"), old, NOW_US)
    swapped = payload(3, {"name": b"volume", "alias": 1, "datatype": 10, "double_value": 9.0}, at=T + 9)
    decoder.decode(DEVICE.format("DBIRTH"), swapped, NOW_US)
    result = decoder.decode(DEVICE.format("DDATA"), old, NOW_US)
    # By its own, which is remembered: a flow, no volume.
    assert flows(result) == [("M1", 2.0)]


def test_an_edge_node_whose_births_never_differ_comes_back() -> None:
    decoder = running()
    decoder.decode(NODE.format("NDEATH"), GOLDEN["NDEATH"], NOW_US)
    decoder.decode(NODE.format("NBIRTH"), node_birth(), NOW_US)
    decoder.decode(DEVICE.format("DBIRTH"), device_birth(), NOW_US)
    assert flows(decoder.decode(DEVICE.format("DDATA"), flow(2, 2.0), NOW_US)) == [("M1", 2.0)]


# Drawn by name, so that a failing example reads like a story.
_MESSAGES = {
    "node birth": (NODE.format("NBIRTH"), node_birth()),
    "next node birth": (NODE.format("NBIRTH"), node_birth(8)),
    "device birth": (DEVICE.format("DBIRTH"), device_birth()),
    "node death": (NODE.format("NDEATH"), GOLDEN["NDEATH"]),
    "device death": (DEVICE.format("DDEATH"), payload(3)),
    "unknown alias": (DEVICE.format("DDATA"), payload(2, {"alias": 99, "double_value": 1.0})),
    "garbage": (DEVICE.format("DDATA"), b"\xff"),
    **{f"flow {n}": (DEVICE.format("DDATA"), flow(n, n)) for n in range(2, 6)},
}
_STORY = st.lists(st.sampled_from(sorted(_MESSAGES)), max_size=12)


def tell(decoder: SparkplugDecoder, story: list[str]) -> list[SparkplugResult]:
    return [decoder.decode(*_MESSAGES[name], NOW_US + n * SECOND_US) for n, name in enumerate(story)]


@given(_STORY, _STORY)
def test_a_restored_decoder_repeats_itself_exactly(before: list[str], batch: list[str]) -> None:
    decoder = SparkplugDecoder()
    tell(decoder, before)
    kept = decoder.snapshot()
    first = tell(decoder, batch)
    decoder.restore(kept)
    assert tell(decoder, batch) == first


@given(_STORY)
def test_whatever_happened_a_birth_sets_it_right(story: list[str]) -> None:
    decoder = SparkplugDecoder()
    tell(decoder, story)
    decoder.decode(NODE.format("NBIRTH"), node_birth(9, at=T + 77), NOW_US)
    decoder.decode(DEVICE.format("DBIRTH"), device_birth(at=T + 77), NOW_US)
    result = decoder.decode(DEVICE.format("DDATA"), flow(2, 5.5), NOW_US)
    assert (flows(result), reasons(result), result.rebirths) == ([("M1", 5.5)], [], [])


@given(
    st.sampled_from(["NBIRTH", "NDEATH", "NDATA"]) | st.sampled_from(["DBIRTH", "DDEATH", "DDATA"]),
    st.binary(max_size=200),
)
def test_no_bytes_raise(kind: str, message: bytes) -> None:
    topic = (NODE if kind[0] == "N" else DEVICE).format(kind)
    result = running().decode(topic, message, NOW_US)
    assert all(bool(d.reasons) == bool(d.refused) for _, d in result.decoded)


@given(st.text(max_size=30), st.binary(max_size=30))
def test_no_topic_raises(topic: str, message: bytes) -> None:
    for text in (topic, f"spBv1.0/{topic}", f"spBv1.0/G/NDATA/{topic}"):
        SparkplugDecoder().decode(text, message, NOW_US)


_METRIC = st.fixed_dictionaries(
    {"timestamp": st.sampled_from([T, T + 1, 2**63])},
    optional={
        "name": st.sampled_from([b"flow", b"x/seq", b"valve", b"status", b"bdSeq", b"\xff", b""]),
        "alias": st.integers(0, 5),
        "datatype": st.integers(0, 40),
        "is_null": st.booleans(),
    },
)
_VALUE = (
    st.fixed_dictionaries({"int_value": st.integers(0, 2**32 - 1)})
    | st.fixed_dictionaries({"long_value": st.integers(0, 2**64 - 1)})
    | st.fixed_dictionaries({"float_value": st.floats(width=32)})
    | st.fixed_dictionaries({"double_value": st.floats()})
    | st.fixed_dictionaries({"boolean_value": st.booleans()})
    | st.fixed_dictionaries({"string_value": st.binary(max_size=4)})
    | st.fixed_dictionaries({"bytes_value": st.binary(max_size=4)})
    | st.fixed_dictionaries({"template_value": st.binary(max_size=4)})
    | st.just({})
)


@given(
    st.lists(st.builds(lambda a, b: a | b, _METRIC, _VALUE), max_size=6), st.sampled_from(["DBIRTH", "DDATA"])
)
def test_a_good_neighbour_is_never_lost(metrics: list[dict], kind: str) -> None:
    good = {"name": b"flow", "double_value": 4.0, "timestamp": T + 9}
    result = running().decode(DEVICE.format(kind), payload(2, *metrics, good), NOW_US)
    ((meter, decoded),) = result.decoded
    assert meter == "M1"
    assert (NOW_US + 9000, 4.0) in [
        (t, r.flow) for (_, r), t in zip(decoded.readings, decoded.times_us, strict=True)
    ]
    assert all(reason.field and reason.reason for reason in decoded.reasons)
