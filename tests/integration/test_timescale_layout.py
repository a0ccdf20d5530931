"""The TimescaleDB layout on TimescaleDB's own code: 2.23 on a WASM PostgreSQL, one connection at a time."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from runtime.embedded_broker import free_port
from storage.database import Database
from storage.migrate import is_migrated, migrate
from storage.named_sql import load_queries
from storage.partitions import ensure_partitions
from storage.readings import READING_COLUMN_LIST
from tests.conftest import NOW, missing_part

pytestmark = pytest.mark.timescale

_FOLDER = Path(__file__).parents[1] / "timescale"
_COLUMNS = """
    SELECT column_name, data_type, is_nullable FROM information_schema.columns
    WHERE table_name = 'reading' ORDER BY ordinal_position
"""


@pytest.fixture
def timescale() -> Iterator[Database]:
    node = shutil.which("node")
    if node is None or not (_FOLDER / "node_modules").is_dir():
        missing_part("Node.js with the packages of tests/timescale")
    port = free_port()
    with subprocess.Popen([str(node), "serve.mjs", str(port)], cwd=_FOLDER, stdout=subprocess.PIPE) as server:
        assert server.stdout is not None
        assert server.stdout.readline() == b"ready\n"
        url = f"postgresql://postgres:postgres@127.0.0.1:{port}/postgres?sslmode=disable"
        database = Database(url, pool_size=1)
        yield database
        database.close()
        server.terminate()


def _migrate(database: Database) -> list[str]:
    """Migrate with the pool closed first: this server takes one connection at a time."""
    database.close()
    return migrate(database)


def test_telemetry_becomes_a_hypertable_with_columnstore_and_retention(timescale: Database) -> None:
    assert _migrate(timescale) == [
        "0001_house",
        "0002_reading",
        "0003_ingest",
        "0004_import",
        "0005_subscription",
        "0006_heartbeat_instance",
        "0007_import_conflicts",
        "0010_policy",
    ]
    with timescale.transaction() as transaction:
        (table,) = transaction.rows(
            "SELECT hypertable_name, compression_enabled FROM timescaledb_information.hypertables"
        )
        jobs = transaction.rows(
            "SELECT proc_name FROM timescaledb_information.jobs WHERE hypertable_name = 'reading'"
        )
        assert ensure_partitions(transaction, NOW) == []
    assert table == {"hypertable_name": "reading", "compression_enabled": True}
    assert {job["proc_name"] for job in jobs} == {"policy_compression", "policy_retention"}


def test_migrating_twice_and_after_half_a_migration_ends_in_the_same_place(timescale: Database) -> None:
    _migrate(timescale)
    assert _migrate(timescale) == []
    with timescale.transaction() as transaction:
        transaction.execute("SELECT remove_retention_policy('reading')")
        transaction.execute("UPDATE schema_migration SET finished_at = NULL WHERE version = '0002_reading'")
    assert not is_migrated(timescale)
    assert _migrate(timescale) == ["0002_reading"]
    with timescale.transaction() as transaction:
        row = transaction.row(
            "SELECT count(*) AS n FROM timescaledb_information.jobs WHERE hypertable_name = 'reading'"
        )
    assert row == {"n": 2}


def test_both_layouts_have_the_same_columns(timescale: Database, database: Database) -> None:
    _migrate(timescale)
    with timescale.transaction() as transaction:
        hypertable = transaction.rows(_COLUMNS)
    with database.transaction() as transaction:
        assert transaction.rows(_COLUMNS) == hypertable


def test_a_known_reading_is_not_stored_twice(timescale: Database) -> None:
    _migrate(timescale)
    # This server cannot COPY, so the staging table is filled by INSERT; the rest is the product's SQL.
    sql = {n: q.replace("{columns}", READING_COLUMN_LIST) for n, q in load_queries("storage").items()}
    rows = "INSERT INTO {} (meter_key, device_time, seq, received_at) SELECT 1, now(), n, now() FROM generate_series(1, {}) n"
    with timescale.transaction() as transaction:
        transaction.execute(rows.format("reading", 3))
        transaction.execute(sql["readings_stage_table"])
        transaction.execute(rows.format("reading_stage", 5))
        transaction.execute(rows.format("reading_stage", 5))
        fresh = transaction.row(sql["readings_from_stage"])
        assert fresh is not None
        assert (fresh["inserted"], fresh["meter_keys"]) == (2, [1])
        transaction.execute(sql["readings_stage_drop"])
        assert transaction.row("SELECT count(*) AS n, count(flow_m3h) AS flows FROM reading") == {
            "n": 5,
            "flows": 0,
        }
