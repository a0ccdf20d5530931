"""Roll-ups in and out of the database by binary COPY, the same on both layouts."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from analytics.rollups.columns import TURNS, HourRollups
from fleet.readings import ReadingBatch
from storage.copy_codec import CopyColumn, decode_copy, encode_copy
from storage.database import Transaction
from storage.named_sql import load_queries
from storage.readings import FILLED_READING_COLUMN_LIST, decode_readings

HOURS, DAYS = "reading_hour", "reading_day"

#: The one amount of time among the columns; all others that end like it are times.
_DURATION = "lag_min_us"
#: Numbers that may be less than 0, so that none of them can stand for NULL.
_SIGNED = {_DURATION: "int8"} | dict.fromkeys(TURNS, "int4")
_KINDS = {"i4": "int4", "i8": "timestamptz", "f8": "float8"}


def _name(field: str) -> str:
    """Give the table's name of a column of `HourRollups`."""
    return field if field == _DURATION else field.replace("_us", "_at")


def _column(field: str, dtype: np.dtype[Any]) -> CopyColumn:
    if field in _SIGNED:
        return CopyColumn(field, _SIGNED[field], nullable=False)
    return CopyColumn(_name(field), _KINDS[dtype.str[1:]])


_FIELDS = tuple(HourRollups.__dataclass_fields__)
_EMPTY = HourRollups.empty()
ROLLUP_COLUMNS = tuple(_column(field, getattr(_EMPTY, field).dtype) for field in _FIELDS)
ROLLUP_COLUMN_LIST = ", ".join(column.name for column in ROLLUP_COLUMNS)


def _prefixed(alias: str) -> str:
    return ", ".join(f"{alias}.{column.name}" for column in ROLLUP_COLUMNS[2:])


_PARTS = {
    "updates": ", ".join(f"{column.name} = excluded.{column.name}" for column in ROLLUP_COLUMNS[2:]),
    "known": _prefixed("known"),
    "excluded": _prefixed("excluded"),
}


def _complete(sql: str, **parts: str) -> str:
    for name, text in (_PARTS | {"columns": ROLLUP_COLUMN_LIST} | parts).items():
        sql = sql.replace(f"{{{name}}}", text)
    return sql


_SQL = load_queries("alerts.rollups")


def read_rollups(
    transaction: Transaction,
    table: str,
    meter_keys: NDArray[np.int32],
    from_us: NDArray[np.int64],
    to_us: NDArray[np.int64],
) -> HourRollups:
    """Read the rows of each meter that begin in [from, to), in the order asked for; shapes (k,)."""
    sql = _complete(_SQL["rollup_copy_out"], table=table, time="begin_at")
    wanted = {"meter_keys": meter_keys, "from_us": from_us, "to_us": to_us}
    return decode_rollups(transaction.copy_out(sql, wanted))


def read_readings(
    transaction: Transaction,
    meter_keys: NDArray[np.int32],
    from_us: NDArray[np.int64],
    to_us: NDArray[np.int64],
) -> ReadingBatch:
    """Read each meter's readings in [from, to), in the order asked for; shapes (k,)."""
    sql = _complete(
        _SQL["rollup_copy_out"], columns=FILLED_READING_COLUMN_LIST, table="reading", time="device_time"
    )
    wanted = {"meter_keys": meter_keys, "from_us": from_us, "to_us": to_us}
    return decode_readings(transaction.copy_out(sql, wanted))


def read_page(
    transaction: Transaction, table: str, meter_key: int, begin: datetime, end: datetime, limit: int
) -> HourRollups:
    """Read one meter's oldest `limit` rows that begin in [begin, end)."""
    wanted = {"meter_key": meter_key, "from": begin, "to": end, "limit": limit}
    return decode_rollups(transaction.copy_out(_complete(_SQL["rollup_page_copy_out"], table=table), wanted))


def read_next(transaction: Transaction, table: str, meter_key: int, begin: datetime) -> HourRollups:
    """Read the rows with which periods before `begin` end: the next with each register, at most two."""
    wanted = {"meter_key": meter_key, "from": begin}
    found = decode_rollups(transaction.copy_out(_complete(_SQL["rollup_next_copy_out"], table=table), wanted))
    return found.take(np.argsort(found.begin_us))


def uses_standard(transaction: Transaction, meter_key: int) -> bool:
    """Tell whether only the standard register of a meter is filled in."""
    row = transaction.row(_SQL["rollup_registers"], {"meter_key": meter_key}) or {}
    return bool(row["standard"] and not row["working"])


def write_rollups(transaction: Transaction, table: str, rows: HourRollups) -> int:
    """Write rows, each in the place of what was there; gives how many are new or changed."""
    if len(rows) == 0:
        return 0
    arrays = {_name(field): getattr(rows, field) for field in _FIELDS}
    transaction.execute(_complete(_SQL["rollup_stage_table"], table=table))
    transaction.copy_in(_complete(_SQL["rollup_stage_copy_in"]), encode_copy(ROLLUP_COLUMNS, arrays))
    written = transaction.execute(_complete(_SQL["rollup_from_stage"], table=table))
    transaction.execute(_SQL["rollup_stage_drop"])
    return written


def decode_rollups(data: bytes) -> HourRollups:
    """Decode a `COPY (SELECT <ROLLUP_COLUMN_LIST> ..) TO STDOUT (FORMAT binary)`."""
    arrays: dict[str, Any] = decode_copy(ROLLUP_COLUMNS, data)
    return HourRollups.build(**{field: arrays[_name(field)] for field in _FIELDS})
