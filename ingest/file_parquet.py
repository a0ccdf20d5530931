"""Parquet piece by piece: never more than some rows of the wanted columns in memory."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from pyarrow import parquet

from ingest.file_piece import Piece, reading, wanted_columns
from ingest.filemap import FileMap

#: Columns are read through buffers of this size, not row group by row group.
_BUFFER_BYTES = 1 << 20


def is_parquet(path: Path) -> bool:
    """Tell by the name whether a file is Parquet."""
    return path.suffix.lower() in (".parquet", ".pq")


def parquet_pieces(path: Path, file_map: FileMap, most_rows: int, after_row: int = 0) -> Iterator[Piece]:
    """Yield the rows after `after_row`, up to `most_rows` at a time. Raises FileError."""
    with reading(path), parquet.ParquetFile(path, buffer_size=_BUFFER_BYTES) as source:
        wanted = wanted_columns(source.schema_arrow.names, file_map)
        total = max(source.metadata.num_rows, 1)
        groups, through = _groups_after(source.metadata, after_row)
        batches = source.iter_batches(most_rows, groups, sorted(set(wanted.values())))
        for batch in batches if groups else ():
            table = pa.Table.from_batches([batch])
            line = np.arange(through + 1, through + 1 + len(table))
            through += len(table)
            known = int(np.searchsorted(line, after_row, side="right"))
            if known < len(table):
                rest = table.slice(known)
                columns = {name: rest[column] for name, column in wanted.items()}
                yield Piece(columns, line[known:], [], through, through / total)


def parquet_fields(path: Path, file_map: FileMap) -> list[str]:
    """Give the fields that a file has. Raises FileError."""
    with reading(path):
        return list(wanted_columns(parquet.read_schema(path).names, file_map))


def _groups_after(metadata: Any, after_row: int) -> tuple[list[int], int]:
    """Give the row groups that hold later rows, and how many rows stand before them."""
    before = 0
    for group in range(metadata.num_row_groups):
        rows = metadata.row_group(group).num_rows
        if before + rows > after_row:
            return list(range(group, metadata.num_row_groups)), before
        before += rows
    return [], before
