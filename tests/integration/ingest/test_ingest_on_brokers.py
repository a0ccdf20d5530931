"""Ingest on real brokers and a real database: what is acknowledged is stored, once."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import paho.mqtt.client as mqtt
import pytest

from fleet.meters import Meter
from ingest.service import IngestOptions, IngestService
from ingest.session import MqttSession
from runtime.embedded_broker import EmbeddedBroker
from storage.database import Database
from storage.registry import upsert_meters

TOPIC = "gas/v1/north/M1/telemetry"


class Publisher:
    """A meter's side of the wire: publishes QoS 1, and remembers what it was told."""

    def __init__(self, url: str, version: int) -> None:
        host, port = url.removeprefix("mqtt://").split(":")
        self.confirmed: list[dict[str, int]] = []
        session = {} if version == 5 else {"clean_session": True}
        self.client = mqtt.Client(
            mqtt.CallbackAPIVersion.VERSION2, client_id="meter-side", protocol=version if version == 5 else 4, **session
        )  # fmt: skip
        ready = threading.Event()
        self.client.on_message = lambda *args: self.confirmed.append(json.loads(args[2].payload))
        self.client.on_connect = lambda client, *_: client.subscribe("gas/v1/north/+/confirm", 1)
        self.client.on_subscribe = lambda *_: ready.set()
        self.client.connect(host, int(port))
        self.client.loop_start()
        assert ready.wait(10)

    def publish(self, payload: object, topic: str = TOPIC, *, retain: bool = False) -> None:
        body = payload if isinstance(payload, bytes) else json.dumps(payload)
        self.client.publish(topic, body, qos=1, retain=retain).wait_for_publish(10)

    def close(self) -> None:
        self.client.disconnect()
        self.client.loop_stop()


@contextmanager
def _ingesting(
    database: Database, url: str, version: int, *, bulk: bool | None = None
) -> Iterator[IngestService]:
    session = MqttSession(url, "ingest-test", v5=version == 5, bulk=bulk)
    service = IngestService(database, session, IngestOptions())
    stop = threading.Event()
    thread = threading.Thread(target=service.run, args=(stop,))
    thread.start()
    try:
        _until(lambda: session.connected)
        yield service
    finally:
        stop.set()
        thread.join(10)
        assert not thread.is_alive()


def _until(check: Callable[[], bool], timeout_s: float = 15) -> None:
    """Wait for other processes and threads; the tests themselves never wait for a fixed time."""
    deadline = time.monotonic() + timeout_s
    while not check():
        assert time.monotonic() < deadline, "it did not happen in time"
        threading.Event().wait(0.02)


def _count(database: Database, table: str) -> int:
    with database.transaction() as transaction:
        row = transaction.row(f"SELECT count(*) AS n FROM {table}")
    assert row is not None
    return int(row["n"])


@pytest.fixture(params=["embedded-5", "embedded-3", pytest.param("mosquitto-5", marks=pytest.mark.mosquitto), pytest.param("mosquitto-3", marks=pytest.mark.mosquitto)])  # fmt: skip
def broker(request: pytest.FixtureRequest) -> tuple[str, int]:
    kind, version = request.param.split("-")
    if kind == "mosquitto":
        return request.getfixturevalue("mosquitto_url"), int(version)
    embedded: EmbeddedBroker = request.getfixturevalue("embedded_broker")
    return (embedded.url if version == "5" else embedded.url_v3), int(version)


@pytest.fixture
def registered(database: Database, make_meter: Callable[..., Meter]) -> Database:
    with database.transaction() as transaction:
        upsert_meters(transaction, [make_meter("M1"), make_meter("M2")])
    return database


def _reading(seq: int, **fields: Any) -> dict[str, Any]:
    return {"ts": time.time_ns() // 1_000_000 - 60_000 + seq, "boot": 7, "seq": seq, "flow": 1.0, **fields}


def test_readings_are_stored_confirmed_and_left_for_the_engine(
    registered: Database, broker: tuple[str, int]
) -> None:
    with _ingesting(registered, *broker):
        meter = Publisher(*broker)
        meter.publish([_reading(1), _reading(2)])
        meter.publish(_reading(3))
        _until(lambda: {"boot": 7, "seq": 3} in meter.confirmed)
        meter.close()
    assert _count(registered, "reading") == 3
    with registered.transaction() as transaction:
        work = transaction.rows("SELECT meter_keys FROM dirty_work")
    assert {key for row in work for key in row["meter_keys"]} == {1}


def test_without_pahos_insides_the_same_is_stored_and_confirmed(
    registered: Database, broker: tuple[str, int]
) -> None:
    with _ingesting(registered, *broker, bulk=False):
        meter = Publisher(*broker)
        meter.publish([_reading(1), _reading(2)])
        meter.publish(b"not json")
        meter.publish(_reading(3))
        _until(lambda: {"boot": 7, "seq": 3} in meter.confirmed)
        meter.close()
    assert (_count(registered, "reading"), _count(registered, "refusal")) == (3, 1)


@pytest.mark.mosquitto
@pytest.mark.parametrize("bulk", [True, False])
def test_large_messages_come_through_tls(
    registered: Database, tls_broker: tuple[str, str, Path], monkeypatch: pytest.MonkeyPatch, *, bulk: bool
) -> None:
    plain_url, tls_url, authority = tls_broker
    monkeypatch.setenv("SSL_CERT_FILE", str(authority))
    with _ingesting(registered, tls_url, 5, bulk=bulk):
        meter = Publisher(plain_url, 5)
        for first in range(1, 2001, 200):
            meter.publish([_reading(seq) for seq in range(first, first + 200)])
        _until(lambda: {"boot": 7, "seq": 2000} in meter.confirmed)
        meter.close()
    assert _count(registered, "reading") == 2000


def test_bad_telemetry_is_kept_with_its_reasons_and_the_process_lives(
    registered: Database, broker: tuple[str, int]
) -> None:
    bad = [
        b"not json",
        b'{"ts":0,"flow":1}',
        b'{"ts":4070908800000,"flow":1}',
        b'{"ts":1,"flow":NaN}',
        b"\xff\xfe",
        b"[" * 1_000_000,
    ]
    with _ingesting(registered, *broker):
        meter = Publisher(*broker)
        for payload in bad:
            meter.publish(payload)
        meter.publish(_reading(1), "gas/v1/north/UNKNOWN/telemetry")
        meter.publish(_reading(1, meter="M2"))
        meter.publish(_reading(2))
        _until(lambda: _count(registered, "reading") == 1)
        meter.close()
    with registered.transaction() as transaction:
        rows = transaction.rows("SELECT payload, reasons, readings FROM refusal ORDER BY refusal_id")
    assert [bytes(row["payload"]) for row in rows[: len(bad)]] == bad
    assert len(rows) == len(bad) + 2
    assert [row["reasons"][0]["field"] for row in rows] == [
        "payload",
        "ts",
        "ts",
        "flow",
        "payload",
        "payload",
        "meter",
        "meter",
    ]
    assert {reason["field"] for reason in rows[3]["reasons"]} == {"flow", "ts"}


def test_a_meter_registered_while_ingest_runs_is_known_at_once(
    registered: Database, embedded_broker: EmbeddedBroker, make_meter: Callable[..., Meter]
) -> None:
    with _ingesting(registered, embedded_broker.url, 5):
        meter = Publisher(embedded_broker.url, 5)
        meter.publish(_reading(1))
        _until(lambda: _count(registered, "reading") == 1)
        with registered.transaction() as transaction:
            upsert_meters(transaction, [make_meter("M3")])
        clock = threading.Event()

        def heard() -> bool:
            meter.publish(_reading(2), "gas/v1/north/M3/telemetry")
            clock.wait(0.1)
            return _count(registered, "reading") >= 2

        _until(heard)
        meter.close()


def test_status_messages_say_who_is_online(registered: Database, broker: tuple[str, int]) -> None:
    with _ingesting(registered, *broker):
        meter = Publisher(*broker)
        meter.publish({"online": True, "boot": 7, "firmware": "2.1"}, "gas/v1/north/M1/status", retain=True)
        _until(lambda: _count(registered, "meter_connection") == 1)
        meter.publish({"online": False}, "gas/v1/north/M1/status", retain=True)

        def offline() -> bool:
            with registered.transaction() as transaction:
                row = transaction.row("SELECT online, boot, firmware FROM meter_connection")
            return row == {"online": False, "boot": 7, "firmware": "2.1"}

        _until(offline)
        meter.close()


def test_what_came_while_ingest_was_away_is_there_when_it_returns(
    registered: Database, broker: tuple[str, int]
) -> None:
    with _ingesting(registered, *broker):
        pass
    meter = Publisher(*broker)
    for seq in range(1, 51):
        meter.publish(_reading(seq))
    with _ingesting(registered, *broker):
        _until(lambda: _count(registered, "reading") == 50)
    meter.close()


def test_a_hole_in_the_sequence_holds_the_confirmation(
    registered: Database, embedded_broker: EmbeddedBroker
) -> None:
    with _ingesting(registered, embedded_broker.url, 5):
        meter = Publisher(embedded_broker.url, 5)
        meter.publish([_reading(1), _reading(4)])
        _until(lambda: {"boot": 7, "seq": 1} in meter.confirmed)
        with registered.transaction() as transaction:
            assert transaction.rows("SELECT seq_from, seq_to FROM sequence_gap") == [
                {"seq_from": 2, "seq_to": 3}
            ]
        meter.publish([_reading(3), _reading(2)])
        _until(lambda: {"boot": 7, "seq": 4} in meter.confirmed)
        assert _count(registered, "sequence_gap") == 0
        meter.close()
