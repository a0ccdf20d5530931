"""Golden payloads of the native JSON: what each is read as, or every reason why not."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.native_json import decode
from ingest.rules import parse_time_us

GOOD = [
    (b'{"ts":1795147200000,"flow":1.5}', 1_795_147_200_000_000, {"flow": 1.5}),
    (b'{"ts":"2026-11-20T12:00:00+08:00","volume":7}', 1_795_147_200_000_000, {"volume": 7.0}),
    (b'{"ts":"2026-11-20T04:00:00.123456Z","battery":3.6}', 1_795_147_200_123_456, {"battery": 3.6}),
    (b'{"ts":"2026-11-20t04:00:00z","flow":1}', 1_795_147_200_000_000, {"flow": 1.0}),
    (b'{"ts":0,"valve":"closed"}', 0, {"valve": "closed"}),
    (b'{"ts":0,"status":["low_oil","new_code"]}', 0, {"status": ["low_oil", "new_code"]}),
    (b'{"ts":0,"flow":null,"balance":-3}', 0, {"flow": None, "balance": -3.0}),
    (b'{"ts":0,"seq":9223372036854775807,"boot":7,"flow":0}', 0, {"seq": 2**63 - 1, "boot": 7, "flow": 0.0}),
]


@pytest.mark.parametrize(("payload", "time_us", "fields"), GOOD, ids=[g[0].decode() for g in GOOD])
def test_a_good_payload_is_read_as_it_was_meant(payload: bytes, time_us: int, fields: dict) -> None:
    decoded = decode(payload)
    assert (decoded.reasons, decoded.times_us) == ([], [time_us])
    reading = decoded.readings[0][1]
    assert {name: getattr(reading, name) for name in fields} == fields


BAD = [
    (b"", [(None, "payload", "is not JSON")]),
    (b"hello", [(None, "payload", "is not JSON")]),
    (b'{"ts":0,"flow":1', [(None, "payload", "is not JSON")]),
    (b"\xff\xfe\x00", [(None, "payload", "is not UTF-8 at byte 0")]),
    (b'{"ts":0,"flow":"\xc3\x28"}', [(None, "payload", "is not UTF-8")]),
    (b"[" * 1_000_000, [(None, "payload", "is nested too deeply")]),
    (b"[]", [(None, "payload", "holds no reading")]),
    (b"3", [(None, "payload", "is neither an object nor an array")]),
    (b'"x"', [(None, "payload", "is neither an object nor an array")]),
    (b"[3]", [(0, "payload", "is not an object")]),
    (b"{}", [(0, "ts", "is missing")]),
    (b'{"ts":0}', [(0, "payload", "carries no measurement")]),
    (b'{"flow":1}', [(0, "ts", "is missing")]),
    (b'{"ts":null,"flow":1}', [(0, "ts", "is neither")]),
    (b'{"ts":1.5,"flow":1}', [(0, "ts", "is neither")]),
    (b'{"ts":true,"flow":1}', [(0, "ts", "is neither")]),
    (b'{"ts":"2026-11-20T12:00:00","flow":1}', [(0, "ts", "no RFC 3339 time with an offset")]),
    (b'{"ts":"2026-W47-5T04:00:00+00:00","flow":1}', [(0, "ts", "no RFC 3339 time with an offset")]),
    (b'{"ts":"20261120T040000Z","flow":1}', [(0, "ts", "no RFC 3339 time with an offset")]),
    (b'{"ts":"yesterday","flow":1}', [(0, "ts", "no RFC 3339 time with an offset")]),
    (b'{"ts":1' + b"0" * 40 + b',"flow":1}', [(0, "ts", "is beyond any time")]),
    (b'{"ts":0,"flow":"1.5"}', [(0, "flow", "'1.5' is not a number")]),
    (b'{"ts":0,"flow":true}', [(0, "flow", "True is not a number")]),
    (b'{"ts":0,"flow":NaN}', [(0, "flow", "nan is not a finite number")]),
    (b'{"ts":0,"flow":-Infinity}', [(0, "flow", "-inf is not a finite number")]),
    (b'{"ts":0,"flow":1e999}', [(0, "flow", "inf is not a finite number")]),
    (b'{"ts":0,"flow":1e308}', [(0, "flow", "1e+308 is beyond anything measured")]),
    (b'{"ts":0,"volume":-10000000000001}', [(0, "volume", "is beyond anything measured")]),
    (b'{"ts":0,"flow":1' + b"0" * 400 + b"}", [(0, "flow", "is beyond anything measured")]),
    (b'{"ts":0,"seq":-1,"flow":1}', [(0, "seq", "-1 is not a whole number")]),
    (b'{"ts":0,"seq":9223372036854775808,"flow":1}', [(0, "seq", "is not a whole number")]),
    (b'{"ts":0,"boot":1.0,"flow":1}', [(0, "boot", "1.0 is not a whole number")]),
    (b'{"ts":0,"valve":"ajar"}', [(0, "valve", "'ajar' is none of open, closed, moving, fault")]),
    (b'{"ts":0,"status":"low_oil"}', [(0, "status", "is not a list of codes")]),
    (
        b'{"ts":"x","flow":"y","volume":NaN,"seq":-4,"valve":1}',
        [(0, f, r) for f, r in [
            ("ts", "'x' is no RFC 3339 time"), ("flow", "is not a number"), ("volume", "not a finite"), ("seq", "is not a whole"), ("valve", "is none of"),
        ]],
    ),
]  # fmt: skip


@pytest.mark.parametrize(("payload", "expected"), BAD, ids=[repr(b[0][:40]) for b in BAD])
def test_a_bad_payload_is_refused_with_every_reason(payload: bytes, expected: list) -> None:
    decoded = decode(payload)
    assert decoded.readings == []
    assert decoded.refused == 1
    found = [(r.item, r.field, r.reason) for r in decoded.reasons]
    assert len(found) == len(expected), found
    for (item, field, part), (at, name, reason) in zip(expected, found, strict=True):
        assert (item, field) == (at, name)
        assert part in reason


def test_a_bad_reading_does_not_take_its_neighbours_along() -> None:
    decoded = decode(b'[{"ts":1,"flow":1},{"ts":2,"flow":NaN,"boot":7,"seq":3},{"ts":3,"flow":3}]')
    assert [(item, reading.flow) for item, reading in decoded.readings] == [(0, 1.0), (2, 3.0)]
    assert [(r.item, r.field) for r in decoded.reasons] == [(1, "flow")]
    assert [claims.sequence for _, _, claims in decoded.refused_claims] == [(7, 3)]


def test_unknown_fields_are_ignored_and_counted() -> None:
    decoded = decode(b'[{"ts":1,"flow":1,"rssi":-70,"mood":"fine"},{"ts":2,"flow":2,"rssi":-71}]')
    assert [reading.flow for _, reading in decoded.readings] == [1.0, 2.0]
    assert decoded.unknown_fields == 3


def test_a_time_beyond_the_calendar_is_no_time() -> None:
    assert parse_time_us("0001-01-01T00:00:00+23:59") is not None
    assert parse_time_us("9999-99-01T00:00:00Z") is None


@given(st.binary(max_size=200))
def test_no_bytes_raise(payload: bytes) -> None:
    decoded = decode(payload)
    assert bool(decoded.reasons) == bool(decoded.refused)


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(["ts", "flow", "seq", "boot", "valve", "status", "x"]), inner, max_size=6),
    max_leaves=20,
)  # fmt: skip


@given(_JSON)
def test_every_reading_of_any_json_is_taken_or_refused(value: object) -> None:
    import json  # noqa: PLC0415

    decoded = decode(json.dumps(value).encode())
    items = len(value) if isinstance(value, list) and value else 1
    assert len(decoded.readings) + decoded.refused == items
    assert all(reason.field and reason.reason for reason in decoded.reasons)


def test_no_depth_of_nesting_is_too_much() -> None:
    """Between what can be read and what cannot lie depths that can be read and not be shown."""
    for depth in range(600, 1100):
        decoded = decode(b'{"ts":' + b'{"a":' * depth + b"1" + b"}" * depth + b"}")
        assert decoded.refused == 1
        assert {reason.field for reason in decoded.reasons} <= {"ts", "payload"}


@pytest.mark.parametrize("sign", ["", "-"])
def test_a_number_of_thousands_of_digits_takes_no_neighbour_along(sign: str) -> None:
    giant = sign + "9" * 5000
    payload = f'[{{"ts":0,"flow":1}},{{"ts":0,"flow":{giant}}},{{"ts":0,"flow":2,"odd":{giant}}}]'.encode()
    decoded = decode(payload)
    assert [item for item, _ in decoded.readings] == [0, 2]
    assert [(reason.item, reason.field) for reason in decoded.reasons] == [(1, "flow")]
