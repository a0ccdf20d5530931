"""Starts all parts in a scratch directory, and leaves nothing behind."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy.engine import make_url

from bench.faults.control import Control
from bench.faults.disk import small_disk
from bench.faults.ingest_process import CONTROL, MUTATION
from bench.faults.keeper import Keeper
from bench.faults.ledger import Ledger
from bench.faults.mosquitto import Mosquitto
from bench.faults.names import IDENTITY, meters
from bench.faults.oracle import Oracle
from bench.faults.proxy import Proxy
from bench.faults.server import Server, socket_address
from bench.faults.stage import Stage
from bench.faults.watch import Answers, Witness
from bench.parts import administer
from storage.database import Database
from storage.migrate import migrate
from storage.partitions import ensure_partitions
from storage.registry import upsert_meters

_BROKER_DISK_MB, _SERVER_DISK_MB = 16, 256
_SMALL_LOG = (
    "ALTER SYSTEM SET max_wal_size = '64MB'",
    "ALTER SYSTEM SET min_wal_size = '32MB'",
    "SELECT pg_reload_conf()",
)


@contextmanager
def open_stage(directory: Path, seed: int, mutation: str) -> Iterator[Stage]:
    """Start broker, database, proxies and ingest; `mutation` names what is wrong with ingest."""
    with ExitStack() as stack:
        broker_disk = stack.enter_context(small_disk(directory / "broker", _BROKER_DISK_MB))
        server_disk = stack.enter_context(small_disk(directory / "postgres", _SERVER_DISK_MB))
        broker = Mosquitto(directory, broker_disk.folder)
        stack.callback(broker.stop)
        server, server_url = _server(stack, server_disk.folder)
        url = stack.enter_context(_database(server_url))
        oracle, answers = Oracle(url), Answers()
        stack.callback(oracle.close)
        witness = Witness(oracle)
        to_broker = Proxy(lambda: _connect(("127.0.0.1", broker.port)), witness.connection)
        to_database = Proxy(lambda: _connect(socket_address(server_url)), lambda: answers)
        stack.callback(to_broker.close)
        stack.callback(to_database.close)
        settings = {
            "METERWARDEN_DATABASE_URL": _through(to_database, url),
            "METERWARDEN_MQTT_URL": f"mqtt://127.0.0.1:{to_broker.port}",
            "METERWARDEN_INGEST_IDENTITY": IDENTITY,
            CONTROL: str(directory / "control"),
            MUTATION: mutation,
        }
        log = directory / "ingest.log"
        ingest = Keeper(settings, log)
        stack.callback(ingest.kill_for_good)
        ledger = Ledger(directory / "ledger.jsonl")
        stack.callback(ledger.close)
        broker.start()
        ingest.start()
        yield Stage(
            broker=broker,
            broker_disk=broker_disk,
            server=server,
            server_disk=server_disk,
            ingest=ingest,
            another_ingest=lambda **other: Keeper(settings | other, log),
            control=Control(directory / "control"),
            oracle=oracle,
            witness=witness,
            answers=answers,
            to_broker=to_broker,
            to_database=to_database,
            ledger=ledger,
            seed=seed,
        )


def _server(stack: ExitStack, folder: Path) -> tuple[Server | None, str]:
    given = os.environ.get("METERWARDEN_DATABASE_URL")
    if given:
        return None, given
    server = Server(folder / "data")
    url = server.start()
    stack.callback(server.stop)
    administer(url, *_SMALL_LOG)
    return server, url


@contextmanager
def _database(server_url: str) -> Iterator[str]:
    """Make a database of its own, migrated, with all meters registered."""
    name = f"meterwarden_faults_{os.getpid()}"
    administer(server_url, f"CREATE DATABASE {name}")
    url = make_url(server_url).set(database=name).render_as_string(hide_password=False)
    database = Database(url)
    try:
        migrate(database)
        with database.transaction() as transaction:
            ensure_partitions(transaction, datetime.now(UTC))
            upsert_meters(transaction, meters())
    finally:
        database.close()
    try:
        yield url
    finally:
        administer(server_url, f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")


def _through(proxy: Proxy, url: str) -> str:
    parsed = make_url(url)
    query = {name: value for name, value in parsed.query.items() if name != "host"}
    return parsed.set(host="127.0.0.1", port=proxy.port, query=query).render_as_string(hide_password=False)


def _connect(address: str | tuple[str, int]) -> socket.socket:
    if isinstance(address, str):
        end = socket.socket(socket.AF_UNIX)
        end.connect(address)
        return end
    end = socket.create_connection(address, timeout=5)
    end.settimeout(None)
    return end
