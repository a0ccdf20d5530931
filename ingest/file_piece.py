"""A piece of a file of readings: columns as they stand there, and the line of each row."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from ingest.filemap import NATIVE, FileError, FileMap


@dataclass(frozen=True, slots=True)
class RefusedValue:
    """Why a row was left out: line of a CSV (the header is 1), or row of a Parquet file from 1."""

    line: int
    field: str
    reason: str

    def __str__(self) -> str:
        return f"line {self.line}, {self.field}: {self.reason}"


@dataclass(frozen=True, slots=True, eq=False)
class Piece:
    """Some lines of a file that follow each other."""

    #: Field -> chunked Arrow array, text or typed.
    columns: dict[str, Any]
    #: Line of each row of the columns, ascending.
    line: NDArray[np.int64]
    #: Lines that are no rows at all.
    refused: list[RefusedValue]
    #: Last line of the piece; the next one begins after it.
    through_line: int
    #: How much of the file is read up to here, 0 to 1.
    share: float

    def __len__(self) -> int:
        return len(self.line)


def join(pieces: Sequence[Piece]) -> Piece:
    """Join pieces of one file, at least one, in their order."""
    columns = {
        name: pa.chunked_array([c for piece in pieces for c in piece.columns[name].chunks], first.type)
        for name, first in pieces[0].columns.items()
    }
    line = np.concatenate([piece.line for piece in pieces])
    refused = [refused for piece in pieces for refused in piece.refused]
    return Piece(columns, line, refused, pieces[-1].through_line, pieces[-1].share)


def nothing(columns: Sequence[str], through_line: int) -> Piece:
    """Make the piece of a file that has columns and no rows."""
    empty = pa.chunked_array([], pa.string())
    return Piece(dict.fromkeys(columns, empty), np.zeros(0, dtype=np.int64), [], through_line, 1.0)


def wanted_columns(present: Sequence[str], file_map: FileMap) -> dict[str, str]:
    """Match fields with the file's columns. Raises FileError where one is missing."""
    wanted = {**file_map.columns, **file_map.cumulate}
    if file_map is NATIVE:
        wanted = {name: column for name, column in wanted.items() if column in present}
    missing = [
        f"no column {column!r} (for {name})" for name, column in wanted.items() if column not in present
    ]
    needed = {"ts", "meter_id"} - set(wanted) - set(file_map.constants)
    missing += [f"no column for {name}" for name in sorted(needed)]
    if missing:
        msg = f"the file has {', '.join(missing)}; its columns are {', '.join(present)}"
        raise FileError(msg)
    return wanted


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Turn what goes wrong with a file into FileError."""
    try:
        yield
    except FileNotFoundError as error:
        msg = f"there is no file {path}"
        raise FileError(msg) from error
    except (OSError, pa.ArrowException, UnicodeError) as error:
        msg = f"cannot read {path}: {' '.join(str(error).split())}"
        raise FileError(msg) from error
