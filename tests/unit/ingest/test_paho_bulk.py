"""Both ways of reading deliver the same, whatever pieces the bytes come in."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import paho.mqtt.client as mqtt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode

from ingest import paho_bulk
from ingest.paho_bulk import BulkClient, is_supported
from ingest.paho_plain import PlainClient

V5, V3 = mqtt.MQTTv5, mqtt.MQTTv311
PINGRESP = b"\xd0\x00"


class Wire:
    """A socket that gives its bytes in pieces, never more than asked for."""

    def __init__(self, pieces: list[bytes]) -> None:
        self._pieces = [piece for piece in pieces if piece]

    def recv(self, size: int) -> bytes:
        if not self._pieces:
            raise BlockingIOError
        piece = self._pieces.pop(0)
        if len(piece) > size:
            self._pieces.insert(0, piece[size:])
        return piece[:size]

    @property
    def is_empty(self) -> bool:
        return not self._pieces


def _length(size: int) -> bytes:
    out = bytearray()
    while True:
        size, digit = divmod(size, 128)
        out.append(digit | (128 if size else 0))
        if not size:
            return bytes(out)


def _publish(
    topic: bytes, payload: bytes, packet_id: int, head: int, version: int, padding: int = 0
) -> bytes:
    """Build a PUBLISH; `padding` is the size of a user property, where the version has such."""
    body = len(topic).to_bytes(2, "big") + topic
    if head & 2:
        body += packet_id.to_bytes(2, "big")
    if version == V5:
        user = b"\x26\x00\x01k" + padding.to_bytes(2, "big") + b"v" * padding if padding else b""
        body += _length(len(user)) + user
    body += payload
    return bytes([head]) + _length(len(body)) + body


def _read(kind: type, version: int, pieces: list[bytes]) -> tuple[list[tuple], MQTTErrorCode]:
    """Let a client read; gives what it delivered, with a mark where it was told of a ping's answer."""
    seen: list[tuple] = []

    def deliver(topics: list[bytes], payloads: list[bytes], packet_ids: list[int]) -> None:
        seen.extend(zip(topics, payloads, packet_ids, strict=True))

    client: Any = kind(deliver, lambda: False, CallbackAPIVersion.VERSION2, protocol=version, manual_ack=True)
    client._handle_pingresp = lambda: seen.append(("pong",)) or MQTTErrorCode.MQTT_ERR_SUCCESS
    client._sock = wire = Wire(pieces)
    result = MQTTErrorCode.MQTT_ERR_SUCCESS
    while result == MQTTErrorCode.MQTT_ERR_SUCCESS:
        result = client._packet_read()
        if result == MQTTErrorCode.MQTT_ERR_AGAIN and not wire.is_empty:
            result = MQTTErrorCode.MQTT_ERR_SUCCESS
    client._sock = None
    return seen, result


PACKET = st.one_of(
    st.just(None),
    st.tuples(
        st.binary(min_size=1, max_size=20).filter(lambda topic: b"\0" not in topic),
        st.one_of(st.binary(max_size=40), st.integers(100, 400).map(lambda n: b"x" * n)),
        st.integers(1, 65535),
        st.sampled_from([0x30, 0x31, 0x32, 0x33, 0x3A, 0x3B]),
        st.sampled_from([0, 0, 1, 120, 130, 300]),
    ),
)


@given(st.lists(PACKET, max_size=12), st.lists(st.integers(0, 3000), max_size=12), st.sampled_from([V5, V3]))
def test_both_ways_of_reading_deliver_the_same(packets: list, cuts: list[int], version: int) -> None:
    data = b"".join(
        PINGRESP if p is None else _publish(p[0], p[1], p[2], p[3], version, p[4]) for p in packets
    )
    borders = [0, *sorted(cut for cut in cuts if cut < len(data)), len(data)]
    pieces = [data[a:b] for a, b in pairwise(borders)]
    sent = [("pong",) if p is None else (p[0], p[1], p[2] if p[3] & 2 else 0) for p in packets]
    for kind in (BulkClient, PlainClient):
        assert _read(kind, version, pieces) == (sent, MQTTErrorCode.MQTT_ERR_AGAIN), kind


@pytest.mark.parametrize("version", [V5, V3])
@pytest.mark.parametrize("size", [0, 100, 127, 128, 129, 16_383, 16_384, 2_097_151, 2_097_152, 3_000_000])
def test_every_size_of_the_length_field(size: int, version: int) -> None:
    overhead = len(_publish(b"t", b"", 1, 0x32, version)) - 2
    payload = b"x" * max(size - overhead, 0)
    data = _publish(b"t", payload, 1, 0x32, version) + _publish(b"u", b"next", 2, 0x32, version)
    for step in (1000, len(data)):
        pieces = [data[at : at + step] for at in range(0, len(data), step)]
        seen, result = _read(BulkClient, version, pieces)
        assert (seen, result) == ([(b"t", payload, 1), (b"u", b"next", 2)], MQTTErrorCode.MQTT_ERR_AGAIN)


def test_byte_by_byte() -> None:
    data = b"".join(_publish(b"t%d" % n, b"x" * (120 + n), n, 0x32, V5, n) for n in range(1, 20))
    seen, _ = _read(BulkClient, V5, [bytes([byte]) for byte in data])
    assert [packet_id for _, _, packet_id in seen] == list(range(1, 20))


@pytest.mark.parametrize(
    "data",
    [
        b"\x32\xff\xff\xff\xff\x01" + b"x" * 50,
        _publish(b"t", b"", 1, 0x32, V3)[:2] + b"\x00\x09" + b"t\x00\x01",
        b"\x32\x02\xff\xff" + b"x" * 10,
    ],
    ids=["length of five bytes", "topic beyond the packet", "topic beyond everything"],
)
def test_what_is_no_mqtt_ends_the_connection(data: bytes) -> None:
    assert _read(BulkClient, V3, [data])[1] == MQTTErrorCode.MQTT_ERR_PROTOCOL


def test_a_new_connection_begins_with_a_clean_slate() -> None:
    seen: list[bytes] = []
    client: Any = BulkClient(
        lambda topics, *_: seen.extend(topics), lambda: False, CallbackAPIVersion.VERSION2, protocol=V3
    )
    packet = _publish(b"t", b"payload", 1, 0x32, V3)
    for pieces in ([packet[:5]], [packet]):
        client._sock = Wire(pieces)
        client._packet_read()
    client._sock = None
    assert seen == [b"t"]


def test_nothing_is_read_while_there_is_no_room() -> None:
    client: Any = BulkClient(lambda *_: None, lambda: True, CallbackAPIVersion.VERSION2, protocol=V3)
    client._sock = wire = Wire([_publish(b"t", b"", 1, 0x32, V3)])
    client._last_bytes_received = 0
    assert client._packet_read() == MQTTErrorCode.MQTT_ERR_AGAIN
    client._sock = None
    assert not wire.is_empty
    # The broker is alive: it has something to say.
    assert client._last_bytes_received > 0


@pytest.mark.parametrize("version", [V5, V3])
def test_acknowledgements_and_words_are_packets_as_they_should_be(version: int) -> None:
    client: Any = BulkClient(lambda *_: None, lambda: False, CallbackAPIVersion.VERSION2, protocol=version)
    client.acknowledge_all([1, 65535])
    client.publish_all([(b"a/b", b"x"), (b"c", b"y" * 200)])
    sent = [bytes(packet["packet"]) for packet in client._out_packet]
    assert sent[0] == b"\x40\x02\x00\x01\x40\x02\xff\xff"
    seen, _ = _read(PlainClient, version, [sent[1]])
    assert seen == [(b"a/b", b"x", 0), (b"c", b"y" * 200, 0)]


def test_another_paho_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    assert is_supported()
    monkeypatch.delattr(mqtt.Client, "_packet_handle")
    assert not is_supported()
    monkeypatch.undo()
    monkeypatch.setattr(paho_bulk, "_in_packet", lambda: {"command": 0})
    assert not is_supported()
