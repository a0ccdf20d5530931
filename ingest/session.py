"""The MQTT session: paho keeps the connection, and nothing is acknowledged but by `acknowledge`.

Callbacks run on paho's thread. They only put messages into a queue, and they never raise: an
exception there would kill the thread while the connection still looks alive.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from typing import Any
from urllib.parse import unquote, urlsplit

import msgspec
import paho.mqtt.client as mqtt
import structlog
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from fleet.wire import ROOT, topic
from ingest.batch import Message
from ingest.exceptions import SessionLostError
from ingest.writer import Confirmation

_log = structlog.get_logger(__name__)

FILTERS = (f"{ROOT}/+/+/telemetry", f"{ROOT}/+/+/status")
#: Long, as Mosquitto needs it: the broker keeps what arrives while ingest is away.
_SESSION_EXPIRY_S = 7 * 86400
_RECEIVE_MAXIMUM = 65535
_KEEPALIVE_S = 30
_RECONNECT_MIN_S, _RECONNECT_MAX_S = 1, 30


class MqttSession:
    """One persistent session on a broker, MQTT 5 or 3.1.1."""

    def __init__(self, url: str, client_id: str, *, v5: bool = True) -> None:
        self._url = urlsplit(url)
        self._protocol = MQTTProtocolVersion.MQTTv5 if v5 else MQTTProtocolVersion.MQTTv311
        self._queue: queue.SimpleQueue[Message] = queue.SimpleQueue()
        self._lock = threading.Lock()
        #: Counts connections; an acknowledgement of an older one must not reach the broker,
        #: which may have given the packet id to another message.
        self._epoch = 0
        self._up = False
        self._started = False
        self._client = self._make_client(client_id)

    @property
    def connected(self) -> bool:
        """Whether a connection is up."""
        return self._up

    @property
    def epoch(self) -> int:
        """Number of connections so far."""
        return self._epoch

    @property
    def backlog(self) -> int:
        """Messages delivered and not taken yet."""
        return self._queue.qsize()

    def start(self) -> None:
        """Begin to connect; goes on trying with backoff for as long as it takes."""
        tls = self._url.scheme == "mqtts"
        port = self._url.port or (8883 if tls else 1883)
        extra: dict[str, Any] = {}
        if self._protocol == MQTTProtocolVersion.MQTTv5:
            properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call] # paho has no type
            properties.SessionExpiryInterval = _SESSION_EXPIRY_S
            properties.ReceiveMaximum = _RECEIVE_MAXIMUM
            extra = {"clean_start": False, "properties": properties}
        self._client.connect_async(self._url.hostname or "127.0.0.1", port, keepalive=_KEEPALIVE_S, **extra)
        self._client.loop_start()
        self._started = True

    def take(self, most: int, timeout_s: float) -> list[Message]:
        """Take what was delivered, in order; waits up to `timeout_s` for the first message.

        Raises SessionLostError where paho's thread has died.
        """
        if self._started and not self._thread_lives():
            msg = "the thread that speaks MQTT died"
            raise SessionLostError(msg)
        messages: list[Message] = []
        with suppress(queue.Empty):
            messages.append(self._queue.get(timeout=timeout_s))
            while len(messages) < most:
                messages.append(self._queue.get_nowait())
        return messages

    def acknowledge(self, messages: Sequence[Message]) -> int:
        """Acknowledge in order of receipt what this very connection delivered; gives how many."""
        sent = 0
        with self._lock:
            for message in messages:
                if message.qos and self._up and message.epoch == self._epoch:
                    self._client.ack(message.packet_id, message.qos)
                    sent += 1
        return sent

    def confirm(self, confirmations: Sequence[Confirmation]) -> None:
        """Tell meters what is committed. QoS 0: a lost one is made good by the next."""
        for item in confirmations:
            payload = msgspec.json.encode({"boot": item.boot, "seq": item.seq})
            self._client.publish(topic(item.company, item.meter_id, "confirm"), payload, qos=0)

    def stop(self) -> None:
        """Close the connection; the broker keeps the session."""
        self._started = False
        self._client.disconnect()
        self._client.loop_stop()

    def _make_client(self, client_id: str) -> mqtt.Client:
        v5 = self._protocol == MQTTProtocolVersion.MQTTv5
        session: dict[str, Any] = {} if v5 else {"clean_session": False}
        client = mqtt.Client(
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
        client.on_message = self._on_message
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
            self._up = True
        # Always: it costs nothing where the session has the subscription, and it is not waited
        # for, because the SUBACK can arrive behind the whole backlog.
        self._client.subscribe([(name, 1) for name in FILTERS])
        _log.info("connected to broker", session_present=flags.session_present, epoch=self._epoch)

    def _on_disconnect(
        self, _client: object, _userdata: object, _flags: object, reason: Any, _properties: object
    ) -> None:
        with self._lock:
            self._up = False
        if reason.is_failure:
            _log.warning("connection to broker lost", reason=str(reason))

    def _on_connect_fail(self, _client: object, _userdata: object) -> None:
        _log.warning("broker cannot be reached, trying again", host=self._url.hostname, port=self._url.port)

    def _on_message(self, _client: object, _userdata: object, message: mqtt.MQTTMessage) -> None:
        try:
            name = message.topic
        except UnicodeDecodeError:
            name = message._topic.decode("utf-8", "backslashreplace")  # noqa: SLF001 (no other way)
        received_us = time.time_ns() // 1000
        payload = bytes(message.payload)
        self._queue.put(Message(name, payload, message.qos, message.mid, received_us, self._epoch))
