"""Golden payloads of ThingsBoard's gateway telemetry: what each is read as, or every reason why not."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.formats.thingsboard import decode

NOW_US = 1_795_147_200_123_456
NOW_MS_IN_US = 1_795_147_200_123_000

GOOD = [
    (b'{"M1":[{"ts":1483228800000,"values":{"flow":1.2}}]}', "M1", 1_483_228_800_000_000, {"flow": 1.2}),
    (b'{"M1":[{"ts":1483228800000,"values":{"volume":7,"seq":3,"boot":2}}]}', "M1", 1_483_228_800_000_000, {"volume": 7.0, "seq": 3, "boot": 2}),
    (b'{"M1":[{"ts":0,"values":{"valve":"closed","status":["low_oil"],"flow":null}}]}', "M1", 0, {"valve": "closed", "status": ["low_oil"], "flow": None}),
    (b'{"M1":[{"values":{"flow":1}}]}', "M1", NOW_MS_IN_US, {"flow": 1.0}),
    (b'{"M-1_x":[{"flow":1.5,"balance":-3}]}', "M-1_x", NOW_MS_IN_US, {"flow": 1.5, "balance": -3.0}),
    (b'{"M1":[{"ts":5,"flow":1}]}', "M1", 5000, {"flow": 1.0}),
]  # fmt: skip


@pytest.mark.parametrize(("payload", "meter", "time_us", "fields"), GOOD, ids=[g[0].decode() for g in GOOD])
def test_a_good_payload_is_read_as_it_was_meant(payload, meter, time_us, fields) -> None:
    ((name, decoded),) = decode(payload, NOW_US)
    assert (name, decoded.reasons, decoded.times_us) == (meter, [], [time_us])
    reading = decoded.readings[0][1]
    assert {field: getattr(reading, field) for field in fields} == fields


BAD = [
    (b"", None, [(None, "payload", "is not JSON")]),
    (b"\xff", None, [(None, "payload", "is not UTF-8 at byte 0")]),
    (b"[" * 1_000_000, None, [(None, "payload", "is nested too deeply")]),
    (b"[]", None, [(None, "payload", "is not an object of devices")]),
    (b"null", None, [(None, "payload", "is not an object of devices")]),
    (b"{}", None, [(None, "payload", "holds no reading")]),
    (b'{"M1":[]}', "M1", [(None, "payload", "holds no reading")]),
    (b'{"M1":{"flow":1}}', "M1", [(None, "payload", "is not an array of readings")]),
    (b'{"Device A":[{"flow":1}]}', None, [(None, "meter", "'Device A' is no meter's id")]),
    (b'{"M1":[3]}', "M1", [(0, "payload", "is not an object")]),
    (b'{"M1":[{}]}', "M1", [(0, "payload", "carries no measurement")]),
    (b'{"M1":[{"ts":1,"values":3}]}', "M1", [(0, "values", "3 is not an object")]),
    (b'{"M1":[{"ts":1,"values":{"ts":2,"flow":1}}]}', "M1", [(0, "ts", "stands among the values")]),
    (b'{"M1":[{"ts":null,"values":{"flow":1}}]}', "M1", [(0, "ts", "None is neither")]),
    (b'{"M1":[{"ts":1.5,"values":{"flow":1}}]}', "M1", [(0, "ts", "1.5 is neither")]),
    (b'{"M1":[{"ts":1,"values":{"flow":"1.5"}}]}', "M1", [(0, "flow", "'1.5' is not a number")]),
    (b'{"M1":[{"ts":1,"values":{"flow":NaN,"seq":-1,"valve":"ajar"}}]}', "M1", [(0, "flow", "nan is not a finite"), (0, "seq", "is not a whole"), (0, "valve", "is none of")]),
]  # fmt: skip


@pytest.mark.parametrize(("payload", "meter", "expected"), BAD, ids=[repr(b[0][:40]) for b in BAD])
def test_a_bad_payload_is_refused_with_every_reason(payload, meter, expected) -> None:
    ((name, decoded),) = decode(payload, NOW_US)
    assert (name, decoded.readings, decoded.refused) == (meter, [], 1)
    found = [(r.item, r.field, r.reason) for r in decoded.reasons]
    assert len(found) == len(expected), found
    for (item, field, part), (at, where, reason) in zip(expected, found, strict=True):
        assert (item, field) == (at, where)
        assert part in reason


def test_a_bad_reading_takes_neither_its_neighbours_nor_other_devices_along() -> None:
    found = decode(
        b'{"A":[{"ts":1,"values":{"flow":1}},{"ts":2,"values":{"flow":"x","boot":7,"seq":3}},{"ts":3,"values":{"flow":3}}],'
        b'"not an id":[{"flow":1},{"flow":2}],"B":[{"ts":4,"values":{"flow":4}}]}',
        NOW_US,
    )
    flows = [(name, [reading.flow for _, reading in decoded.readings]) for name, decoded in found]
    assert flows == [("A", [1.0, 3.0]), (None, []), ("B", [4.0])]
    assert [decoded.refused for _, decoded in found] == [1, 2, 0]
    assert [claims.sequence for _, _, claims in found[0][1].refused_claims] == [(7, 3)]


def test_a_device_named_twice_loses_nothing() -> None:
    ((name, decoded),) = decode(b'{"A":[{"ts":1,"flow":1}],"A":[{"ts":2,"flow":2}]}', NOW_US)
    assert (name, [reading.flow for _, reading in decoded.readings]) == ("A", [1.0, 2.0])


def test_unknown_fields_are_ignored_and_counted() -> None:
    ((_, decoded),) = decode(b'{"A":[{"ts":1,"flow":9,"values":{"flow":1,"rssi":-70}}]}', NOW_US)
    assert [reading.flow for _, reading in decoded.readings] == [1.0]
    assert decoded.unknown_fields == 2, "one beside the values, one among them"


def test_decoding_again_gives_the_same() -> None:
    payload = b'{"A":[{"flow":1},{"flow":"x"}],"B":[]}'
    assert decode(payload, NOW_US) == decode(payload, NOW_US)


@given(st.binary(max_size=200))
def test_no_bytes_raise(payload: bytes) -> None:
    assert all(bool(d.reasons) == bool(d.refused) for _, d in decode(payload, NOW_US))


_VALUE = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3) | st.just([])
_VALUES = st.dictionaries(st.sampled_from(["ts", "flow", "seq", "valve", "status", "x"]), _VALUE, max_size=5)
_READING = _VALUE | _VALUES | st.fixed_dictionaries({"values": _VALUES | _VALUE}, optional={"ts": _VALUE})
_DEVICES = st.dictionaries(
    st.text(max_size=3) | st.sampled_from(["A", "B"]), st.lists(_READING, max_size=4) | _VALUE, max_size=4
)


@given(_DEVICES)
def test_every_reading_is_taken_or_refused_and_good_ones_stay(devices: dict) -> None:
    devices["good"] = [{"ts": 7, "values": {"flow": 7}}]
    found = decode(json.dumps(devices).encode(), NOW_US)
    assert len(found) == len(devices)
    for (_, decoded), readings in zip(found, devices.values(), strict=True):
        items = len(readings) if isinstance(readings, list) and readings else 1
        assert len(decoded.readings) + decoded.refused == items
    assert [(r.flow, t) for name, d in found if name == "good" for (_, r), t in zip(d.readings, d.times_us, strict=True)] == [(7.0, 7000)]  # fmt: skip
