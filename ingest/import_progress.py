"""How far a file is imported: one row, written in the transaction of each chunk."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from pathlib import Path

from ingest.exceptions import ConcurrentImportError
from ingest.file_piece import reading
from ingest.filemap import FileMap
from storage.database import Transaction
from storage.named_sql import load_queries

_SQL = load_queries("ingest")
_BLOCK_BYTES = 1 << 22


@dataclass(frozen=True, slots=True)
class ImportId:
    """What makes an import the same: the file's content, and how it is read."""

    file_digest: str
    map_digest: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportProgress:
    """What is committed of a file."""

    started_at: datetime
    #: Last committed line of a CSV, or row of a Parquet file.
    through_line: int = 0
    inserted: int = 0
    #: Rows that were known before.
    duplicates: int = 0
    #: Rows whose meter, time and seq were taken by other content; kept in `reading_conflict`.
    conflicts: int = 0
    refused: int = 0

    @property
    def rows(self) -> int:
        """How many rows these are."""
        return self.inserted + self.duplicates + self.conflicts + self.refused


def identify(
    path: Path, file_map: FileMap, tz: str, watch: Callable[[float], None] = lambda _share: None
) -> ImportId:
    """Read the whole file once for its digest; `watch` is told how far, 0 to 1. Raises FileError."""
    digest, done = hashlib.sha256(), 0
    with reading(path), path.open("rb") as source:
        size = max(path.stat().st_size, 1)
        while block := source.read(_BLOCK_BYTES):
            digest.update(block)
            done += len(block)
            watch(min(done / size, 1.0))
    how = json.dumps({**asdict(file_map), "tz": tz}, sort_keys=True)
    return ImportId(digest.hexdigest(), hashlib.sha256(how.encode()).hexdigest())


def begin(transaction: Transaction, of: ImportId, file_name: str, now: datetime) -> ImportProgress:
    """Begin an import, or go on with one that was broken off; a finished one starts over."""
    named = {**asdict(of), "file_name": file_name, "now": now}
    transaction.execute(_SQL["import_again"], named)
    transaction.execute(_SQL["import_begin"], named)
    row = transaction.row(_SQL["import_load"], asdict(of))
    if row is None:
        raise ConcurrentImportError
    return ImportProgress(**row)


def advance(
    transaction: Transaction, of: ImportId, before: ImportProgress, after: ImportProgress, now: datetime
) -> None:
    """Note a chunk. Raises ConcurrentImportError where another process was faster."""
    change = {
        "inserted": after.inserted - before.inserted,
        "duplicates": after.duplicates - before.duplicates,
        "conflicts": after.conflicts - before.conflicts,
        "refused": after.refused - before.refused,
        "before": before.through_line,
        "through_line": after.through_line,
    }
    if transaction.execute(_SQL["import_advance"], {**asdict(of), **change, "now": now}) != 1:
        raise ConcurrentImportError


def finish(transaction: Transaction, of: ImportId, done: ImportProgress, now: datetime) -> None:
    """Note the end. Raises ConcurrentImportError where another process was faster."""
    named = {**asdict(of), "through_line": done.through_line, "now": now}
    if transaction.execute(_SQL["import_finish"], named) != 1:
        raise ConcurrentImportError


def added(progress: ImportProgress, *, through_line: int, **counts: int) -> ImportProgress:
    """Give the progress with a chunk's counts added."""
    sums = {name: getattr(progress, name) + count for name, count in counts.items()}
    return replace(progress, through_line=through_line, **sums)
