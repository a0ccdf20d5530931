"""Readings from a file, CSV or Parquet, under our own names or through a map: whole, or in chunks."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fleet.readings import ABSENT, ReadingBatch
from fleet.wire import NUMBER_FIELDS
from ingest.file_csv import csv_fields, csv_pieces
from ingest.file_parquet import is_parquet, parquet_fields, parquet_pieces
from ingest.file_piece import Piece, RefusedValue, join, nothing
from ingest.file_rows import FileChunk, parse_rows
from ingest.filemap import NATIVE, FileError, FileMap, check_tz, load_map
from ingest.repeated_hours import RepeatedHours, repeats_hours

__all__ = ["FileError", "FileMap", "FileReadings", "RefusedValue", "load_map", "read_chunks", "read_readings"]

#: Rows that are taken from the file at once.
_PIECE_ROWS = 1 << 17
#: A running sum needs its whole file: about half a gigabyte of memory.
MOST_CUMULATED_ROWS = 1_000_000


@dataclass(frozen=True, slots=True, eq=False)
class FileReadings:
    """What a file holds, in the file's order."""

    #: Distinct meters; `readings.meter_key` is the position here.
    meter_ids: list[str]
    #: Their companies, in the same order; None where the file does not say.
    companies: list[str | None]
    readings: ReadingBatch
    refused: list[RefusedValue]


def read_readings(
    path: Path, file_map: FileMap | None = None, tz: str | None = None, *, latest_us: int | None = None
) -> FileReadings:
    """Read a file of readings; a row with any bad value is left out and reported, the rest is used.

    Parameters
    ----------
    path
        CSV, or Parquet where the name ends in `.parquet` or `.pq`.
    file_map
        Which column is what; None where the columns have our own names.
    tz
        Time zone of times without an offset; None for the map's.
    latest_us
        Later rows are refused, microseconds since 1970 UTC; None for no such limit.

    Raises
    ------
    FileError
        The file cannot be read at all, or lacks what every reading needs.

    """
    whole = _read_whole(path, file_map or NATIVE, tz, latest_us)
    used, first, key = np.unique(whole.meters.at, return_index=True, return_inverse=True)
    names = whole.companies.distinct
    return FileReadings(
        [whole.meters.distinct[at] for at in used.tolist()],
        [names[at] if at != ABSENT else None for at in whole.companies.at[first].tolist()],
        replace(whole.readings, meter_key=key.astype(np.int32)),
        whole.refused,
    )


def read_chunks(
    path: Path,
    file_map: FileMap | None = None,
    tz: str | None = None,
    *,
    rows: int,
    after_line: int = 0,
    latest_us: int | None = None,
) -> Iterator[FileChunk]:
    """Read what follows a line of a file, some `rows` at a time, as `read_readings` would read it.

    Only one chunk is in memory, unless the map has running sums: those need the whole file. In a zone
    whose clocks are put back each year the file is read twice, for the order of all its rows.
    Raises FileError, for a map with running sums before the first chunk.
    """
    file_map = file_map or NATIVE
    if file_map.cumulate:
        whole = _read_whole(path, file_map, tz, latest_us, most_rows=MOST_CUMULATED_ROWS)
        for start in range(after_line, whole.through_line, rows):
            yield whole.between(start, min(start + rows, whole.through_line))
        return
    zone = check_tz(tz or file_map.tz)
    repeated = RepeatedHours.none()
    if repeats_hours(zone):
        repeated = RepeatedHours.of(_pieces(path, file_map, _PIECE_ROWS), file_map, zone)
    for piece in _pieces(path, file_map, rows, after_line):
        yield parse_rows(piece, file_map, zone, repeated, latest_us)


def _read_whole(
    path: Path, file_map: FileMap, tz: str | None, latest_us: int | None, most_rows: int | None = None
) -> FileChunk:
    zone = check_tz(tz or file_map.tz)
    pieces: list[Piece] = []
    for piece in _pieces(path, file_map, _PIECE_ROWS):
        pieces.append(piece)
        if most_rows is not None and sum(map(len, pieces)) > most_rows:
            msg = (
                f"{path} has more than {most_rows} rows, and the map's [cumulate] needs them all at once; "
                "split the file by meter"
            )
            raise FileError(msg)
    piece = join(pieces) if pieces else _no_rows(path, file_map)
    repeated = RepeatedHours.of([piece], file_map, zone) if repeats_hours(zone) else RepeatedHours.none()
    return _cumulated(parse_rows(piece, file_map, zone, repeated, latest_us), file_map)


def _pieces(path: Path, file_map: FileMap, rows: int, after_line: int = 0) -> Iterator[Piece]:
    if is_parquet(path):
        return parquet_pieces(path, file_map, rows, after_line)
    return csv_pieces(path, file_map, rows, after_line)


def _no_rows(path: Path, file_map: FileMap) -> Piece:
    if is_parquet(path):
        return nothing(parquet_fields(path, file_map), 0)
    return nothing(*csv_fields(path, file_map))


def _cumulated(whole: FileChunk, file_map: FileMap) -> FileChunk:
    readings, sums = whole.readings, dict[str, Any]()
    for register in file_map.cumulate:
        column = NUMBER_FIELDS[register]
        volume_m3 = getattr(readings, column)
        sums[column] = _running_sum(readings.meter_key, readings.device_time_us, volume_m3)
    return replace(whole, readings=replace(readings, **sums))


def _running_sum(
    key: NDArray[np.int32], time_us: NDArray[np.int64], volume_m3: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Sum up each meter's volumes in order of time; an interval without a volume adds nothing."""
    order = np.lexsort((time_us, key))
    total = np.cumsum(np.nan_to_num(volume_m3[order]))
    firsts = np.flatnonzero(np.diff(key[order], prepend=-1))
    before = np.append(0.0, total)[firsts]
    out = np.empty_like(total)
    out[order] = total - np.repeat(before, np.diff(np.append(firsts, len(key))))
    return np.where(np.isnan(volume_m3), np.nan, out)
