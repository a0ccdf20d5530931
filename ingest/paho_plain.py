"""A paho client that works as paho documents it: one callback and one acknowledgement per message."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import paho.mqtt.client as mqtt

Deliver = Callable[[list[bytes], list[bytes], list[int]], None]


class PlainClient(mqtt.Client):
    """Does what `ingest.paho_bulk.BulkClient` does, by nothing but documented means."""

    def __init__(self, deliver: Deliver, is_full: Callable[[], bool], *args: Any, **named: Any) -> None:
        super().__init__(*args, **named)
        # The broker's window of 65,535 messages is the only bound here.
        del is_full
        self._hand_over = deliver
        self.on_message = self._take

    def acknowledge_all(self, packet_ids: Sequence[int]) -> None:
        """Acknowledge messages of QoS 1 in the order given."""
        for packet_id in packet_ids:
            self.ack(packet_id, 1)

    def publish_all(self, messages: Sequence[tuple[bytes, bytes]]) -> None:
        """Send (topic, payload) pairs with QoS 0."""
        for topic, payload in messages:
            self.publish(topic.decode(), payload, qos=0)

    def _take(self, _client: object, _userdata: object, message: mqtt.MQTTMessage) -> None:
        # `message.topic` raises where it is no UTF-8.
        topic = message._topic  # noqa: SLF001 (there is no other way to the bytes)
        self._hand_over([topic], [bytes(message.payload)], [message.mid if message.qos else 0])
