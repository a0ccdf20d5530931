"""Brokers of both kinds and protocols, and a database with two registered meters."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from fleet.meters import Meter
from runtime.embedded_broker import EmbeddedBroker
from storage.database import Database
from storage.registry import upsert_meters


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
