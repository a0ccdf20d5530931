"""Connections and transactions: the one door to psycopg2."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, cast

import numpy as np
import psycopg2
import psycopg2.extensions
import psycopg2.extras
from numpy.typing import NDArray
from sqlalchemy.pool import QueuePool

from storage.exceptions import DatabaseUnavailableError, translate_errors
from storage.named_sql import load_queries

#: psycopg2 reads 8 KiB at a time by default, which makes a large COPY slow.
_COPY_BUFFER_BYTES = 1 << 20
_SQL = load_queries("storage")
#: A server that fell silent without a word (its machine lost power, a firewall forgot the connection)
#: is given up after about a minute; by the system's defaults it takes hours. The URL may say otherwise.
_PATIENCE = {
    "keepalives_idle": 20,
    "keepalives_interval": 10,
    "keepalives_count": 4,
    "tcp_user_timeout": 60_000,
}

Row = dict[str, Any]


def _adapt_array(values: NDArray[Any]) -> psycopg2.extensions.AsIs:
    """Write an array of whole numbers as PostgreSQL reads it; the driver would take them one by one."""
    if values.dtype.kind != "i":
        msg = f"cannot pass an array of {values.dtype} to a statement"
        raise TypeError(msg)
    return psycopg2.extensions.AsIs(f"'{{{','.join(map(str, values.tolist()))}}}'")


psycopg2.extensions.register_adapter(np.ndarray, _adapt_array)


def as_json(rows: Sequence[Mapping[str, Any]]) -> str:
    """Write rows for `json_to_recordset`: one parameter, which the driver need not take apart.

    NaN and infinity are no JSON: give None, or text.
    """
    return json.dumps(rows, ensure_ascii=False, allow_nan=False, separators=(",", ":"))


class Transaction:
    """One transaction: named parameters in, rows as dictionaries out."""

    def __init__(self, connection: psycopg2.extensions.connection) -> None:
        self._connection = connection

    def rows(self, sql: str, parameters: Mapping[str, Any] | None = None) -> list[Row]:
        """Run a statement and fetch all its rows."""
        with translate_errors(), self._cursor() as cursor:
            cursor.execute(sql, parameters)
            return _named(cursor, cursor.fetchall())

    def row(self, sql: str, parameters: Mapping[str, Any] | None = None) -> Row | None:
        """Run a statement and fetch its first row, None where there is none."""
        found = self.rows(sql, parameters)
        return found[0] if found else None

    def execute(self, sql: str, parameters: Mapping[str, Any] | None = None) -> int:
        """Run a statement; gives the number of rows it touched."""
        with translate_errors(), self._cursor() as cursor:
            cursor.execute(sql, parameters)
            return int(cursor.rowcount)

    def execute_many(self, sql: str, rows: Sequence[Mapping[str, Any]], template: str) -> list[Row]:
        """Run `INSERT .. VALUES %s [RETURNING ..]` once for all rows; `template` shapes a row."""
        if not rows:
            return []
        with translate_errors(), self._cursor() as cursor:
            returning = "returning" in sql.lower()
            found = psycopg2.extras.execute_values(
                cursor, sql, rows, template=template, page_size=1000, fetch=returning
            )
            return _named(cursor, found or [])

    def copy_in(self, sql: str, data: bytes) -> int:
        """Feed a `COPY .. FROM STDIN`; gives the number of rows written."""
        with translate_errors(), self._connection.cursor() as cursor:
            cursor.copy_expert(sql, io.BytesIO(data), size=_COPY_BUFFER_BYTES)
            return int(cursor.rowcount)

    def copy_out(self, sql: str, parameters: Mapping[str, Any] | None = None) -> bytes:
        """Read a whole `COPY (..) TO STDOUT`."""
        out = io.BytesIO()
        with translate_errors(), self._connection.cursor() as cursor:
            cursor.copy_expert(cursor.mogrify(sql, parameters), out, size=_COPY_BUFFER_BYTES)
        return out.getvalue()

    @contextmanager
    def savepoint(self) -> Iterator[None]:
        """Undo what happens inside, and only that, when it fails."""
        self.execute("SAVEPOINT inner_step")
        try:
            yield
        except BaseException:
            self.execute("ROLLBACK TO SAVEPOINT inner_step")
            raise
        finally:
            self.execute("RELEASE SAVEPOINT inner_step")

    def _cursor(self) -> psycopg2.extensions.cursor:
        return self._connection.cursor()


class Database:
    """A pool of connections to one database."""

    def __init__(
        self, url: str, *, pool_size: int = 5, pool_timeout_s: float = 10.0, connect_timeout_s: int = 5
    ) -> None:
        self.url = url
        self._connect_timeout_s = connect_timeout_s
        self._pool = QueuePool(
            cast("Any", self._connect),
            pool_size=pool_size,
            max_overflow=0,
            timeout=pool_timeout_s,
            reset_on_return=None,
        )

    def _connect(self) -> psycopg2.extensions.connection:
        parameters: dict[str, Any] = {
            **_PATIENCE,
            "connect_timeout": self._connect_timeout_s,
            "application_name": "meterwarden",
            **psycopg2.extensions.parse_dsn(self.url),
        }
        connection: psycopg2.extensions.connection = psycopg2.connect(**parameters)
        connection.set_session(isolation_level="READ COMMITTED")
        with connection.cursor() as cursor:
            cursor.execute("SET TIME ZONE 'UTC'")
        connection.commit()
        return connection

    @contextmanager
    def transaction(self, *, repeatable_read: bool = False) -> Iterator[Transaction]:
        """Open a transaction: committed when the block ends, rolled back when it raises.

        Raises DatabaseUnavailableError where the database cannot be reached.
        """
        with translate_errors():
            borrowed = self._pool.connect()
        try:
            connection = cast("psycopg2.extensions.connection", borrowed.dbapi_connection)
            transaction = Transaction(connection)
            if repeatable_read:
                transaction.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
            yield transaction
            with translate_errors():
                connection.commit()
        except BaseException:
            _rollback(borrowed)
            raise
        finally:
            borrowed.close()

    def connect(self) -> psycopg2.extensions.connection:
        """Open a connection of its own outside the pool, in autocommit; the caller closes it."""
        with translate_errors():
            connection = self._connect()
        connection.autocommit = True
        return connection

    @contextmanager
    def session(self) -> Iterator[psycopg2.extensions.connection]:
        """Open a connection of its own outside the pool, in autocommit (locks, migrations)."""
        connection = self.connect()
        try:
            yield connection
        finally:
            connection.close()

    def close(self) -> None:
        """Close every idle connection."""
        self._pool.dispose()


class AdvisoryLock:
    """A lock with a name, held by a connection of its own: it ends when that connection does."""

    def __init__(self, database: Database, name: str) -> None:
        self._database = database
        self._name = name
        self._connection: psycopg2.extensions.connection | None = None

    def take(self) -> bool:
        """Try to take the lock; False where somebody else has it.

        Raises DatabaseUnavailableError.
        """
        with translate_errors():
            self.release()
            self._connection = self._database.connect()
            return self._ask(_SQL["advisory_lock_take"])

    def is_held(self) -> bool:
        """Tell whether the lock was taken and its connection still lives."""
        try:
            with translate_errors():
                return self._ask(_SQL["advisory_lock_held"])
        except DatabaseUnavailableError:
            return False

    def release(self) -> None:
        """Give the lock back."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _ask(self, sql: str) -> bool:
        if self._connection is None:
            return False
        with self._connection.cursor() as cursor:
            cursor.execute(sql, {"name": self._name})
            row = cursor.fetchone()
        return bool(row and row[0])


def _named(cursor: psycopg2.extensions.cursor, found: Sequence[tuple[Any, ...]]) -> list[Row]:
    """Give rows as dictionaries; the driver's own way of doing that takes several times as long."""
    names = [column.name for column in cursor.description or ()]
    return [dict(zip(names, row, strict=True)) for row in found]


def _rollback(borrowed: Any) -> None:
    """Leave no half-done work in the pool: a connection that cannot roll back is thrown away."""
    try:
        borrowed.dbapi_connection.rollback()
        broken = borrowed.dbapi_connection.closed
    except psycopg2.Error:
        broken = True
    if broken:
        borrowed.invalidate()
