"""A small city: meters, readings, alarms, tasks and obligations in a real database."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any

import httpx
import numpy as np
import pytest
from fastapi import FastAPI

from api.app import create_app
from fleet.meters import Meter
from fleet.readings import ReadingBatch
from storage.database import Database, Transaction
from storage.readings import write_readings
from storage.registry import upsert_meters

BASE = "http://127.0.0.1"

#: What a row of the journal keeps of the alarm.
IMAGE = (
    "severity",
    "onset_at",
    "ended_at",
    "occurrences",
    "readings",
    "value",
    "limit_value",
    "part",
    "acknowledged_by",
    "acknowledged_at",
)


@dataclass
class City:
    """What stands in the database, and how to add to it."""

    database: Database
    now: datetime
    make_meter: Callable[..., Meter]
    keys: dict[str, int] = field(default_factory=dict)

    def meter(self, meter_id: str, **fields: object) -> int:
        with self.database.transaction() as transaction:
            upsert_meters(transaction, [self.make_meter(meter_id, **fields)])
            row = transaction.row("SELECT meter_key FROM meter WHERE meter_id = %(id)s", {"id": meter_id})
        assert row is not None
        self.keys[meter_id] = row["meter_key"]
        return int(row["meter_key"])

    def readings(self, meter_id: str, ages_s: list[float], **columns: Any) -> None:
        times = [int((self.now - timedelta(seconds=age)).timestamp() * 1e6) for age in ages_s]
        n = len(times)
        batch = ReadingBatch.build(
            n,
            meter_key=np.full(n, self.keys[meter_id]),
            device_time_us=times,
            received_us=times,
            **columns,
        )
        with self.database.transaction() as transaction:
            write_readings(transaction, batch)

    def alarm(
        self,
        meter_id: str,
        check: str = "flow_over_range",
        said: dict[str, Any] | None = None,
        **fields: Any,
    ) -> int:
        """Add an alarm and the first row of its journal, of which `said` may change columns."""
        row = {
            "company": "north",
            "meter_key": self.keys[meter_id],
            "check_code": check,
            "severity": "major",
            "state": "active_unacked",
            "onset_at": self.now - timedelta(hours=2),
            "raised_at": self.now - timedelta(hours=2),
            "readings": 3,
            "value": 171.5,
            "limit_value": 160.0,
            **fields,
        }
        with self.database.transaction() as transaction:
            alarm = self.insert(transaction, "alarm", row)
            alarm_id = alarm["alarm_id"]
            event = {"alarm_id": alarm_id, "event": "raise", "to_state": row["state"], "actor": "engine"}
            times = {"event_at": row["onset_at"], "decided_at": row["raised_at"]}
            image = {name: alarm[name] for name in IMAGE}
            self.insert(transaction, "alarm_journal", {**image, **event, **times, **(said or {})})
        return int(alarm_id)

    def task(self, due_in_days: int = 3, **fields: Any) -> int:
        row = {
            "company": "north",
            "customer": "Hotel M1",
            "kind": "alarm_visit",
            "state": "planned",
            "due_on": self.now.date() + timedelta(days=due_in_days),
            "created_at": self.now,
            **fields,
        }
        with self.database.transaction() as transaction:
            return int(self.insert(transaction, "task", row)["task_id"])

    def obligation(self, start: date, end: date, **fields: Any) -> int:
        row = {
            "company": "north",
            "customer": "Hotel M1",
            "kind": "safety_inspection",
            "reading_class": "daily",
            "period_start": start,
            "period_end": end,
            **fields,
        }
        with self.database.transaction() as transaction:
            return int(self.insert(transaction, "obligation", row)["obligation_id"])

    def beat(self, service: str, age_s: float = 1.0, figures: str = "{}", instance: str = "") -> None:
        row = {
            "service": service,
            "instance": instance,
            "started_at": self.now - timedelta(hours=1),
            "beat_at": self.now - timedelta(seconds=age_s),
            "figures": figures,
        }
        with self.database.transaction() as transaction:
            self.insert(transaction, "service_heartbeat", row)

    @staticmethod
    def insert(transaction: Transaction, table: str, row: dict[str, Any]) -> dict[str, Any]:
        names = ", ".join(row)
        values = ", ".join(f"%({name})s" for name in row)
        found = transaction.row(f"INSERT INTO {table} ({names}) VALUES ({values}) RETURNING *", row)
        assert found is not None
        return found


@pytest.fixture
def city(database: Database, now: datetime, make_meter: Callable[..., Meter]) -> City:
    made = City(database, now.astimezone(UTC), make_meter)
    made.meter("M1")
    return made


class Client:
    """Speaks HTTP to an application in this process, one event loop per request; keeps no cookies."""

    def __init__(self, app: FastAPI, base: str, headers: dict[str, str]) -> None:
        self.app = app
        self._base = base
        self._headers = headers

    def request(self, method: str, url: str, **options: Any) -> httpx.Response:
        async def send() -> httpx.Response:
            transport = httpx.ASGITransport(self.app, raise_app_exceptions=False)
            async with httpx.AsyncClient(
                transport=transport, base_url=self._base, headers=self._headers
            ) as client:
                return await client.request(method, url, **options)

        return asyncio.run(send())

    def get(self, url: str, **options: Any) -> httpx.Response:
        return self.request("GET", url, **options)

    def put(self, url: str, **options: Any) -> httpx.Response:
        return self.request("PUT", url, **options)

    def post(self, url: str, **options: Any) -> httpx.Response:
        return self.request("POST", url, **options)


@pytest.fixture
def connect(city: City) -> Callable[..., Client]:
    """Make a client of a new application over the city."""

    def make(
        token: str | None = None, base: str = BASE, database: Database | None = None, **headers: str
    ) -> Client:
        app = create_app(database or city.database, token=token, now=lambda: city.now)
        return Client(app, base, headers)

    return make


@pytest.fixture
def client(connect: Callable[..., Client]) -> Client:
    return connect()
