"""Readings in and out of the database by binary COPY."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fleet.readings import ABSENT, MEASUREMENTS, ReadingBatch
from storage.copy_codec import CopyColumn, decode_copy, encode_copy
from storage.database import Transaction
from storage.exceptions import StorageError, UniqueViolationError
from storage.named_sql import load_queries

#: Column of the table, its type, and the column of `ReadingBatch` that it holds.
_TIMES = {"device_time": "device_time_us", "received_at": "received_us"}

READING_COLUMNS = (
    CopyColumn("meter_key", "int4", nullable=False),
    CopyColumn("device_time", "timestamptz", nullable=False),
    # Part of the key, where no NULL may stand: a meter without sequence numbers stores ABSENT.
    CopyColumn("seq", "int8", nullable=False),
    CopyColumn("boot", "int8"),
    CopyColumn("received_at", "timestamptz", nullable=False),
    *(CopyColumn(name, "float8") for name in MEASUREMENTS),
    CopyColumn("valve", "int2"),
    CopyColumn("status_bits", "int8"),
)

#: For `SELECT` lists and COPY column lists: the order that the codec expects.
READING_COLUMN_LIST = ", ".join(column.name for column in READING_COLUMNS)

_NULL_IN_ARRAYS = {"float8": "'NaN'::float8", "int2": f"{ABSENT}::smallint", "int8": f"{ABSENT}::bigint"}

#: The same with every NULL replaced by what it is in arrays. All rows then have one width and are decoded
#: at once; meters that report different things one after the other cost a hundred times as much.
FILLED_READING_COLUMN_LIST = ", ".join(
    f"coalesce({c.name}, {_NULL_IN_ARRAYS[c.kind]}) AS {c.name}" if c.nullable else c.name
    for c in READING_COLUMNS
)

#: What has to agree where one key comes twice.
_CONTENT = (*MEASUREMENTS, "valve", "status_bits")


def _complete(sql: str) -> str:
    parts = {"columns": READING_COLUMN_LIST}
    for table in ("stage", "stored"):
        parts[f"content_of_{table}"] = ", ".join(f"{table}.{name}" for name in _CONTENT)
    for name, text in parts.items():
        sql = sql.replace(f"{{{name}}}", text)
    return sql


_SQL = {name: _complete(sql) for name, sql in load_queries("storage").items()}


@dataclass(frozen=True, slots=True, eq=False)
class Written:
    """What became of the readings of one batch."""

    inserted: int = 0
    #: Known before, or twice in the batch: the key (meter, device time, seq) was taken.
    duplicates: int = 0
    #: The key was taken by other content; kept in `reading_conflict`.
    conflicts: int = 0
    #: Meters with new readings, and the earliest and latest new device time of each, microseconds since 1970.
    meter_keys: NDArray[np.int32] = field(default_factory=lambda: np.empty(0, np.int32))
    since_us: NDArray[np.int64] = field(default_factory=lambda: np.empty(0, np.int64))
    until_us: NDArray[np.int64] = field(default_factory=lambda: np.empty(0, np.int64))


def write_readings(transaction: Transaction, readings: ReadingBatch, encoded: bytes | None = None) -> Written:
    """Write readings once: straight where all are new, else through a staging table.

    `encoded` is what `encode_readings` made of them, where that was done before.
    Raises StorageError where the database's counts do not add up.
    """
    if len(readings) == 0:
        return Written()
    data = encode_readings(readings) if encoded is None else encoded
    try:
        with transaction.savepoint():
            copied = transaction.copy_in(_SQL["readings_copy_in"], data)
    except UniqueViolationError:
        return _write_through_stage(transaction, data, len(readings))
    if copied != len(readings):
        msg = f"{len(readings)} readings sent, {copied} stored: the counts do not add up"
        raise StorageError(msg)
    order = np.lexsort((readings.device_time_us, readings.meter_key))
    keys = readings.meter_key[order]
    heads = np.flatnonzero(np.append(True, np.diff(keys) != 0))
    times_us = readings.device_time_us[order]
    ends = np.append(heads[1:], len(keys)) - 1
    return Written(copied, meter_keys=keys[heads], since_us=times_us[heads], until_us=times_us[ends])


def encode_readings(readings: ReadingBatch) -> bytes:
    """Encode a batch for `COPY reading`."""
    arrays = {c.name: getattr(readings, _TIMES.get(c.name, c.name)) for c in READING_COLUMNS}
    return encode_copy(READING_COLUMNS, arrays)


def decode_readings(data: bytes) -> ReadingBatch:
    """Decode a `COPY (SELECT <READING_COLUMN_LIST> ..) TO STDOUT (FORMAT binary)`, or of the filled list."""
    arrays: dict[str, Any] = decode_copy(READING_COLUMNS, data)
    return ReadingBatch.build(**{_TIMES.get(name, name): array for name, array in arrays.items()})


def _write_through_stage(transaction: Transaction, data: bytes, count: int) -> Written:
    transaction.execute(_SQL["readings_stage_table"])
    staged = transaction.copy_in(_SQL["readings_stage_copy_in"], data)
    fresh = transaction.row(_SQL["readings_from_stage"]) or {}
    inserted = int(fresh["inserted"] or 0)
    compared = transaction.row(_SQL["readings_compare"]) or {}
    missing, conflicts = int(compared["missing"]), int(compared["conflicts"])
    transaction.execute(_SQL["readings_stage_drop"])
    duplicates = staged - inserted - conflicts
    if staged != count or missing or duplicates < 0:
        msg = (
            f"{count} readings sent, {staged} staged, {inserted} inserted, {conflicts} in conflict, "
            f"{missing} missing: the counts do not add up"
        )
        raise StorageError(msg)
    meter_keys = np.array(fresh["meter_keys"] or (), dtype=np.int32)
    since_us, until_us = (np.array(fresh[name] or (), dtype=np.int64) for name in ("since_us", "until_us"))
    return Written(inserted, duplicates, conflicts, meter_keys, since_us, until_us)
