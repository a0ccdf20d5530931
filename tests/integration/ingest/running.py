"""Ingest that runs, a meter's side of the wire, and waiting for what other threads do."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import paho.mqtt.client as mqtt

from ingest.service import IngestOptions, IngestService
from ingest.session import MqttSession
from storage.database import Database

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
def ingesting(
    database: Database,
    url: str,
    version: int,
    *,
    bulk: bool | None = None,
    identity: str = "ingest-test",
    share: str | None = None,
) -> Iterator[IngestService]:
    """A whole ingest process in a thread of this one."""
    session = MqttSession(url, identity, v5=version == 5, bulk=bulk)
    service = IngestService(database, session, IngestOptions(identity=identity, share=share))
    stop = threading.Event()
    thread = threading.Thread(target=service.run, args=(stop,))
    thread.start()
    try:
        until(lambda: session.connected)
        yield service
    finally:
        stop.set()
        thread.join(10)
        assert not thread.is_alive()


def until(check: Callable[[], bool], timeout_s: float = 15) -> None:
    """Wait for other processes and threads; the tests themselves never wait for a fixed time."""
    deadline = time.monotonic() + timeout_s
    while not check():
        assert time.monotonic() < deadline, "it did not happen in time"
        threading.Event().wait(0.02)


def count(database: Database, table: str) -> int:
    with database.transaction() as transaction:
        row = transaction.row(f"SELECT count(*) AS n FROM {table}")
    assert row is not None
    return int(row["n"])


def reading(seq: int, **fields: Any) -> dict[str, Any]:
    return {"ts": time.time_ns() // 1_000_000 - 60_000 + seq, "boot": 7, "seq": seq, "flow": 1.0, **fields}
