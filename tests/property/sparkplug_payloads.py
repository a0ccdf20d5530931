"""Strategies for Sparkplug B: births, data and deaths of a few edge nodes, whole and spoiled."""

from __future__ import annotations

from hypothesis import strategies as st

from ingest.formats.sparkplug_b_pb2 import Payload

NOW_MS = 1_795_147_200_000
_VALUES = {
    "int_value": st.integers(0, 2**32 - 1),
    "long_value": st.integers(0, 2**64 - 1),
    "float_value": st.floats(width=32),
    "double_value": st.floats(),
    "boolean_value": st.booleans(),
    "string_value": st.sampled_from((b"", b"open", b"low_oil, case_open", b"\xff\xfe", b"a\0b", b"x" * 500)),
    "bytes_value": st.binary(max_size=6),
    "template_value": st.binary(max_size=6),
}
_NAMES = (b"flow", b"Gas/flow", b"Gas/volume", b"valve", b"status", b"seq", b"boot", b"bdSeq", b"meter", b"ts", b"",
          b"\xff/flow", b"Node Control/Rebirth", b"x\0y", b"unknown")  # fmt: skip
_TIMES = st.sampled_from((NOW_MS, NOW_MS + 1, 0, 1, 2**63, 2**64 - 1, NOW_MS - 10**11))
_PLACES = ("plant/NBIRTH/edge", "plant/DBIRTH/edge/M1", "plant/DDATA/edge/M1", "plant/DDATA/edge/M4", "plant/NDATA/edge",
           "plant/NDATA/M2", "plant/NBIRTH/M2", "plant/NDEATH/edge", "plant/DDEATH/edge/M1", "plant/NCMD/edge",
           "STATE/host", "plant/DDATA/edge", "", "plant//edge", "pl+nt/NDATA/edge", "plant/NDATA/ed\0ge", "a/b/telemetry")  # fmt: skip
_NO_TEXT = (b"\xff\xfe/NDATA/edge", b"\xff" * 60_000 + b"/NDATA/edge", b"plant/DDATA/edge/\xc3")
_topics = st.sampled_from([b"spBv1.0/" + place for place in (*map(str.encode, _PLACES), *_NO_TEXT)])
_kinds = st.sampled_from(sorted(_VALUES))
_names = st.none() | st.sampled_from(_NAMES)
_aliases = st.none() | st.integers(0, 3) | st.just(2**64 - 1)
_times = st.none() | _TIMES
_datatypes = st.none() | st.integers(0, 40) | st.just(2**32 - 1)


@st.composite
def sparkplug(draw: st.DrawFn) -> tuple[bytes, bytes]:
    """Topic and payload of one message."""
    payload = Payload(seq=draw(st.integers(0, 3) | st.integers(0, 2**64 - 1)))
    if draw(st.booleans()):
        payload.timestamp = draw(_TIMES)
    for _ in range(draw(st.integers(0, 3))):
        _add_metric(draw, payload)
    raw = payload.SerializeToString()
    if draw(st.integers(0, 4)) == 0:
        at = draw(st.integers(0, max(len(raw) - 1, 0)))
        raw = raw[:at] + draw(st.binary(max_size=3)) + raw[at + draw(st.integers(0, 2)) :]
    return draw(_topics), raw


def _add_metric(draw: st.DrawFn, payload: Payload) -> None:
    metric = payload.metrics.add()
    said = {"name": _names, "alias": _aliases, "timestamp": _times, "datatype": _datatypes}
    for field, values in said.items():
        value = draw(values)
        if value is not None:
            setattr(metric, field, value)
    metric.is_null = draw(st.integers(0, 5)) == 0
    kind = draw(_kinds)
    setattr(metric, kind, draw(_VALUES[kind]))
