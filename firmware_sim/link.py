"""One MQTT connection, driven by its caller: no thread of its own, so nothing to lock or to lose."""

from __future__ import annotations

import logging
import ssl
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

from firmware_sim.connection import Acknowledged, Address, Down, Event, Received, Up, Will

_log = logging.getLogger(__name__)

_BACKOFF_S = (0.5, 10.0)
_CONNECT_TIMEOUT_S = 5.0
_CONNACK_TIMEOUT_S = 15.0
_KEEPALIVE_S = 30
#: Packets read in one turn at most, so that sending has its turn too.
_MOST_PACKETS = 200
_VERSIONS = {3: MQTTProtocolVersion.MQTTv311, 5: MQTTProtocolVersion.MQTTv5}


class MqttLink:
    """A connection to a broker that comes back by itself.

    Each connection is a new client: paho's packet ids and its own queue do not outlive it.
    """

    def __init__(
        self,
        address: Address,
        client_id: str,
        filters: Sequence[str],
        *,
        version: int = 5,
        will: Will | None = None,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._address, self._client_id, self._filters = address, client_id, list(filters)
        self._version, self._will = _VERSIONS[version], will
        self._clock, self._sleep = clock, sleep
        self._client: mqtt.Client | None = None
        self._events: deque[Event] = deque()
        self._up = False
        self._backoff_s, self._not_before_s, self._give_up_at_s = _BACKOFF_S[0], 0.0, 0.0
        self._complained = False
        self._refusal = ""

    @property
    def up(self) -> bool:
        """Whether messages can be sent."""
        return self._up

    def service(self, timeout_s: float) -> list[Event]:
        """Connect where needed, let paho read and write; gives what happened."""
        if self._client is None:
            self._try_to_connect(timeout_s)
        if self._client is not None:
            self._turn(self._client, timeout_s)
        events = list(self._events)
        self._events.clear()
        return events

    def _turn(self, client: mqtt.Client, timeout_s: float) -> None:
        """Let paho work; it may read no more than one packet at a time, so as long as any comes."""
        code = client.loop(timeout_s)
        for _ in range(_MOST_PACKETS):
            before = len(self._events)
            if code != mqtt.MQTT_ERR_SUCCESS or not before:
                break
            code = client.loop(0.0)
            if len(self._events) == before:
                break
        if code != mqtt.MQTT_ERR_SUCCESS:
            self._lose(self._refusal or mqtt.error_string(code))
        elif not self._up and self._clock() > self._give_up_at_s:
            self._lose("the broker does not answer")

    def send(self, topic: str, payload: bytes, *, retain: bool) -> int | None:
        """Send with QoS 1; gives the packet id, None where the connection is down."""
        if self._client is None or not self._up:
            return None
        info = self._client.publish(topic, payload, qos=1, retain=retain)
        return info.mid if info.rc == mqtt.MQTT_ERR_SUCCESS else None

    def close(self) -> None:
        """Take leave of the broker, so that it keeps the last will to itself."""
        if self._client is not None:
            self._client.disconnect()
            self._client = None
        self._up = False

    def _try_to_connect(self, timeout_s: float) -> None:
        wait_s = self._not_before_s - self._clock()
        if wait_s > 0:
            self._sleep(min(wait_s, timeout_s))
            return
        client = self._make_client()
        self._client = client
        self._give_up_at_s = self._clock() + _CONNACK_TIMEOUT_S
        try:
            client.connect(self._address.host, self._address.port, keepalive=_KEEPALIVE_S)
        except (OSError, ValueError) as error:
            self._lose(str(error))

    def _make_client(self) -> mqtt.Client:
        session: dict[str, Any] = {} if self._version == mqtt.MQTTv5 else {"clean_session": True}
        client = mqtt.Client(
            CallbackAPIVersion.VERSION2, client_id=self._client_id, protocol=self._version, **session
        )
        client.connect_timeout = _CONNECT_TIMEOUT_S
        client.max_inflight_messages_set(0)  # the lane keeps its own window
        if self._address.user is not None:
            client.username_pw_set(self._address.user, self._address.password)
        if self._address.tls:
            client.tls_set_context(ssl.create_default_context())
        if self._will is not None:
            client.will_set(self._will.topic, self._will.payload, qos=1, retain=True)
        client.on_connect = self._on_connect
        client.on_publish = self._on_publish
        client.on_message = self._on_message
        return client

    def _lose(self, reason: str) -> None:
        """Drop the connection, and say so once until there is one again."""
        if not self._complained:
            where = f"{self._address.host}:{self._address.port}"
            _log.warning("broker %s cannot be used, trying again: %s", where, reason)
            self._complained = True
        if self._client is not None:
            with suppress(OSError, ValueError):
                self._client.disconnect()
            self._client = None
        if self._up:
            self._events.append(Down())
        self._up = False
        self._not_before_s = self._clock() + self._backoff_s
        self._backoff_s = min(2 * self._backoff_s, _BACKOFF_S[1])

    # What follows is called by paho, inside `service`. It only notes; it cannot raise.

    def _on_connect(
        self, client: mqtt.Client, _userdata: object, _flags: object, reason: Any, properties: Any
    ) -> None:
        if reason.is_failure:
            self._refusal = f"it refuses the connection: {reason}"
            return
        if self._complained:
            _log.info("broker %s:%d is there again", self._address.host, self._address.port)
        self._complained, self._up, self._backoff_s = False, True, _BACKOFF_S[0]
        self._refusal = ""
        if self._filters:
            client.subscribe([(name, 1) for name in self._filters])
        self._events.append(Up(getattr(properties, "ReceiveMaximum", None)))

    def _on_publish(
        self, _client: object, _userdata: object, packet_id: int, reason: Any, _properties: object
    ) -> None:
        self._events.append(Acknowledged(packet_id, int(getattr(reason, "value", 0))))

    def _on_message(self, _client: object, _userdata: object, message: mqtt.MQTTMessage) -> None:
        # A topic that is no UTF-8 cannot be for one of our meters.
        with suppress(UnicodeDecodeError):
            self._events.append(Received(message.topic, bytes(message.payload)))
