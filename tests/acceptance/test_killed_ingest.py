"""SIGKILL in the middle of a stream: afterwards every reading is there, once."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from typing import Any

import paho.mqtt.client as mqtt
import pytest

from fleet.meters import Meter
from runtime.embedded_broker import EmbeddedBroker
from storage.database import Database
from storage.registry import upsert_meters

MESSAGES = 4000
METERS = 20


def _publish_all(url: str, stop_at_half: threading.Event, go_on: threading.Event) -> None:
    host, port = url.removeprefix("mqtt://").split(":")
    client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, client_id="stream", protocol=mqtt.MQTTv311)
    client.max_inflight_messages_set(500)
    client.connect(host, int(port))
    client.loop_start()
    start_ms = time.time_ns() // 1_000_000 - MESSAGES * 1000
    for number in range(MESSAGES):
        if number == MESSAGES // 2:
            stop_at_half.set()
            go_on.wait(30)
        reading = {"ts": start_ms + number * 1000, "boot": 1, "seq": number // METERS + 1, "flow": 2.0}
        info = client.publish(f"gas/v1/north/M{number % METERS}/telemetry", json.dumps(reading), qos=1)
    info.wait_for_publish(30)
    client.disconnect()
    client.loop_stop()


@pytest.fixture(params=["embedded", pytest.param("mosquitto", marks=pytest.mark.mosquitto)])
def broker_url(request: pytest.FixtureRequest) -> str:
    if request.param == "mosquitto":
        return str(request.getfixturevalue("mosquitto_url"))
    embedded: EmbeddedBroker = request.getfixturevalue("embedded_broker")
    return embedded.url_v3


def test_every_reading_is_there_once_after_a_kill(
    database: Database,
    broker_url: str,
    processes: Any,
    until: Callable[..., None],
    count: Callable[[str], int],
    make_meter: Callable[..., Meter],
) -> None:
    with database.transaction() as transaction:
        upsert_meters(transaction, [make_meter(f"M{number}") for number in range(METERS)])
    settings = {"database_url": database.url, "mqtt_url": broker_url, "mqtt_version": "3"}
    ingest = processes.start("ingest", **settings)
    until(lambda: "connected to broker" in processes.log("ingest"))
    half, go_on = threading.Event(), threading.Event()
    publisher = threading.Thread(target=_publish_all, args=(broker_url, half, go_on))
    publisher.start()
    until(lambda: count("reading") > 0)
    processes.kill(ingest)
    assert count("reading") < MESSAGES
    assert half.wait(30)
    processes.start("ingest", **settings)
    go_on.set()
    publisher.join(60)
    until(lambda: count("reading") >= MESSAGES)
    assert count("(SELECT DISTINCT meter_key, seq FROM reading) r") == MESSAGES
    assert count("reading") == MESSAGES
    assert count("sequence_gap") == 0
    assert count("refusal") == 0
    assert processes.stop_all() == [0]


@pytest.mark.mosquitto
def test_every_reading_is_there_once_after_a_member_of_a_group_was_killed_and_started_again(
    database: Database,
    mosquitto_url: str,
    processes: Any,
    until: Callable[..., None],
    count: Callable[[str], int],
    make_meter: Callable[..., Meter],
) -> None:
    with database.transaction() as transaction:
        upsert_meters(transaction, [make_meter(f"M{number}") for number in range(METERS)])
    settings = {"database_url": database.url, "mqtt_url": mosquitto_url, "mqtt_share": "city"}
    processes.start("ingest", ingest_identity="north", **settings)
    dying = processes.start("ingest", ingest_identity="south", **settings)
    until(lambda: processes.log("ingest").count("connected to broker") == 2)
    half, go_on = threading.Event(), threading.Event()
    publisher = threading.Thread(target=_publish_all, args=(mosquitto_url, half, go_on))
    publisher.start()
    until(lambda: count("reading") > 0)
    processes.kill(dying)
    assert half.wait(30)
    go_on.set()
    publisher.join(60)
    assert count("reading") < MESSAGES
    processes.start("ingest", ingest_identity="south", **settings)
    until(lambda: count("reading") >= MESSAGES)
    assert count("(SELECT DISTINCT meter_key, seq FROM reading) r") == MESSAGES
    assert count("reading") == MESSAGES
    assert count("sequence_gap") == 0
    assert processes.stop_all() == [0, 0]


def test_a_second_ingest_of_the_same_name_stands_by_and_takes_over(
    database: Database, embedded_broker: EmbeddedBroker, processes: Any, until: Callable[..., None]
) -> None:
    settings = {"database_url": database.url, "mqtt_url": embedded_broker.url}
    first = processes.start("ingest", **settings)
    until(lambda: "connected to broker" in processes.log("ingest"))
    processes.start("ingest", **settings)
    until(lambda: "standing by" in processes.log("ingest"))
    processes.kill(first)
    until(lambda: processes.log("ingest").count("connected to broker") == 2)
    assert processes.log("ingest").count("connection to broker lost") == 0
