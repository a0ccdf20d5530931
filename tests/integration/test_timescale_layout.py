"""The TimescaleDB layout on TimescaleDB's own code: 2.23 on a WASM PostgreSQL, one connection at a time."""

from __future__ import annotations

import math
import random
import shutil
import subprocess
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from alerts.carried import SAVED_COLUMNS
from alerts.engine import Engine
from alerts.rollups.store import ROLLUP_COLUMNS
from fleet.meters import Meter
from fleet.readings import ABSENT
from runtime.embedded_broker import free_port
from storage.copy_codec import HEADER, TRAILER, CopyColumn, decode_copy
from storage.database import Database, Transaction
from storage.migrate import Layout, is_migrated, migrate, migrations
from storage.named_sql import load_queries
from storage.partitions import ensure_partitions
from storage.readings import READING_COLUMN_LIST, READING_COLUMNS
from tests.conftest import NOW, missing_part
from tests.integration.alerts.conftest import Story
from tests.integration.alerts.rolled import ZONES, assert_same, batches, recomputed, stored, telemetry

pytestmark = pytest.mark.timescale

_FOLDER = Path(__file__).parents[1] / "timescale"
_COLUMNS = """
    SELECT table_name, column_name, data_type, is_nullable FROM information_schema.columns
    WHERE table_name IN ('reading', 'reading_hour', 'reading_day', 'rollup_work', 'rollup_meter')
    ORDER BY table_name, ordinal_position
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
    assert _migrate(timescale) == [m.version for m in migrations(Layout.TIMESCALE)]
    with timescale.transaction() as transaction:
        tables = transaction.rows(
            "SELECT hypertable_name, compression_enabled FROM timescaledb_information.hypertables ORDER BY 1"
        )
        jobs = transaction.rows(
            "SELECT hypertable_name, proc_name FROM timescaledb_information.jobs "
            "WHERE hypertable_name IS NOT NULL ORDER BY 1, 2"
        )
        assert ensure_partitions(transaction, NOW) == []
    assert [tuple(table.values()) for table in tables] == [
        ("reading", True),
        ("reading_day", False),
        ("reading_hour", False),
    ]
    assert [tuple(job.values()) for job in jobs] == [
        ("reading", "policy_compression"),
        ("reading", "policy_retention"),
        ("reading_day", "policy_retention"),
        ("reading_hour", "policy_retention"),
    ]


def test_migrating_twice_and_after_half_a_migration_ends_in_the_same_place(timescale: Database) -> None:
    _migrate(timescale)
    assert _migrate(timescale) == []
    with timescale.transaction() as transaction:
        transaction.execute("SELECT remove_retention_policy('reading')")
        transaction.execute("SELECT remove_retention_policy('reading_hour')")
        transaction.execute(
            "UPDATE schema_migration SET finished_at = NULL WHERE version IN ('0002_reading', '0008_rollups')"
        )
    assert not is_migrated(timescale)
    assert _migrate(timescale) == ["0002_reading", "0008_rollups"]
    with timescale.transaction() as transaction:
        row = transaction.row(
            "SELECT count(*) AS n FROM timescaledb_information.jobs WHERE hypertable_name LIKE 'reading%'"
        )
    assert row == {"n": 4}


def test_both_layouts_have_the_same_columns(timescale: Database, database: Database) -> None:
    _migrate(timescale)
    with timescale.transaction() as transaction:
        hypertable = transaction.rows(_COLUMNS)
    with database.transaction() as transaction:
        assert transaction.rows(_COLUMNS) == hypertable


@pytest.fixture
def inserting(monkeypatch: pytest.MonkeyPatch) -> None:
    """This server cannot COPY FROM: the same rows go into the same table by INSERT."""
    kinds = {"reading": READING_COLUMNS, "reading_stage": READING_COLUMNS, "rollup_stage": ROLLUP_COLUMNS}

    def copy_in(self: Transaction, sql: str, data: bytes) -> int:
        table = sql.split()[1]
        if table == "meter_state_new":
            return sum(_insert(self, table, *piece) for piece in _each_state(data))
        return _insert(self, table, kinds[table], data)

    monkeypatch.setattr(Transaction, "copy_in", copy_in)


def _insert(transaction: Transaction, table: str, columns: Sequence[CopyColumn], data: bytes) -> int:
    arrays = decode_copy(columns, data)
    names = [column.name for column in columns]
    texts = [[_sql_value(column, value) for value in arrays[column.name].tolist()] for column in columns]
    rows = zip(*texts, strict=True)
    values = ", ".join(f"({', '.join(row)})" for row in rows)
    return transaction.execute(f"INSERT INTO {table} ({', '.join(names)}) VALUES {values}")


def _each_state(data: bytes) -> Iterator[tuple[Sequence[CopyColumn], bytes]]:
    """Take a COPY of states apart: each may be as long as it likes, and is a COPY of its own."""
    fixed = SAVED_COLUMNS
    # A row is its number of fields and, for each, a length and the value; the state is the last one.
    before = 2 + sum(4 + (4 if column.kind == "int4" else 8) for column in fixed)
    at = len(HEADER)
    while data[at : at + 2] != TRAILER:
        length = int.from_bytes(data[at + before : at + before + 4], "big")
        end = at + before + 4 + length
        state = CopyColumn("state", f"bytea{length}", nullable=False)
        yield [*fixed, state], HEADER + data[at:end] + TRAILER
        at = end


def _sql_value(column: CopyColumn, value: Any) -> str:
    if column.kind.startswith("bytea"):
        return f"'\\x{bytes(value).hex()}'::bytea"
    absent = math.isnan(value) if column.kind == "float8" else value == ABSENT
    if column.nullable and absent:
        return "NULL"
    if column.kind == "timestamptz":
        return f"(timestamptz 'epoch' + {value} * interval '1 microsecond')"
    return repr(value)


@pytest.mark.usefixtures("inserting")
def test_roll_ups_on_hypertables_are_what_the_readings_say(
    timescale: Database, make_meter: Callable[..., Meter]
) -> None:
    """The engine and the upkeep as they are, late readings and all, equal to a recomputation from raw."""
    _migrate(timescale)
    story = Story(timescale)
    meters = [make_meter(f"{c}0", company=c, interval_s=900, register_digits=4) for c in ZONES]
    keys = list(story.register(*meters).values())
    with timescale.transaction() as transaction:
        for company, zone in ZONES.items():
            change = "UPDATE company SET timezone = %(zone)s WHERE code = %(company)s"
            transaction.execute(change, {"zone": zone, "company": company})
    start = datetime(2026, 10, 24, 18, 0, tzinfo=UTC)
    chance = random.Random(11)
    readings = telemetry(chance, keys, start, count=30)
    engine = Engine(timescale, rows_per_cycle=2)
    for batch in batches(chance, readings):
        story.arrive_batch(batch, start)
        if chance.random() < 0.5:
            engine.run_once(start)
            engine.run_rollups()
    while engine.run_once(start).claimed or engine.run_rollups().claimed:
        pass
    for found, expected in zip(stored(timescale), recomputed(timescale, readings), strict=True):
        assert_same(found, expected)


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
