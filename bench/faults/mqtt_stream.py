"""MQTT packets out of a stream that comes in any pieces; pure."""

from __future__ import annotations

from dataclasses import dataclass

CONNECT, PUBLISH, PUBACK, SUBACK = 1, 3, 4, 9
_V5 = 5
_LONGEST_LENGTH = 4
_QOS1 = 0x02


@dataclass(frozen=True, slots=True)
class Packet:
    """One whole packet."""

    head: int
    body: bytes

    @property
    def kind(self) -> int:
        """Upper half of the first byte."""
        return self.head >> 4


@dataclass(frozen=True, slots=True)
class Published:
    """What a PUBLISH carries; `packet_id` is 0 with QoS 0."""

    topic: bytes
    payload: bytes
    packet_id: int


class Packets:
    """Collects bytes and gives whole packets."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> list[Packet]:
        """Take the next piece. Raises ValueError for bytes that are no MQTT."""
        stream, at, found = self._rest + data, 0, []
        while (body := _body(stream, at)) is not None:
            start, end = body
            if end > len(stream):
                break
            found.append(Packet(stream[at], stream[start:end]))
            at = end
        self._rest = stream[at:]
        return found


def read_connect(body: bytes) -> tuple[str, bool]:
    """Give the client id of a CONNECT, and whether it speaks MQTT 5."""
    name, at = _text(body, 0)
    v5 = body[at] == _V5
    at += 4  # version, flags, keepalive
    if v5:
        length, at = decode_length(body, at) or (0, at)
        at += length
    client_id, _ = _text(body, at)
    if name != b"MQTT":
        raise ValueError(name)
    return client_id.decode(), v5


def read_publish(packet: Packet, *, v5: bool) -> Published:
    """Take a PUBLISH apart."""
    topic, at = _text(packet.body, 0)
    packet_id = 0
    if packet.head & _QOS1:
        packet_id, at = int.from_bytes(packet.body[at : at + 2], "big"), at + 2
    if v5:
        length, at = decode_length(packet.body, at) or (0, at)
        at += length
    return Published(topic, packet.body[at:], packet_id)


def decode_length(data: bytes, at: int) -> tuple[int, int] | None:
    """Give a length of up to four bytes and where it ends; None where it is cut off."""
    length = 0
    for shift in range(_LONGEST_LENGTH):
        if at + shift >= len(data):
            return None
        byte = data[at + shift]
        length |= (byte & 0x7F) << 7 * shift
        if byte < 0x80:  # noqa: PLR2004 (the last byte has no eighth bit)
            return length, at + shift + 1
    msg = "a length of more than four bytes"
    raise ValueError(msg)


def _body(stream: bytes, at: int) -> tuple[int, int] | None:
    """Give start and end of the body of the packet at a position; None while its length is cut off."""
    found = decode_length(stream, at + 1)
    return (found[1], found[1] + found[0]) if found else None


def _text(data: bytes, at: int) -> tuple[bytes, int]:
    end = at + 2 + int.from_bytes(data[at : at + 2], "big")
    return data[at + 2 : end], end
