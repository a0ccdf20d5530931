"""Readings from a file, CSV or Parquet, under our own names or through a map."""

from __future__ import annotations

import csv as plain_csv
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from pyarrow import csv, parquet

from fleet.readings import ABSENT, ReadingBatch, column_dtype
from fleet.wire import NUMBER_FIELDS
from ingest.file_columns import Parsed, counters, identifiers, numbers, statuses, times_us, valves
from ingest.filemap import NATIVE, FileError, FileMap, check_tz, load_map

__all__ = ["FileError", "FileMap", "FileReadings", "RefusedValue", "load_map", "read_readings"]

_INTEGERS: dict[str, tuple[str, Callable[[Any], Parsed]]] = {
    "seq": ("seq", counters),
    "boot": ("boot", counters),
    "valve": ("valve", valves),
    "status": ("status_bits", statuses),
}


@dataclass(frozen=True, slots=True)
class RefusedValue:
    """Why a row was left out: line of a CSV (the header is 1), or row of a Parquet file from 1."""

    line: int
    field: str
    reason: str

    def __str__(self) -> str:
        return f"line {self.line}, {self.field}: {self.reason}"


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
    file_map = file_map or NATIVE
    zone = check_tz(tz or file_map.tz)
    source = _load(path, file_map)
    rows = _Rows(source)
    meter, meter_ids = rows.names("meter_id", file_map)
    company, company_names = rows.names("company", file_map)
    columns: dict[str, Any] = {"device_time_us": rows.parse("ts", lambda column: times_us(column, zone))}
    if latest_us is not None:
        rows.refuse(columns["device_time_us"] > latest_us, "ts", "is in the future")
    arrived = rows.parse("received", lambda column: times_us(column, zone), optional=True)
    columns["received_us"] = columns["device_time_us"] if arrived is None else arrived
    for name, column in NUMBER_FIELDS.items():
        values = rows.parse(name, numbers)
        if values is not None:
            columns[column] = values * file_map.scale.get(name, 1.0)
    for name, (column, parser) in _INTEGERS.items():
        values = rows.parse(name, parser)
        if values is not None:
            columns[column] = values.astype(column_dtype(column))
    rows.demand_a_measurement(
        [columns[c] for c in (*NUMBER_FIELDS.values(), "valve", "status_bits") if c in columns]
    )
    return _assemble(rows, file_map, columns, (meter, meter_ids), (company, company_names))


@dataclass(slots=True, eq=False)
class _Source:
    """A file's columns by field, and the line of each row."""

    columns: dict[str, Any]
    line: NDArray[np.int64]
    refused: list[RefusedValue]


@dataclass(slots=True, eq=False)
class _Rows:
    """Reads fields, and notes which rows are wrong and why."""

    source: _Source
    wrong: NDArray[np.bool_] = field(init=False)
    refused: list[RefusedValue] = field(init=False)

    def __post_init__(self) -> None:
        self.wrong = np.zeros(len(self.source.line), dtype=np.bool_)
        self.refused = list(self.source.refused)

    def parse(self, name: str, parser: Callable[[Any], Parsed], *, optional: bool = False) -> Any:
        """Read one field; None where the file has no such column."""
        column = self.source.columns.get(name)
        if column is None:
            return None
        parsed = parser(column)
        wrong = parsed.wrong
        if optional:
            # Nothing at all stands for the device time; anything unreadable is wrong.
            wrong = wrong & np.array(column.is_valid()) & (np.array(column.cast(pa.string())) != "")
            parsed.values[parsed.wrong] = ABSENT
        self.refuse(wrong, name, parsed.reason)
        return parsed.values

    def names(self, name: str, file_map: FileMap) -> tuple[NDArray[np.int64], list[str]]:
        """Read ids, or take the map's constant; without either nothing is known."""
        constant = file_map.constants.get(name)
        if constant is not None:
            return np.zeros(len(self.source.line), dtype=np.int64), [constant]
        if name not in self.source.columns:
            return np.full(len(self.source.line), ABSENT), []
        parsed, names = identifiers(self.source.columns[name], required=name == "meter_id")
        self.refuse(parsed.wrong, name, parsed.reason)
        return parsed.values, names

    def refuse(self, wrong: NDArray[np.bool_], name: str, reason: str) -> None:
        """Leave out rows, for a reason."""
        self.wrong |= wrong
        at = self.source.line[wrong].tolist()
        self.refused += [RefusedValue(line, name, reason) for line in at]

    def demand_a_measurement(self, columns: list[Any]) -> None:
        """Leave out rows that report nothing."""
        reported = np.zeros(len(self.wrong), dtype=np.bool_)
        for values in columns:
            reported |= ~np.isnan(values) if values.dtype.kind == "f" else values != ABSENT
        self.refuse(~reported & ~self.wrong, "(row)", "reports no measurement")


def _assemble(
    rows: _Rows,
    file_map: FileMap,
    columns: dict[str, Any],
    meters: tuple[NDArray[np.int64], list[str]],
    companies: tuple[NDArray[np.int64], list[str]],
) -> FileReadings:
    keep = ~rows.wrong
    columns = {name: values[keep] for name, values in columns.items()}
    unreported = columns["received_us"] == ABSENT
    columns["received_us"] = np.where(unreported, columns["device_time_us"], columns["received_us"])
    used, first, key = np.unique(meters[0][keep], return_index=True, return_inverse=True)
    company = companies[0][keep][first]
    for register in file_map.cumulate:
        column = NUMBER_FIELDS[register]
        columns[column] = _running_sum(key, columns["device_time_us"], columns[column])
    return FileReadings(
        [meters[1][at] for at in used.tolist()],
        [companies[1][at] if at != ABSENT else None for at in company.tolist()],
        ReadingBatch.build(int(keep.sum()), meter_key=key, **columns),
        sorted(rows.refused, key=lambda refused: refused.line),
    )


def _running_sum(
    key: NDArray[np.intp], time_us: NDArray[np.int64], volume_m3: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Sum up each meter's volumes in order of time; an interval without a volume adds nothing."""
    order = np.lexsort((time_us, key))
    total = np.cumsum(np.nan_to_num(volume_m3[order]))
    firsts = np.flatnonzero(np.diff(key[order], prepend=-1))
    before = np.append(0.0, total)[firsts]
    out = np.empty_like(total)
    out[order] = total - np.repeat(before, np.diff(np.append(firsts, len(key))))
    return np.where(np.isnan(volume_m3), np.nan, out)


def _load(path: Path, file_map: FileMap) -> _Source:
    try:
        if path.suffix.lower() in (".parquet", ".pq"):
            return _load_parquet(path, file_map)
        return _load_csv(path, file_map)
    except FileNotFoundError as error:
        msg = f"there is no file {path}"
        raise FileError(msg) from error
    except (OSError, pa.ArrowException, UnicodeError) as error:
        msg = f"cannot read {path}: {' '.join(str(error).split())}"
        raise FileError(msg) from error


def _load_parquet(path: Path, file_map: FileMap) -> _Source:
    wanted = _wanted(parquet.read_schema(path).names, file_map)
    table = parquet.read_table(path, columns=sorted(set(wanted.values())))
    columns = {name: table[column] for name, column in wanted.items()}
    return _Source(columns, np.arange(1, len(table) + 1), [])


def _load_csv(path: Path, file_map: FileMap) -> _Source:
    """Read every wanted column as text; rows with too many or too few values are told by line."""
    header = _header(path, file_map.encoding)
    wanted = _wanted(header, file_map)
    broken: list[Any] = []

    def note(row: Any) -> str:
        broken.append(row)
        return "skip"

    table = csv.read_csv(
        path,
        # One thread, or broken rows have no number.
        read_options=csv.ReadOptions(use_threads=False, encoding=file_map.encoding),
        parse_options=csv.ParseOptions(invalid_row_handler=note, ignore_empty_lines=False),
        convert_options=csv.ConvertOptions(
            include_columns=sorted(set(wanted.values())),
            column_types=dict.fromkeys(header, pa.string()),
            strings_can_be_null=False,
        ),
    )
    skipped = np.array([row.number for row in broken], dtype=np.int64)
    lines = np.setdiff1d(np.arange(2, len(table) + len(skipped) + 2), skipped)
    reason = "has {} values where the header has {}"
    refused = [
        RefusedValue(r.number, "(row)", reason.format(r.actual_columns, r.expected_columns)) for r in broken
    ]
    blank = _blank(table)
    refused += [RefusedValue(line, "(row)", "is empty") for line in lines[blank].tolist()]
    table = table.filter(pa.array(~blank))
    return _Source({name: table[column] for name, column in wanted.items()}, lines[~blank], refused)


def _blank(table: Any) -> NDArray[np.bool_]:
    """Mark rows that say nothing in any wanted column: blank lines, most often at the end."""
    blank = np.ones(len(table), dtype=np.bool_)
    for column in table.columns:
        blank &= pc.equal(pc.utf8_trim_whitespace(column), "").to_numpy()
    return blank


def _header(path: Path, encoding: str) -> list[str]:
    # Arrow would read the first megabyte for it, and call back for each broken row in there.
    with path.open(encoding="utf-8-sig" if encoding == "utf-8" else encoding, newline="") as lines:
        try:
            return next(plain_csv.reader(lines))
        except StopIteration:
            msg = "it is empty"
            raise UnicodeError(msg) from None
        except plain_csv.Error as error:
            raise UnicodeError(str(error)) from error


def _wanted(present: list[str], file_map: FileMap) -> dict[str, str]:
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
