"""A Sparkplug B payload as values: parsed leniently, metric by metric; pure, never raises on bad input."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from google.protobuf.message import DecodeError

from ingest.formats.sparkplug_b_pb2 import Payload as _Payload

_BOOLEAN = 11
_STRING_ARRAY = 33
#: Data type -> bits and whether signed; negative numbers travel as two's complement, unsigned.
_INTEGERS = {
    1: (8, True),
    2: (16, True),
    3: (32, True),
    4: (64, True),
    5: (8, False),
    6: (16, False),
    7: (32, False),
    8: (64, False),
    13: (64, False),
}
_COMPRESSED = b"SPBV1.0_COMPRESSED"
_REBIRTH = b"Node Control/Rebirth"


class Unreadable:
    """A value that no field can take; shows as what it is, so that a refusal can say it."""

    def __init__(self, what: str) -> None:
        self._what = what

    def __repr__(self) -> str:
        return self._what


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric as it travelled; what is None was not there."""

    #: With folders, as in `Gas/flow`.
    name: str | None
    alias: int | None
    #: When the value was taken, milliseconds since 1970 UTC; of the message where the metric has none.
    time_ms: int | None
    datatype: int | None
    #: Member of the protobuf's `value`, None where null; the value as protobuf gives it.
    kind: str | None
    raw: Any

    def value(self, born_datatype: int | None) -> Any:
        """Give float, int, bool, str, list of str or None, else `Unreadable`.

        An integer's sign is known only from its data type: the metric's own or, where it has none,
        `born_datatype`, which the birth certificate gave.
        """
        datatype = born_datatype if self.datatype is None else self.datatype
        if self.kind in ("int_value", "long_value"):
            return _integer(self.raw, datatype)
        if self.kind == "string_value":
            return _text(self.raw)
        if self.kind == "bytes_value" and datatype == _STRING_ARRAY:
            return _texts(self.raw)
        if self.kind in (None, "float_value", "double_value", "boolean_value"):
            return self.raw
        return Unreadable(f"a {self.kind.removesuffix('_value')}")


@dataclass(frozen=True, slots=True)
class Payload:
    """A payload taken apart."""

    #: Protobuf's encoders may leave a zero out, so what is absent reads as 0.
    seq: int
    metrics: tuple[Metric, ...]
    #: Says of which time it is, so no other message of its edge node has the same bytes.
    dated: bool

    def birth_death_number(self) -> int | None:
        """Give `bdSeq`, which pairs a birth of an edge node with its death; None where it is not there."""
        for metric in self.metrics:
            if metric.name == "bdSeq" and metric.kind in ("int_value", "long_value"):
                return int(metric.raw)
        return None


def parse(payload: bytes) -> Payload | str:
    """Take a payload apart, or say why it cannot be."""
    parsed = _Payload()
    try:
        parsed.ParseFromString(payload)
    except DecodeError:
        return "is not a Sparkplug B payload"
    if parsed.uuid == _COMPRESSED:
        return "is compressed, which is not supported"
    sent_ms = parsed.timestamp if parsed.HasField("timestamp") else None
    metrics = tuple(_metric(metric, sent_ms) for metric in parsed.metrics)
    dated = sent_ms is not None or any(metric.time_ms is not None for metric in metrics)
    return Payload(parsed.seq, metrics, dated)


def rebirth_command(now_us: int) -> bytes:
    """Build the payload that asks an edge node for its births; `now_us` in microseconds since 1970 UTC."""
    now_ms = max(0, now_us // 1000)
    command = _Payload(timestamp=now_ms)
    command.metrics.add(name=_REBIRTH, timestamp=now_ms, datatype=_BOOLEAN, boolean_value=True)
    return bytes(command.SerializeToString(deterministic=True))


def _metric(metric: Any, sent_ms: int | None) -> Metric:
    kind = None if metric.is_null else metric.WhichOneof("value")
    return Metric(
        # Our names are ASCII, so the last folder's is found even where another is not UTF-8.
        name=metric.name.decode("utf-8", "replace") if metric.HasField("name") else None,
        alias=metric.alias if metric.HasField("alias") else None,
        time_ms=metric.timestamp if metric.HasField("timestamp") else sent_ms,
        datatype=metric.datatype if metric.HasField("datatype") else None,
        kind=kind,
        raw=None if kind is None else _plain(kind, getattr(metric, kind)),
    )


def _plain(kind: str, raw: Any) -> Any:
    """Give a float as the shortest decimal that names it: the 3.58 that was measured, not 3.5799999."""
    return float(str(np.float32(raw))) if kind == "float_value" else raw


def _integer(raw: int, datatype: int | None) -> int | Unreadable:
    if datatype not in _INTEGERS:
        known = "of unknown data type" if datatype is None else f"of data type {datatype}"
        return Unreadable(f"the integer {raw} {known}")
    bits, signed = _INTEGERS[datatype]
    if not signed:
        return raw
    low = raw & ((1 << bits) - 1)
    return low - (1 << bits) if low >> (bits - 1) else low


def _text(raw: bytes) -> str | Unreadable:
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        return Unreadable(f"{raw[:20]!r}, not UTF-8,")


def _texts(raw: bytes) -> list[str] | Unreadable:
    """Split an array of strings, each of which a zero byte ends."""
    text = _text(raw)
    if isinstance(text, Unreadable) or not text:
        return text or []
    return text.removesuffix("\0").split("\0")
