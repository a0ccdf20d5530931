"""PostgreSQL's binary COPY, straight from and to NumPy arrays.

A row of binary COPY is a field count, then per field a length and big-endian bytes; a NULL is
the length -1 and no bytes. Rows with the same fields NULL therefore have one fixed width and are
a structured array: so rows are grouped by null pattern and each group is encoded or decoded at
once. Format: PostgreSQL manual, COPY, "Binary Format".
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fleet.readings import ABSENT

HEADER = b"PGCOPY\n\xff\r\n\0" + bytes(8)
TRAILER = b"\xff\xff"
#: 2000-01-01, PostgreSQL's origin of time, in microseconds since 1970.
PG_EPOCH_US = 946_684_800_000_000
_NULL_LENGTH = -1
_FIRST_RUN_ROWS = 8

WIRE = {"int2": ">i2", "int4": ">i4", "int8": ">i8", "float8": ">f8", "timestamptz": ">i8"}
ARRAY: dict[str, Any] = {
    "int2": np.int8,
    "int4": np.int32,
    "int8": np.int64,
    "float8": np.float64,
    "timestamptz": np.int64,
}


@dataclass(frozen=True, slots=True)
class CopyColumn:
    """A column of a COPY: its name, its PostgreSQL type, and whether it may be NULL.

    In arrays NULL is NaN for float8 and `fleet.readings.ABSENT` for the others; a timestamptz is
    int64 microseconds since 1970 UTC, and an int2 is an int8 array. A bytea of which all values are
    of one width, say 12 bytes, is written `bytea12`, is never NULL, and is an array of `V12`.
    """

    name: str
    kind: str
    nullable: bool = True


def encode_copy(columns: Sequence[CopyColumn], arrays: Mapping[str, NDArray[Any]]) -> bytes:
    """Encode arrays of shape (n,) as one binary COPY.

    Rows leave grouped by null pattern, so their order is not kept.
    """
    layout = tuple(columns)
    pattern = _null_pattern(layout, arrays)
    chunks = [HEADER]
    for nulls in np.unique(pattern):
        rows = np.flatnonzero(pattern == nulls)
        mine = {column.name: arrays[column.name][rows] for column in layout}
        chunks.append(encode_rows(layout, int(nulls), mine).tobytes())
    return b"".join([*chunks, TRAILER])


def decode_copy(columns: Sequence[CopyColumn], data: bytes) -> dict[str, NDArray[Any]]:
    """Decode a binary COPY into one array per column, rows in the order of the data.

    Raises ValueError where the data is no binary COPY of these columns.
    """
    layout = tuple(columns)
    if not data.startswith(HEADER) or not data.endswith(TRAILER):
        msg = "not a complete binary COPY"
        raise ValueError(msg)
    runs = list(_runs(layout, data))
    return {column.name: _join(at, column, runs) for at, column in enumerate(layout)}


def _wire(kind: str) -> str:
    return WIRE.get(kind) or kind.replace("bytea", "V")


def _array(kind: str) -> Any:
    return ARRAY.get(kind) or np.dtype(kind.replace("bytea", "V"))


def _null_pattern(columns: tuple[CopyColumn, ...], arrays: Mapping[str, NDArray[Any]]) -> NDArray[np.int64]:
    pattern = np.zeros(len(arrays[columns[0].name]), dtype=np.int64)
    for bit, column in enumerate(columns):
        if column.nullable:
            values = arrays[column.name]
            absent = np.isnan(values) if column.kind == "float8" else values == ABSENT
            pattern |= absent.astype(np.int64) << bit
    return pattern


@lru_cache(maxsize=4096)
def _row_dtype(columns: tuple[CopyColumn, ...], nulls: int) -> np.dtype[Any]:
    parts = [("count", ">i2")]
    for at, column in enumerate(columns):
        parts.append((f"length{at}", ">i4"))
        if not nulls >> at & 1:
            parts.append((f"value{at}", _wire(column.kind)))
    return np.dtype(parts)


def _lengths(columns: tuple[CopyColumn, ...], nulls: int) -> dict[str, int]:
    """Give what the count and length fields of a row hold."""
    lengths = {"count": len(columns)}
    for at, column in enumerate(columns):
        width = np.dtype(_wire(column.kind)).itemsize
        lengths[f"length{at}"] = _NULL_LENGTH if nulls >> at & 1 else width
    return lengths


def encode_rows(
    columns: tuple[CopyColumn, ...], nulls: int, arrays: Mapping[str, NDArray[Any]]
) -> NDArray[np.void]:
    """Encode rows of which the same columns are NULL, bit by bit in `nulls`: one item each."""
    packed = np.empty(len(arrays[columns[0].name]), dtype=_row_dtype(columns, nulls))
    for name, length in _lengths(columns, nulls).items():
        packed[name] = length
    for at, column in enumerate(columns):
        if not nulls >> at & 1:
            values = arrays[column.name]
            packed[f"value{at}"] = values - PG_EPOCH_US if column.kind == "timestamptz" else values
    return packed


def _runs(columns: tuple[CopyColumn, ...], data: bytes) -> Iterator[tuple[int, NDArray[Any]]]:
    """Yield (null pattern, rows) for each stretch of rows with one null pattern."""
    offset, end = len(HEADER), len(data) - len(TRAILER)
    while offset < end:
        nulls = _pattern_at(columns, data, offset)
        rows = _take_run(columns, nulls, memoryview(data)[offset:end])
        yield nulls, rows
        offset += rows.nbytes


def _pattern_at(columns: tuple[CopyColumn, ...], data: bytes, offset: int) -> int:
    nulls = 0
    if int.from_bytes(data[offset : offset + 2], "big") != len(columns):
        msg = f"row at byte {offset} does not have {len(columns)} fields"
        raise ValueError(msg)
    at = offset + 2
    for bit, column in enumerate(columns):
        length = int.from_bytes(data[at : at + 4], "big", signed=True)
        width = np.dtype(_wire(column.kind)).itemsize
        if length not in (_NULL_LENGTH, width):
            msg = f"column {column.name} is {length} bytes wide, expected {width}"
            raise ValueError(msg)
        nulls |= (length == _NULL_LENGTH) << bit
        at += 4 + max(length, 0)
    return nulls


def _take_run(columns: tuple[CopyColumn, ...], nulls: int, data: memoryview) -> NDArray[Any]:
    """Take the rows from the start of `data` that share the null pattern; at least one."""
    dtype = _row_dtype(columns, nulls)
    most = len(data) // dtype.itemsize
    taken, step = 1, _FIRST_RUN_ROWS
    while taken < most:
        rows = np.frombuffer(data, dtype, min(step, most - taken), taken * dtype.itemsize)
        same = np.ones(len(rows), dtype=np.bool_)
        for name, length in _lengths(columns, nulls).items():
            same &= rows[name] == length
        if not same.all():
            taken += int(np.argmin(same))
            break
        taken += len(rows)
        step *= 2
    return np.frombuffer(data, dtype, taken)


def _join(at: int, column: CopyColumn, runs: list[tuple[int, NDArray[Any]]]) -> NDArray[Any]:
    parts = [_values(at, column, nulls, rows) for nulls, rows in runs]
    return np.concatenate(parts) if parts else np.empty(0, _array(column.kind))


def _values(at: int, column: CopyColumn, nulls: int, rows: NDArray[Any]) -> NDArray[Any]:
    dtype = _array(column.kind)
    if nulls >> at & 1:
        return np.full(len(rows), np.nan if column.kind == "float8" else ABSENT, dtype)
    values: NDArray[Any] = rows[f"value{at}"].astype(dtype)
    return values + PG_EPOCH_US if column.kind == "timestamptz" else values
