"""A paho client that reads PUBLISH packets in bulk. The one file that touches paho's internals.

paho keeps the session, TLS, keepalive and reconnecting; what it does per message (nine reads and
an object) is done here per 256 KiB instead. `is_supported` tells whether the paho at hand still
has the insides that this relies on; where it does not, `ingest.paho_plain` does the same slowly.
"""

from __future__ import annotations

import inspect
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode
from paho.mqtt.exception import MalformedPacket

_READ_BYTES = 1 << 18
_LONGEST_LENGTH = 4
_PAUSE_S = 0.02
_PUBLISH, _PUBACK = 0x30, 0x40
#: Bits of a PUBLISH's first byte: all but DUP, QoS 1 and RETAIN; the bit that says QoS 1.
_KIND_OR_QOS2, _QOS1 = 0xF4, 0x02

Deliver = Callable[[list[bytes], list[bytes], list[int]], None]

#: What of `mqtt.Client` this file relies on.
_METHODS = ("_packet_read", "_packet_handle", "_packet_queue", "_sock_recv", "_handle_publish")


class BulkClient(mqtt.Client):
    """Hands over PUBLISH packets of QoS 0 and 1 by the chunk, and acknowledges by the batch."""

    def __init__(self, deliver: Deliver, is_full: Callable[[], bool], *args: Any, **named: Any) -> None:
        super().__init__(*args, **named)
        self._deliver = deliver
        self._is_full = is_full
        self._v5 = self._protocol == mqtt.MQTTv5
        #: Chunks of a packet that is not complete yet, on which socket, and how long it will be.
        self._chunks: list[bytes] = []
        self._of_socket: object = None
        self._have = self._need = 0

    def acknowledge_all(self, packet_ids: Sequence[int]) -> None:
        """Send PUBACKs in the order given, in one write."""
        acks = np.empty(len(packet_ids), dtype=[("head", ">u2"), ("id", ">u2")])
        acks["head"] = _PUBACK << 8 | 2
        acks["id"] = packet_ids
        self._packet_queue(_PUBACK, acks.tobytes(), 0, 0)

    def publish_all(self, messages: Sequence[tuple[bytes, bytes]]) -> None:
        """Send (topic, payload) pairs with QoS 0, in one write."""
        properties = b"\0" if self._v5 else b""
        packets = []
        for topic, payload in messages:
            body = len(topic).to_bytes(2, "big") + topic + properties + payload
            packets.append(b"\x30" + _encode_length(len(body)) + body)
        # Labelled as an acknowledgement, because paho keeps accounts of what is labelled PUBLISH.
        self._packet_queue(_PUBACK, b"".join(packets), 0, 0)

    def _packet_read(self) -> MQTTErrorCode:  # noqa: PLR0911 (one for each way that a read can end)
        if self._of_socket is not self._sock:
            self._of_socket, self._chunks, self._have, self._need = self._sock, [], 0, 0
        if self._is_full():
            return self._pause()
        try:
            chunk = self._sock_recv(_READ_BYTES)
        except BlockingIOError:
            return MQTTErrorCode.MQTT_ERR_AGAIN
        except OSError:
            return MQTTErrorCode.MQTT_ERR_CONN_LOST
        if not chunk:
            return MQTTErrorCode.MQTT_ERR_CONN_LOST
        self._heard()
        self._chunks.append(chunk)
        self._have += len(chunk)
        if self._have < self._need:
            return MQTTErrorCode.MQTT_ERR_SUCCESS
        try:
            return self._take(self._chunks[0] if len(self._chunks) == 1 else b"".join(self._chunks))
        except (IndexError, ValueError, MalformedPacket):
            return MQTTErrorCode.MQTT_ERR_PROTOCOL

    def _pause(self) -> MQTTErrorCode:
        """Leave everything in the socket for a moment; the broker is alive, it has sent something."""
        time.sleep(_PAUSE_S)
        self._heard()
        return MQTTErrorCode.MQTT_ERR_AGAIN

    def _heard(self) -> None:
        with self._msgtime_mutex:
            self._last_bytes_received = mqtt.time_func()

    def _take(self, data: bytes) -> MQTTErrorCode:
        """Take whole packets from the front of `data`, and keep the rest for the next read.

        Raises IndexError or ValueError for bytes that are no MQTT.
        """
        topics: list[bytes] = []
        payloads: list[bytes] = []
        packet_ids: list[int] = []
        sock, v5, start, size = self._sock, self._v5, 0, len(data)
        self._need = 0
        # Runs once for each message, so what is usual is written out here instead of called.
        while size - start >= 2:  # noqa: PLR2004 (the shortest packet)
            command, at, length = data[start], start + 2, data[start + 1]
            if length > 127:  # noqa: PLR2004 (seven bits of length to the byte)
                at, length = _decode_length(data, start + 1)
                if not at:
                    break
            end = at + length
            if end > size:
                self._need = end - start
                break
            if command & _KIND_OR_QOS2 != _PUBLISH:
                self._hand_over(topics, payloads, packet_ids)
                topics, payloads, packet_ids = [], [], []
                result = self._control(command, data[at:end])
                if result or self._sock is not sock:
                    return result
            else:
                body = at + 2 + (data[at] << 8 | data[at + 1])
                topics.append(data[at + 2 : body])
                if command & _QOS1:
                    packet_ids.append(data[body] << 8 | data[body + 1])
                    body += 2
                else:
                    packet_ids.append(0)
                if v5:
                    body = _skip_properties(data, body) if data[body] else body + 1
                if body > end:
                    raise ValueError
                payloads.append(data[body:end])
            start = end
        self._hand_over(topics, payloads, packet_ids)
        self._chunks, self._have = ([data[start:]] if start < size else []), size - start
        return MQTTErrorCode.MQTT_ERR_SUCCESS

    def _hand_over(self, topics: list[bytes], payloads: list[bytes], packet_ids: list[int]) -> None:
        if packet_ids:
            self._deliver(topics, payloads, packet_ids)

    def _control(self, command: int, body: bytes) -> MQTTErrorCode:
        """Let paho handle a packet that is no telemetry."""
        # Typed as one of paho's own dictionaries, which nothing exports.
        client: Any = self
        client._in_packet = _in_packet() | {  # noqa: SLF001
            "command": command,
            "have_remaining": 1,
            "remaining_length": len(body),
            "packet": bytearray(body),
        }
        result = self._packet_handle()
        client._in_packet = _in_packet()  # noqa: SLF001
        return result


def is_supported() -> bool:
    """Tell whether this paho has the insides that `BulkClient` relies on."""
    try:
        client: Any = mqtt.Client(CallbackAPIVersion.VERSION2)
        queue = inspect.signature(client._packet_queue).parameters  # noqa: SLF001 (that is the question)
        return (
            all(callable(getattr(client, name)) for name in _METHODS)
            and tuple(queue)[:4] == ("command", "packet", "mid", "qos")
            and client._in_packet.keys() == _in_packet().keys()  # noqa: SLF001
            and callable(mqtt.time_func)
            and hasattr(client._msgtime_mutex, "__enter__")  # noqa: SLF001
            and all(hasattr(client, name) for name in ("_sock", "_protocol", "_last_bytes_received"))
        )
    except (AttributeError, TypeError, ValueError):
        return False


def _in_packet() -> dict[str, Any]:
    """Make what paho keeps of a packet that is coming in."""
    return {
        "command": 0,
        "have_remaining": 0,
        "remaining_count": [],
        "remaining_mult": 1,
        "remaining_length": 0,
        "packet": bytearray(),
        "to_process": 0,
        "pos": 0,
    }


def _decode_length(data: bytes, at: int) -> tuple[int, int]:
    """Read a length of up to four bytes; gives (where it ends, length), (0, 0) where it is cut off."""
    if at + 1 < len(data) and data[at + 1] < 128:  # noqa: PLR2004 (two bytes, as most messages have)
        return at + 2, data[at] - 128 + (data[at + 1] << 7)
    length = 0
    for shift in range(_LONGEST_LENGTH):
        if at + shift >= len(data):
            return 0, 0
        byte = data[at + shift]
        length |= (byte & 127) << 7 * shift
        if byte < 128:  # noqa: PLR2004 (the last byte has no eighth bit)
            return at + shift + 1, length
    raise ValueError


def _skip_properties(data: bytes, at: int) -> int:
    length = data[at]
    if length < 128:  # noqa: PLR2004 (one byte of length, nearly always)
        return at + 1 + length
    end, length = _decode_length(data, at)
    return end + length if end else len(data) + 1


def _encode_length(length: int) -> bytes:
    out = bytearray()
    while length > 127:  # noqa: PLR2004 (seven bits to the byte)
        out.append(length & 127 | 128)
        length >>= 7
    out.append(length)
    return bytes(out)
