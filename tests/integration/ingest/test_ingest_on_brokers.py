"""Ingest on real brokers and a real database: what is acknowledged is stored, once."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from fleet.meters import Meter
from runtime.embedded_broker import EmbeddedBroker
from storage.database import Database
from storage.registry import upsert_meters
from tests.integration.ingest.running import Publisher, count, ingesting, reading, until


def test_readings_are_stored_confirmed_and_left_for_the_engine(
    registered: Database, broker: tuple[str, int]
) -> None:
    with ingesting(registered, *broker):
        meter = Publisher(*broker)
        meter.publish([reading(1), reading(2)])
        meter.publish(reading(3))
        until(lambda: {"boot": 7, "seq": 3} in meter.confirmed)
        meter.close()
    assert count(registered, "reading") == 3
    with registered.transaction() as transaction:
        work = transaction.rows("SELECT meter_keys FROM dirty_work")
    assert {key for row in work for key in row["meter_keys"]} == {1}


def test_without_pahos_insides_the_same_is_stored_and_confirmed(
    registered: Database, broker: tuple[str, int]
) -> None:
    with ingesting(registered, *broker, bulk=False):
        meter = Publisher(*broker)
        meter.publish([reading(1), reading(2)])
        meter.publish(b"not json")
        meter.publish(reading(3))
        until(lambda: {"boot": 7, "seq": 3} in meter.confirmed)
        meter.close()
    assert (count(registered, "reading"), count(registered, "refusal")) == (3, 1)


@pytest.mark.mosquitto
@pytest.mark.parametrize("bulk", [True, False])
def test_large_messages_come_through_tls(
    registered: Database, tls_broker: tuple[str, str, Path], monkeypatch: pytest.MonkeyPatch, *, bulk: bool
) -> None:
    plain_url, tls_url, authority = tls_broker
    monkeypatch.setenv("SSL_CERT_FILE", str(authority))
    with ingesting(registered, tls_url, 5, bulk=bulk):
        meter = Publisher(plain_url, 5)
        for first in range(1, 2001, 200):
            meter.publish([reading(seq) for seq in range(first, first + 200)])
        until(lambda: {"boot": 7, "seq": 2000} in meter.confirmed)
        meter.close()
    assert count(registered, "reading") == 2000


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
    with ingesting(registered, *broker):
        meter = Publisher(*broker)
        for payload in bad:
            meter.publish(payload)
        meter.publish(reading(1), "gas/v1/north/UNKNOWN/telemetry")
        meter.publish(reading(1, meter="M2"))
        meter.publish(reading(2))
        until(lambda: count(registered, "reading") == 1)
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
    with ingesting(registered, embedded_broker.url, 5):
        meter = Publisher(embedded_broker.url, 5)
        meter.publish(reading(1))
        until(lambda: count(registered, "reading") == 1)
        with registered.transaction() as transaction:
            upsert_meters(transaction, [make_meter("M3")])
        clock = threading.Event()

        def heard() -> bool:
            meter.publish(reading(2), "gas/v1/north/M3/telemetry")
            clock.wait(0.1)
            return count(registered, "reading") >= 2

        until(heard)
        meter.close()


def test_while_the_database_refuses_a_batch_the_heartbeat_goes_on_and_says_so(
    registered: Database, embedded_broker: EmbeddedBroker
) -> None:
    def rename(before: str, after: str) -> None:
        with registered.transaction() as transaction:
            transaction.execute(f"ALTER TABLE {before} RENAME TO {after}")

    def figures() -> dict[str, Any]:
        with registered.transaction() as transaction:
            row = transaction.row("SELECT figures FROM service_heartbeat WHERE service = 'ingest'")
        return row["figures"] if row else {}

    with ingesting(registered, embedded_broker.url, 5):
        until(lambda: figures().get("last_canary_us", 0) > 0)
        rename("reading", "reading_away")
        meter = Publisher(embedded_broker.url, 5)
        meter.publish(reading(1))
        until(lambda: figures().get("retries", 0) > 1)
        rename("reading_away", "reading")
        until(lambda: count(registered, "reading") == 1)
        meter.close()


def test_status_messages_say_who_is_online(registered: Database, broker: tuple[str, int]) -> None:
    with ingesting(registered, *broker):
        meter = Publisher(*broker)
        meter.publish({"online": True, "boot": 7, "firmware": "2.1"}, "gas/v1/north/M1/status", retain=True)
        until(lambda: count(registered, "meter_connection") == 1)
        meter.publish({"online": False}, "gas/v1/north/M1/status", retain=True)

        def offline() -> bool:
            with registered.transaction() as transaction:
                row = transaction.row("SELECT online, boot, firmware FROM meter_connection")
            return row == {"online": False, "boot": 7, "firmware": "2.1"}

        until(offline)
        meter.close()


def test_what_came_while_ingest_was_away_is_there_when_it_returns(
    registered: Database, broker: tuple[str, int]
) -> None:
    with ingesting(registered, *broker):
        pass
    meter = Publisher(*broker)
    for seq in range(1, 51):
        meter.publish(reading(seq))
    with ingesting(registered, *broker):
        until(lambda: count(registered, "reading") == 50)
    meter.close()


def test_a_hole_in_the_sequence_holds_the_confirmation(
    registered: Database, embedded_broker: EmbeddedBroker
) -> None:
    with ingesting(registered, embedded_broker.url, 5):
        meter = Publisher(embedded_broker.url, 5)
        meter.publish([reading(1), reading(4)])
        until(lambda: {"boot": 7, "seq": 1} in meter.confirmed)
        with registered.transaction() as transaction:
            assert transaction.rows("SELECT seq_from, seq_to FROM sequence_gap") == [
                {"seq_from": 2, "seq_to": 3}
            ]
        meter.publish([reading(3), reading(2)])
        until(lambda: {"boot": 7, "seq": 4} in meter.confirmed)
        assert count(registered, "sequence_gap") == 0
        meter.close()
