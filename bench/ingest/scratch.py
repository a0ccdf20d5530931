"""Scratch databases: one server, one migrated template, one fresh copy for each measurement."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from itertools import count
from pathlib import Path

from sqlalchemy.engine import make_url

from bench.ingest.exceptions import BenchError
from bench.ingest.workload import BOOT, COMPANY, METERS, meter_id
from bench.parts import administer, hotel_meter
from runtime.embedded_database import EmbeddedDatabase
from storage.database import Database
from storage.migrate import migrate
from storage.partitions import ensure_partitions
from storage.registry import upsert_meters

_NUMBERS = count()


class Scratch:
    """A template on a server, and copies of it."""

    def __init__(self, server_url: str) -> None:
        self._server_url = server_url
        self._name = f"meterwarden_bench_{os.getpid()}"

    def build(self) -> None:
        """Make the template: migrated, partitioned, 5,000 meters registered."""
        administer(self._server_url, f"CREATE DATABASE {self._name}")
        database = Database(self._url_of(self._name))
        try:
            migrate(database)
            with database.transaction() as transaction:
                ensure_partitions(transaction, datetime.now(UTC))
                upsert_meters(
                    transaction, [hotel_meter(COMPANY, meter_id(number)) for number in range(METERS)]
                )
        finally:
            database.close()
        administer(
            self._server_url,
            # TimescaleDB's own workers would keep a template busy.
            f"ALTER DATABASE {self._name} ALLOW_CONNECTIONS false",
            f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{self._name}'",
        )

    def drop(self) -> None:
        """Remove the template."""
        administer(self._server_url, f"DROP DATABASE IF EXISTS {self._name} WITH (FORCE)")

    @contextmanager
    def copy(self) -> Iterator[Database]:
        """Give a fresh copy, with everything on disk, so that no measurement pays for another's writes."""
        name = f"{self._name}_{next(_NUMBERS)}"
        administer(self._server_url, f"CREATE DATABASE {name} TEMPLATE {self._name}", "CHECKPOINT")
        database = Database(self._url_of(name))
        try:
            yield database
        finally:
            database.close()
            administer(self._server_url, f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")

    def _url_of(self, name: str) -> str:
        return make_url(self._server_url).set(database=name).render_as_string(hide_password=False)


@contextmanager
def scratch_databases(directory: Path) -> Iterator[Scratch]:
    """Use the server of METERWARDEN_DATABASE_URL, or an embedded one in `directory`."""
    with _server(directory) as url:
        scratch = Scratch(url)
        try:
            scratch.build()
            yield scratch
        finally:
            scratch.drop()


@contextmanager
def empty_database(directory: Path) -> Iterator[Database]:
    """Give one migrated and partitioned database, without meters, on the same kind of server."""
    with _server(directory) as url:
        name = f"meterwarden_bench_{os.getpid()}"
        administer(url, f"CREATE DATABASE {name}")
        database = Database(make_url(url).set(database=name).render_as_string(hide_password=False))
        try:
            migrate(database)
            with database.transaction() as transaction:
                ensure_partitions(transaction, datetime.now(UTC))
            yield database
        finally:
            database.close()
            administer(url, f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")


@contextmanager
def scratch_directory() -> Iterator[Path]:
    """Give a directory that another user may pass through, and that is gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="mw-bench-", ignore_cleanup_errors=True) as name:
        Path(name).chmod(0o755)
        yield Path(name)


def meter_keys(database: Database) -> dict[int, int]:
    """Give the number that the database knows each meter of the workload by."""
    with database.transaction() as transaction:
        rows = transaction.rows("SELECT meter_id, meter_key FROM meter")
    by_id = {row["meter_id"]: row["meter_key"] for row in rows}
    return {number: by_id[meter_id(number)] for number in range(METERS)}


def check_stored(database: Database, readings: int) -> None:
    """Raise BenchError unless exactly so many readings are stored, each once."""
    with database.transaction() as transaction:
        row = transaction.row(
            "SELECT coalesce(sum(times), 0) AS stored, count(*) AS distinct_readings, "
            "count(*) FILTER (WHERE boot IS DISTINCT FROM %(boot)s) AS strange FROM "
            "(SELECT boot, count(*) AS times FROM reading GROUP BY meter_key, boot, seq) AS per_reading",
            {"boot": BOOT},
        )
        refused = transaction.row("SELECT count(*) AS messages FROM refusal")
    found = {**(row or {}), "refused": (refused or {}).get("messages")}
    if found != {"stored": readings, "distinct_readings": readings, "strange": 0, "refused": 0}:
        missing, doubled = readings - found["distinct_readings"], found["stored"] - found["distinct_readings"]
        msg = f"of {readings} readings {missing} are missing and {doubled} doubled: {found}"
        raise BenchError(msg)


@contextmanager
def _server(directory: Path) -> Iterator[str]:
    given = os.environ.get("METERWARDEN_DATABASE_URL")
    if given:
        yield given
        return
    with EmbeddedDatabase(directory / "pg") as url:
        yield url
