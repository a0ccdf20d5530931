"""The tap's parser: the same packets however the stream is cut."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.faults.mqtt_stream import Packet, Packets, decode_length, read_connect, read_publish
from bench.faults.tap import Acknowledged, Tap
from bench.ingest.raw_mqtt import packet

TOPIC = b"gas/v1/north/F01/telemetry"


def publish(packet_id: int, payload: bytes, *, v5: bool = True) -> bytes:
    head = len(TOPIC).to_bytes(2, "big") + TOPIC + packet_id.to_bytes(2, "big")
    return packet(0x32, head + (b"\0" if v5 else b"") + payload)


def puback(packet_id: int) -> bytes:
    return packet(0x40, packet_id.to_bytes(2, "big"))


@given(
    bodies=st.lists(st.tuples(st.integers(0, 255), st.binary(max_size=300)), max_size=8),
    cuts=st.lists(st.integers(0, 2500), max_size=20),
)
def test_the_same_packets_come_out_however_the_stream_is_cut(
    bodies: list[tuple[int, bytes]], cuts: list[int]
) -> None:
    stream = b"".join(packet(head, body) for head, body in bodies)
    edges = [0, *sorted(min(cut, len(stream)) for cut in cuts), len(stream)]
    packets = Packets()
    found = [one for start, end in pairwise(edges) for one in packets.feed(stream[start:end])]
    assert found == [Packet(head, body) for head, body in bodies]


def test_a_length_has_up_to_four_bytes() -> None:
    assert decode_length(b"\x7f", 0) == (127, 1)
    assert decode_length(b"\xff\xff\xff\x7f", 0) == (268_435_455, 4)
    assert decode_length(b"\xff\xff", 0) is None
    with pytest.raises(ValueError, match="four bytes"):
        decode_length(b"\xff\xff\xff\xff\x01", 0)


def test_a_connect_tells_who_speaks_which_version() -> None:
    assert read_connect(b"\0\4MQTT\5\2\0\4\5\x11\0\0\0\1\0\3abc") == ("abc", True)
    assert read_connect(b"\0\4MQTT\4\2\0\4\0\3abc") == ("abc", False)


def test_a_publish_without_qos_has_no_packet_id() -> None:
    found = read_publish(Packet(0x30, b"\0\3a/b{}"), v5=False)
    assert (found.topic, found.payload, found.packet_id) == (b"a/b", b"{}", 0)


def test_the_tap_knows_what_an_acknowledgement_is_about() -> None:
    tap = Tap()
    assert tap.from_client(packet(0x10, b"\0\4MQTT\5\2\0\4\0\0\3abc")) == []
    tap.from_server(publish(7, b"one") + publish(8, b"two"))
    assert (tap.client_id, tap.delivered, tap.outstanding) == ("abc", 2, 2)
    (first,) = tap.from_client(puback(7))
    assert first.message is not None
    assert first.message.payload == b"one"
    assert tap.outstanding == 1


def test_an_acknowledgement_of_what_was_never_delivered_is_about_nothing() -> None:
    tap = Tap()
    tap.from_server(publish(7, b"one", v5=False))
    tap.from_client(puback(7))
    assert tap.from_client(puback(7) + puback(9)) == [Acknowledged(7, None), Acknowledged(9, None)]
