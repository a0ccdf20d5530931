"""Strategies for what may come over the wire: good readings, and everything that is wrong with others."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from hypothesis import strategies as st

from fleet.wire import NUMBER_FIELDS, STATUS_CODES, VALVES
from tests.property.sparkplug_payloads import sparkplug

NOW_US = 1_795_147_200_000_000
NOW_MS = NOW_US // 1000
CANARY = b"meterwarden/canary/north"
#: meter_id -> company; M4 is in no registry.
METERS = {"M1": "north", "M2": "north", "M3": "south"}

Reading = dict[str, Any]


@dataclass(frozen=True)
class Sent:
    """One message, and what of it has to be stored whatever stands beside it."""

    topic: bytes
    payload: bytes
    #: Meter's id and reading.
    good: tuple[tuple[str, Reading], ...] = ()
    #: How many readings it holds; None where that cannot be told.
    readings: int | None = None

    def _repr_pretty_(self, printer: Any, cycle: object) -> None:  # noqa: ARG002 (Hypothesis' protocol)
        parts = (
            self.topic[:80],
            len(self.topic),
            self.payload[:600],
            len(self.payload),
            self.good,
            self.readings,
        )
        printer.text(f"Sent{parts}")


_numbers = st.floats(-1e13, 1e13, allow_nan=False) | st.integers(-(10**13), 10**13)
_times = st.integers(NOW_MS - 89 * 86_400_000, NOW_MS + 500_000)
_counters = st.integers(0, 2**63 - 1)
#: Kept apart from the others by its boot.
good_readings = st.builds(
    lambda ts, seq, flow, more: {"ts": ts, "boot": 2**62, "seq": seq, "flow": flow, **dict(more)},
    _times,
    _counters,
    _numbers,
    st.lists(
        st.tuples(st.sampled_from(sorted(NUMBER_FIELDS)), _numbers)
        | st.tuples(st.just("valve"), st.sampled_from(VALVES))
        | st.tuples(st.just("status"), st.lists(st.sampled_from(STATUS_CODES), max_size=2)),
        max_size=3,
    ),
)

_TEXTS = ("", "\0", "a\0b", "\ud800", "\udfff\ud800", "é", "\uff11", "x" * 5_000, "NaN", "2026-11-20T12:00:00+08:00",
          "2026-11-20 12:00:00Z", "2026-11-20T12:00:00", "0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59",
          "2026-02-30T00:00:00Z", "2026-11-20T12:00:00\0Z", "M1", "M2", "south", "open", "tamper_magnetic")  # fmt: skip
_SPECIAL = (float("nan"), float("inf"), float("-inf"), -0.0, 1e13, -1e13, 1.1e13, 1e308, 5e-324, 2**53, 2**53 + 1,
            2**63 - 1, 2**63, -(2**63), -1, 0, 10**30, True, False, None)  # fmt: skip
_plain = (
    st.sampled_from(_TEXTS) | st.sampled_from(_SPECIAL) | st.integers() | st.floats() | st.text(max_size=8)
)
_wild = _plain | st.lists(_plain, max_size=3) | st.dictionaries(st.text(max_size=3), _plain, max_size=2)
_names = st.sampled_from(
    (*NUMBER_FIELDS, "ts", "ts", "seq", "boot", "valve", "status", "meter", "meter_id", "company")
)
_unknown = st.sampled_from(("", "Flow", "flow ", "\0", "a\ud800", "__class__", "values", "x" * 300))


_touched = st.lists(_names | _unknown, min_size=1, max_size=3)


@st.composite
def bad_readings(draw: st.DrawFn) -> Any:
    """A reading in which something may be wrong, or something that is none."""
    if draw(st.integers(0, 9)) == 0:
        return draw(_wild)
    reading = {"ts": NOW_MS, "seq": draw(_counters), "boot": draw(st.integers(1, 9)), "flow": 1.5}
    for name in draw(_touched):
        if draw(st.booleans()):
            reading[name] = draw(_wild)
        else:
            reading.pop(name, None)
    return reading


def _dump(value: Any, *, escaped: bool = True) -> bytes:
    return json.dumps(value, ensure_ascii=escaped).encode("utf-8", "surrogatepass")


def _topic(meter_id: str, company: str | None = None) -> bytes:
    return f"gas/v1/{company or METERS.get(meter_id, 'north')}/{meter_id}/telemetry".encode()


_good = st.lists(good_readings, min_size=1, max_size=2)
_bad = st.lists(bad_readings(), max_size=2)


@st.composite
def neighbours(draw: st.DrawFn) -> Sent:
    """Good readings, alone or in one array with bad ones that can be told apart from them."""
    meter_id = draw(st.sampled_from(sorted(METERS)))
    good = draw(_good)
    bad = draw(_bad)
    both = [*good, *bad]
    draw(st.randoms()).shuffle(both)
    payload = _dump(both[0] if len(both) == 1 else both)
    return Sent(_topic(meter_id), payload, tuple((meter_id, reading) for reading in good), len(both))


def _shortened(payload: bytes, at: int, few: bytes) -> bytes:
    return payload[:at] + few


def _changed(payload: bytes, at: int, few: bytes) -> bytes:
    return payload[:at] + few + payload[at + max(len(few) - 1, 0) :]


def _with_byte_order_mark(payload: bytes, _at: int, _few: bytes) -> bytes:
    return b"\xef\xbb\xbf" + payload


def _in_utf_16(payload: bytes, _at: int, _few: bytes) -> bytes:
    return payload.decode("utf-8", "replace").encode("utf-16")


def _twice(payload: bytes, _at: int, few: bytes) -> bytes:
    return payload + few + payload


def _with_a_doubled_field(payload: bytes, _at: int, _few: bytes) -> bytes:
    return payload.replace(b"{", b'{"flow": "x", "ts": 1, ', 1)


def _deep(payload: bytes, at: int, _few: bytes) -> bytes:
    levels = (1, 2, 900, 5_000)[at % 4]
    return b"[" * levels + payload + b"]" * levels


def _with_many_digits(payload: bytes, at: int, _few: bytes) -> bytes:
    return payload.replace(b"1", b"1" * (20, 400, 5_000)[at % 3], 1)


_ways = st.sampled_from(
    (_shortened, _changed, _changed, _with_byte_order_mark, _in_utf_16, _twice, _with_a_doubled_field, _deep, _with_many_digits)
)  # fmt: skip
_places = st.integers(0, 400)
_few_bytes = st.binary(max_size=3)


def spoil(draw: st.DrawFn, payload: bytes) -> bytes:
    """Make of valid bytes what is valid no longer, or something else."""
    return draw(_ways)(payload, draw(_places) % (len(payload) + 1), draw(_few_bytes))


_one = bad_readings() | good_readings.map(lambda reading: {**reading, "boot": 3})
_some = _one | st.lists(_one, max_size=3)
_meters = st.sampled_from(("M1", "M2", "M3", "M4"))
_companies = st.sampled_from((None, None, "north", "east"))


@st.composite
def telemetry(draw: st.DrawFn) -> Sent:
    """Native telemetry of any meter, in any state."""
    payload = _dump(draw(_some), escaped=draw(st.booleans()))
    if draw(st.booleans()):
        payload = spoil(draw, payload)
    return Sent(_topic(draw(_meters), draw(_companies)), payload, readings=count_readings(payload))


_wrapped = bad_readings() | bad_readings().map(lambda values: {"ts": NOW_MS, "values": values})
_devices = st.sampled_from(("M1", "M3", "M4", "", "a/b", "\0", "\ud800", "x" * 100))
_gateways = st.dictionaries(_devices, st.lists(_wrapped, max_size=2) | _wild, max_size=2)


@st.composite
def gateway(draw: st.DrawFn) -> Sent:
    """ThingsBoard's telemetry."""
    payload = _dump(draw(_gateways))
    if draw(st.booleans()):
        payload = spoil(draw, payload)
    return Sent(b"v1/gateway/telemetry", payload)


_topics = st.sampled_from((
    b"gas/v1/north/M1/status", b"gas/v1/north/M4/status", b"gas/v1/south/M1/status", b"/status", CANARY,
    b"meterwarden/canary/south", b"gas/v1/north/M1/confirm", b"gas/v1/north/M1/telemetry/", b"/telemetry",
    b"gas/v1/north/\xff\xfe/telemetry", b"gas/v1/north/M1\0/telemetry", b"", b"\xed\xa0\x80/status",
    b"gas/v1/" + b"x" * 60_000 + b"/M1/telemetry", b"\xff" * 60_000,
))  # fmt: skip
_online = st.booleans() | _wild
_tokens = st.sampled_from((b"%d" % NOW_US, b"9" * 16, b"9" * 17, b"-1", b"\xb2", b""))


@st.composite
def others(draw: st.DrawFn) -> Sent:
    """Status, canaries, and topics that nobody expects."""
    payload = _dump({"online": draw(_online), "boot": draw(_wild), "firmware": draw(_wild)})
    if draw(st.booleans()):
        payload = draw(_tokens) if draw(st.booleans()) else spoil(draw, payload)
    return Sent(draw(_topics), payload)


batches = st.lists(
    st.one_of(
        neighbours(), telemetry(), telemetry(), gateway(), others(), sparkplug().map(lambda m: Sent(*m))
    ),
    min_size=1,
    max_size=6,
)


def count_readings(payload: bytes) -> int:
    """Count the readings of a native message; one that cannot be taken apart counts as one."""
    try:
        # Whole numbers of any length: Python itself takes 4,300 digits.
        found = json.loads(payload.decode("utf-8"), parse_int=float)
    except (ValueError, RecursionError):
        return 1
    return max(len(found), 1) if isinstance(found, list) else 1
