"""MQTT 3.1.1 written to a socket by hand: fast enough that queueing a million messages takes seconds."""

from __future__ import annotations

import socket
from collections.abc import Iterable

from bench.ingest.exceptions import BenchError

_CONNECT, _PUBLISH_QOS1, _SUBSCRIBE, _DISCONNECT = 0x10, 0x32, 0x82, 0xE0
_CLEAN_SESSION = 0x02
_KEEPALIVE_S = 600
_TIMEOUT_S = 120
_ACK_BYTES = 4
#: Fewer than there are packet ids, so that none is used twice at a time.
_MOST_UNACKNOWLEDGED = 30_000
_CHUNK = 500


def keep_session(port: int, client_id: str, topic_filter: str) -> None:
    """Leave a session behind for which the broker queues, at QoS 1, what comes in from now on."""
    with _connect(port, client_id, clean=False) as connection:
        connection.sendall(packet(_SUBSCRIBE, b"\0\1" + _text(topic_filter.encode()) + b"\1"))
        _expect(connection, b"\x90\x03\x00\x01\x01")
        connection.sendall(packet(_DISCONNECT, b""))


def publish(port: int, messages: Iterable[tuple[bytes, bytes]]) -> None:
    """Publish (topic, payload) pairs at QoS 1, and wait until the broker has acknowledged every one."""
    with _connect(port, "bench-publisher", clean=True) as connection:
        sent = acknowledged_bytes = 0
        waiting: list[bytes] = []
        for topic, payload in messages:
            packet_id = sent % 0xFFFF + 1
            waiting.append(packet(_PUBLISH_QOS1, _text(topic) + packet_id.to_bytes(2, "big") + payload))
            sent += 1
            if len(waiting) == _CHUNK:
                connection.sendall(b"".join(waiting))
                waiting.clear()
                acknowledged_bytes += _read_acks(connection, sent, acknowledged_bytes, _MOST_UNACKNOWLEDGED)
        connection.sendall(b"".join(waiting))
        _read_acks(connection, sent, acknowledged_bytes, 0)
        connection.sendall(packet(_DISCONNECT, b""))


def packet(head: int, body: bytes) -> bytes:
    """Build a packet: first byte, length of the rest in bytes, the rest."""
    length = bytearray()
    rest = len(body)
    while rest > 0x7F:  # noqa: PLR2004 (seven bits to the byte)
        length.append(rest & 0x7F | 0x80)
        rest >>= 7
    return bytes([head, *length, rest]) + body


def _connect(port: int, client_id: str, *, clean: bool) -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", port), timeout=_TIMEOUT_S)
    flags = bytes([_CLEAN_SESSION if clean else 0])
    hello = _text(b"MQTT") + b"\4" + flags + _KEEPALIVE_S.to_bytes(2, "big") + _text(client_id.encode())
    connection.sendall(packet(_CONNECT, hello))
    _expect(connection, b"\x20\x02\x00\x00")
    return connection


def _expect(connection: socket.socket, answer: bytes) -> None:
    got = b""
    while len(got) < len(answer):
        chunk = connection.recv(len(answer) - len(got))
        if not chunk:
            break
        got += chunk
    if got != answer:
        msg = f"the broker answered {got.hex()} where {answer.hex()} was expected"
        raise BenchError(msg)


def _read_acks(connection: socket.socket, sent: int, before_bytes: int, most_open: int) -> int:
    """Read until at most `most_open` messages are not acknowledged; gives the bytes read."""
    read = 0
    while sent - (before_bytes + read) // _ACK_BYTES > most_open:
        chunk = connection.recv(1 << 18)
        if not chunk:
            msg = "the broker closed the publisher's connection"
            raise BenchError(msg)
        read += len(chunk)
    return read


def _text(value: bytes) -> bytes:
    return len(value).to_bytes(2, "big") + value
