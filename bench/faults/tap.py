"""What one connection between ingest and broker has delivered and acknowledged; pure."""

from __future__ import annotations

import threading
from dataclasses import dataclass

from bench.faults.mqtt_stream import (
    CONNECT,
    PUBACK,
    PUBLISH,
    SUBACK,
    Packets,
    Published,
    read_connect,
    read_publish,
)


@dataclass(frozen=True, slots=True)
class Acknowledged:
    """A PUBACK of ingest; `message` is None where this connection delivered none under its id."""

    packet_id: int
    message: Published | None


class Tap:
    """Reads both directions of one connection; each is fed by a thread of its own."""

    def __init__(self) -> None:
        self.client_id = ""
        #: QoS 1 messages that this connection brought.
        self.delivered = 0
        #: Whether the broker confirmed a subscription.
        self.subscribed = False
        #: Whether the connection has ended.
        self.over = False
        self._v5 = False
        self._to_server, self._to_client = Packets(), Packets()
        self._open: dict[int, Published] = {}
        self._lock = threading.Lock()

    @property
    def outstanding(self) -> int:
        """Messages delivered and not acknowledged."""
        return len(self._open)

    def from_client(self, data: bytes) -> list[Acknowledged]:
        """Read what ingest sends; gives what it acknowledges thereby, in its order."""
        found = []
        for packet in self._to_server.feed(data):
            if packet.kind == CONNECT:
                self.client_id, self._v5 = read_connect(packet.body)
            elif packet.kind == PUBACK:
                packet_id = int.from_bytes(packet.body[:2], "big")
                with self._lock:
                    found.append(Acknowledged(packet_id, self._open.pop(packet_id, None)))
        return found

    def from_server(self, data: bytes) -> None:
        """Read what the broker sends, before ingest gets it."""
        for packet in self._to_client.feed(data):
            if packet.kind == SUBACK:
                self.subscribed = True
            elif packet.kind == PUBLISH:
                published = read_publish(packet, v5=self._v5)
                if published.packet_id:
                    with self._lock:
                        self._open[published.packet_id] = published
                        self.delivered += 1
