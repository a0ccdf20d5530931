"""Two readers as programs of their own: `count` messages, or store them as people usually do.

Both are written the plain way on purpose: paho's defaults, and a callback for each message.
"""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import paho.mqtt.client as mqtt
import psycopg2
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from psycopg2.extras import execute_values

DONE = "drained"
#: How long a session of MQTT 5 outlives its connection, seconds.
SESSION_S = 3600
_PER_COMMIT = 1000
_INSERT = (
    "INSERT INTO reading (meter_key, device_time, seq, boot, received_at, flow_m3h, volume_m3, balance, "
    "battery_v) VALUES %s ON CONFLICT DO NOTHING"
)


@dataclass(frozen=True, slots=True)
class Source:
    """Where what is queued, and for whom."""

    port: int
    client_id: str
    messages: int
    #: Version of MQTT, 3 (that is 3.1.1) or 5.
    mqtt: int


def count(source: Source) -> None:
    """Count messages; paho acknowledges each as it comes."""
    seen = 0

    def on_message(client: mqtt.Client, _userdata: object, _message: mqtt.MQTTMessage) -> None:
        nonlocal seen
        seen += 1
        if seen == source.messages:
            print(DONE, flush=True)
            client.disconnect()

    _run(source, on_message, manual_ack=False)


def store(source: Source, database_url: str) -> None:
    """Collect 1,000 messages, insert them, commit, acknowledge them."""
    connection = psycopg2.connect(database_url)
    cursor = connection.cursor()
    cursor.execute("SELECT meter_id, meter_key FROM meter")
    keys: dict[str, int] = dict(cursor.fetchall())
    connection.commit()
    collected: list[tuple[Any, ...]] = []
    waiting: list[tuple[int, int]] = []
    stored = 0

    def on_message(client: mqtt.Client, _userdata: object, message: mqtt.MQTTMessage) -> None:
        nonlocal stored
        collected.append(_row(keys, message))
        waiting.append((message.mid, message.qos))
        if len(collected) == _PER_COMMIT or stored + len(collected) == source.messages:
            execute_values(cursor, _INSERT, collected, page_size=_PER_COMMIT)
            connection.commit()
            for mid, qos in waiting:
                client.ack(mid, qos)
            stored += len(collected)
            collected.clear()
            waiting.clear()
            if stored == source.messages:
                print(DONE, flush=True)
                client.disconnect()

    _run(source, on_message, manual_ack=True)
    connection.close()


def _row(keys: dict[str, int], message: mqtt.MQTTMessage) -> tuple[Any, ...]:
    reading = json.loads(message.payload)
    return (
        keys[message.topic.split("/")[3]],
        datetime.fromtimestamp(reading["ts"] / 1000, UTC),
        reading["seq"],
        reading["boot"],
        datetime.now(UTC),
        reading["flow"],
        reading["volume"],
        reading["balance"],
        reading["battery"],
    )


def _run(source: Source, on_message: Any, *, manual_ack: bool) -> None:
    """Read with paho until the callback disconnects."""
    properties = None
    session: dict[str, Any] = {"clean_session": False}
    if source.mqtt == 5:  # noqa: PLR2004 (the protocol's number)
        properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call] # paho has no type
        properties.SessionExpiryInterval = SESSION_S
        session = {"protocol": MQTTProtocolVersion.MQTTv5}
    version = CallbackAPIVersion.VERSION2
    client = mqtt.Client(version, client_id=source.client_id, manual_ack=manual_ack, **session)
    client.on_message = on_message
    if properties is None:
        client.connect("127.0.0.1", source.port)
    else:
        client.connect("127.0.0.1", source.port, clean_start=False, properties=properties)
    client.loop_forever()


if __name__ == "__main__":
    kind, port_text, name, messages_text, mqtt_text, *database = sys.argv[1:]
    queued = Source(int(port_text), name, int(messages_text), int(mqtt_text))
    if kind == "count":
        count(queued)
    else:
        store(queued, *database)
