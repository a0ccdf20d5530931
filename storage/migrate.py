"""Migrations: plain SQL files, applied once, in order, for the layout that the server can carry."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from enum import StrEnum
from importlib import resources

import psycopg2.extensions
import psycopg2.extras

from storage.database import Database
from storage.exceptions import MigrationError, StorageError, translate_errors
from storage.named_sql import load_queries

_SQL = load_queries("storage")
_FILE = re.compile(r"([0-9]{4}_[a-z_]+)(?:\.(plain|timescale))?\.sql")
_NO_TRANSACTION = "-- transaction: off"


class Layout(StrEnum):
    """Where telemetry lies: in a hypertable, or in plain partitions."""

    PLAIN = "plain"
    TIMESCALE = "timescale"


@dataclass(frozen=True, slots=True)
class Migration:
    """One file of `storage/migrations`."""

    version: str
    sql: str

    @property
    def digest(self) -> str:
        """SHA-256 of the file."""
        return hashlib.sha256(self.sql.encode()).hexdigest()

    @property
    def statements(self) -> list[str]:
        """Give what is sent one by one: the whole file, or each statement outside a transaction."""
        if _NO_TRANSACTION not in self.sql:
            return [self.sql]
        code = "\n".join(line for line in self.sql.splitlines() if not line.lstrip().startswith("--"))
        return [part.strip() for part in code.split(";\n") if part.strip()]


def migrations(layout: Layout) -> list[Migration]:
    """List the files of a layout in the order of their numbers."""
    found = []
    for path in sorted(resources.files("storage").joinpath("migrations").iterdir(), key=lambda p: p.name):
        match = _FILE.fullmatch(path.name)
        if match and match[2] in (None, layout):
            found.append(Migration(match[1], path.read_text("utf-8")))
    return found


def migrate(database: Database) -> list[str]:
    """Bring the database to the newest version; gives the versions that were applied now.

    Safe to repeat and to run from several processes. A migration that died half-way is applied
    again: with a transaction nothing of it stayed, without one every statement can be repeated.
    Raises DatabaseUnavailableError, or MigrationError with what to do.
    """
    with database.session() as connection:
        _run(connection, _SQL["migration_lock"])
        try:
            return _migrate(connection)
        finally:
            _run(connection, _SQL["migration_unlock"])


def is_migrated(database: Database) -> bool:
    """Tell whether the database has every migration that this program knows."""
    with database.transaction() as transaction:
        row = transaction.row("SELECT to_regclass('schema_migration') IS NOT NULL AS there")
        if not (row and row["there"]):
            return False
        done = {found["version"] for found in transaction.rows(_SQL["schema_versions"])}
    return {migration.version for migration in migrations(Layout.PLAIN)} <= done


def _migrate(connection: psycopg2.extensions.connection) -> list[str]:
    _run(connection, _SQL["migration_table"])
    known = {row["version"]: row for row in _rows(connection, _SQL["migrations_known"])}
    layout = _layout(connection, {row["layout"] for row in known.values()})
    applied = []
    for migration in migrations(layout):
        row = known.get(migration.version)
        if row is None or not row["finished"]:
            _apply(connection, migration, layout)
            applied.append(migration.version)
        elif row["digest"] != migration.digest:
            msg = f"migration {migration.version} was changed after it was applied; add a new one instead"
            raise MigrationError(msg)
    return applied


def _layout(connection: psycopg2.extensions.connection, chosen: set[str]) -> Layout:
    """Keep the layout chosen at the first migration; else TimescaleDB where the server offers it."""
    if chosen:
        return Layout(chosen.pop())
    if not _rows(connection, _SQL["timescale_offered"])[0]["offered"]:
        return Layout.PLAIN
    try:
        _run(connection, _SQL["timescale_create"])
    except StorageError as error:
        msg = (
            f"TimescaleDB is offered but cannot be created ({error}); let an administrator run "
            "CREATE EXTENSION timescaledb in this database"
        )
        raise MigrationError(msg) from error
    return Layout.TIMESCALE


def _apply(connection: psycopg2.extensions.connection, migration: Migration, layout: Layout) -> None:
    row = {"version": migration.version, "layout": layout.value, "digest": migration.digest}
    _run(connection, _SQL["migration_start"], row)
    for statement in migration.statements:
        try:
            # One string sent at once is one transaction, even in autocommit.
            _run(connection, statement)
        except StorageError as error:
            msg = f"migration {migration.version} failed: {error}"
            raise MigrationError(msg) from error
    _run(connection, _SQL["migration_finish"], row)


def _run(
    connection: psycopg2.extensions.connection, sql: str, parameters: dict[str, str] | None = None
) -> None:
    with translate_errors(), connection.cursor() as cursor:
        cursor.execute(sql, parameters)


def _rows(connection: psycopg2.extensions.connection, sql: str) -> list[dict[str, str]]:
    with (
        translate_errors(),
        connection.cursor(cursor_factory=psycopg2.extras.RealDictCursor) as cursor,
    ):
        cursor.execute(sql)
        return [dict(row) for row in cursor.fetchall()]
