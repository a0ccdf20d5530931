"""The MQTT session: paho keeps the connection, and nothing is acknowledged but by `acknowledge`.

Callbacks run on paho's thread. They only put messages into a queue, and they never raise: an
exception there would kill the thread while the connection still looks alive.
"""

from __future__ import annotations

import queue
import sys
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from typing import Any
from urllib.parse import unquote, urlsplit

import structlog
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from ingest.confirming import Outgoing
from ingest.delivery import Delivery
from ingest.exceptions import SessionLostError
from ingest.paho_bulk import BulkClient, is_supported
from ingest.paho_leave import leave
from ingest.paho_plain import PlainClient
from ingest.subscriptions import Subscriptions

_log = structlog.get_logger(__name__)

_RECEIVE_MAXIMUM = 65535
_KEEPALIVE_S = 30
_RECONNECT_MIN_S, _RECONNECT_MAX_S = 1, 30
#: More than this is left in the socket, so that nothing can fill the memory.
_MOST_WAITING_BYTES = 8 * 1024 * 1024
#: Nor does one batch take more, for what is decoded is many times as large.
_MOST_TAKEN_BYTES = 2 * 1024 * 1024


class MqttSession:
    """One persistent session on a broker, MQTT 5 or 3.1.1."""

    def __init__(
        self,
        url: str,
        client_id: str,
        *,
        v5: bool = True,
        bulk: bool | None = None,
        expiry_s: int = 7 * 86400,
    ) -> None:
        """Prepare a session; `bulk` says how messages are read, None for the fast way where it works.

        For `expiry_s` the broker keeps what arrives while ingest is away; a broker that is spoken
        to in MQTT 3.1.1 has a rule of its own.
        """
        #: How long the broker was asked to keep the session, seconds.
        self.expiry_s = expiry_s
        self._subscriptions = Subscriptions(())
        self._url = urlsplit(url)
        self._bulk = is_supported() if bulk is None else bulk
        if bulk is None and not self._bulk:
            _log.warning("messages are read one by one: this paho has other insides than known")
        self._protocol = MQTTProtocolVersion.MQTTv5 if v5 else MQTTProtocolVersion.MQTTv311
        self._queue: queue.SimpleQueue[Delivery] = queue.SimpleQueue()
        #: Two counters each, because each belongs to one thread.
        self._delivered = self._delivered_bytes = self._taken = self._taken_bytes = 0
        self._lock = threading.Lock()
        #: Counts connections; an acknowledgement of an older one must not reach the broker,
        #: which may have given the packet id to another message.
        self._epoch = 0
        self._up = False
        self._connected_since_us = 0
        self._started = False
        self._client = self._make_client(client_id)

    @property
    def connected(self) -> bool:
        """Whether a connection is up."""
        return self._up

    @property
    def connected_since_us(self) -> int:
        """When the present or last connection came up, microseconds since 1970; 0 before the first."""
        return self._connected_since_us

    @property
    def epoch(self) -> int:
        """Number of connections so far."""
        return self._epoch

    @property
    def backlog(self) -> int:
        """Messages delivered and not taken yet."""
        return self._delivered - self._taken

    def start(self, subscriptions: Subscriptions) -> None:
        """Begin to connect; goes on trying with backoff for as long as it takes."""
        self._subscriptions = subscriptions
        tls = self._url.scheme == "mqtts"
        port = self._url.port or (8883 if tls else 1883)
        extra: dict[str, Any] = {}
        if self._protocol == MQTTProtocolVersion.MQTTv5:
            properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call] # paho has no type
            properties.SessionExpiryInterval = self.expiry_s
            properties.ReceiveMaximum = _RECEIVE_MAXIMUM
            extra = {"clean_start": False, "properties": properties}
        self._client.connect_async(self._url.hostname or "127.0.0.1", port, keepalive=_KEEPALIVE_S, **extra)
        self._started = True
        self._client.loop_start()

    def take(self, most: int, timeout_s: float) -> list[Delivery]:
        """Take what was delivered, in order, about `most` messages or 2 MB; waits `timeout_s` for the first.

        Raises SessionLostError where paho's thread has died.
        """
        if self._started and not self._thread_lives():
            msg = "the thread that speaks MQTT died"
            raise SessionLostError(msg)
        deliveries: list[Delivery] = []
        count = size_bytes = 0
        with suppress(queue.Empty):
            delivery = self._queue.get(timeout=timeout_s)
            while True:
                deliveries.append(delivery)
                count += len(delivery)
                size_bytes += delivery.payload_bytes
                if count >= most or size_bytes >= _MOST_TAKEN_BYTES:
                    break
                delivery = self._queue.get_nowait()
        self._taken += count
        self._taken_bytes += sum(delivery.held_bytes for delivery in deliveries)
        return deliveries

    def acknowledge(self, deliveries: Sequence[Delivery]) -> int:
        """Acknowledge in order of receipt what this very connection delivered; gives how many."""
        with self._lock:
            if not self._up:
                return 0
            current = [part.packet_ids for part in deliveries if part.epoch == self._epoch]
            packet_ids = [packet_id for part in current for packet_id in part if packet_id]
            if packet_ids:
                self._client.acknowledge_all(packet_ids)
            return len(packet_ids)

    def publish(self, messages: Sequence[Outgoing]) -> None:
        """Tell meters something. QoS 0: a lost word is made good by the next."""
        with self._lock:
            if self._up and messages:
                self._client.publish_all(messages)

    def send(self, topic: str, payload: bytes) -> None:
        """Publish with QoS 1 and not wait; nothing happens while the connection is down."""
        with self._lock:
            if self._up:
                self._client.publish(topic, payload, qos=1)

    def stop(self) -> None:
        """Close the connection, the broker keeps the session; from here on nothing is acknowledged."""
        if not self._started:
            return
        self._started = False
        with self._lock:
            self._up = False
        leave(self._client)

    def _make_client(self, client_id: str) -> BulkClient | PlainClient:
        v5 = self._protocol == MQTTProtocolVersion.MQTTv5
        session: dict[str, Any] = {} if v5 else {"clean_session": False}
        kind = BulkClient if self._bulk else PlainClient
        client = kind(
            self._deliver,
            self._is_full,
            CallbackAPIVersion.VERSION2,
            client_id=client_id,
            protocol=self._protocol,
            manual_ack=True,
            **session,
        )
        if self._url.username:
            client.username_pw_set(unquote(self._url.username), unquote(self._url.password or ""))
        if self._url.scheme == "mqtts":
            client.tls_set()
        client.reconnect_delay_set(_RECONNECT_MIN_S, _RECONNECT_MAX_S)
        client.on_connect = self._on_connect
        client.on_disconnect = self._on_disconnect
        client.on_connect_fail = self._on_connect_fail
        client.on_subscribe = self._on_subscribe
        return client

    def _thread_lives(self) -> bool:
        thread = self._client._thread  # noqa: SLF001 (is_connected() stays true when it dies)
        return thread is not None and thread.is_alive()

    def _on_connect(
        self, _client: object, _userdata: object, flags: Any, reason: Any, _properties: object
    ) -> None:
        if reason.is_failure:
            _log.error("broker refused the connection", reason=str(reason))
            return
        with self._lock:
            self._epoch += 1
            # A connection may come up while the session is being stopped.
            self._up = self._started
            self._connected_since_us = time.time_ns() // 1000
            # Under the lock, so that nothing is sent before; a canary without subscription is lost.
            self._subscribe()
        _log.info("connected to broker", session_present=flags.session_present, epoch=self._epoch)

    def _subscribe(self) -> None:
        # Always: it costs nothing where the session has the subscription, and it is not waited
        # for, because the SUBACK can arrive behind the whole backlog.
        self._client.subscribe([(name, 1) for name in self._subscriptions.wanted])
        # Afterwards: a message that comes twice is harmless, one that nobody takes is lost.
        if self._subscriptions.unwanted:
            self._client.unsubscribe(list(self._subscriptions.unwanted))

    def _on_disconnect(
        self, _client: object, _userdata: object, _flags: object, reason: Any, _properties: object
    ) -> None:
        with self._lock:
            self._up = False
        if reason.is_failure:
            _log.warning("connection to broker lost", reason=str(reason))

    def _on_subscribe(
        self, _client: object, _userdata: object, _mid: int, reasons: Any, _properties: object
    ) -> None:
        asked = zip(self._subscriptions.wanted, reasons, strict=False)
        refused = [name for name, reason in asked if reason.is_failure]
        if refused:
            _log.error("the broker does not let ingest read these topics", topics=refused)

    def _on_connect_fail(self, _client: object, _userdata: object) -> None:
        # paho calls this while it handles the error, and does not say which.
        why = str(sys.exception() or "no answer")
        _log.warning(
            "broker cannot be reached, trying again", host=self._url.hostname, port=self._url.port, error=why
        )

    def _deliver(self, topics: list[bytes], payloads: list[bytes], packet_ids: list[int]) -> None:
        delivery = Delivery(self._epoch, time.time_ns() // 1000, topics, payloads, packet_ids)
        self._delivered += len(delivery)
        self._delivered_bytes += delivery.held_bytes
        self._queue.put(delivery)

    def _is_full(self) -> bool:
        return self._delivered_bytes - self._taken_bytes > _MOST_WAITING_BYTES
