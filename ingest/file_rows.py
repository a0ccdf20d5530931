"""From a piece of a file to readings: every field parsed, every bad row left out and told."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Self
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from fleet.readings import ABSENT, ReadingBatch, column_dtype
from fleet.wire import NUMBER_FIELDS
from ingest.file_columns import Parsed, counters, identifiers, numbers, statuses, times_us, valves
from ingest.file_piece import Piece, RefusedValue
from ingest.filemap import FileMap

_INTEGERS: dict[str, tuple[str, Callable[[Any], Parsed]]] = {
    "seq": ("seq", counters),
    "boot": ("boot", counters),
    "valve": ("valve", valves),
    "status": ("status_bits", statuses),
}


@dataclass(frozen=True, slots=True, eq=False)
class Names:
    """Ids of n rows: the position of each in the list of distinct ones, ABSENT where it has none."""

    at: NDArray[np.int64]
    distinct: list[str]


@dataclass(frozen=True, slots=True, eq=False)
class FileChunk:
    """The readings of a piece of a file, in the file's order."""

    #: `meter_key` is the position in `meters.distinct`.
    readings: ReadingBatch
    #: Line of each reading.
    line: NDArray[np.int64]
    meters: Names
    companies: Names
    refused: list[RefusedValue]
    through_line: int
    share: float

    def take(self, rows: NDArray[np.bool_] | slice) -> tuple[ReadingBatch, NDArray[np.int64], Names, Names]:
        """Select readings, with their lines, meters and companies."""
        meters = Names(self.meters.at[rows], self.meters.distinct)
        companies = Names(self.companies.at[rows], self.companies.distinct)
        return self.readings.take(rows), self.line[rows], meters, companies

    def between(self, after_line: int, through_line: int) -> Self:
        """Give what stands after one line and up to another."""
        rows = slice(*np.searchsorted(self.line, [after_line, through_line], side="right").tolist())
        refused = [wrong for wrong in self.refused if after_line < wrong.line <= through_line]
        share = self.share * through_line / max(self.through_line, 1)
        return type(self)(*self.take(rows), refused, through_line, share)


def parse_rows(piece: Piece, file_map: FileMap, zone: ZoneInfo, latest_us: int | None) -> FileChunk:
    """Parse a piece; a row with any bad value is left out, with every reason."""
    rows = _Rows(piece)
    meters = rows.names("meter_id", file_map)
    companies = rows.names("company", file_map)
    columns = _times(rows, zone, latest_us)
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
    whole = FileChunk(
        ReadingBatch.build(len(piece), meter_key=meters.at, **columns),
        piece.line,
        meters,
        companies,
        sorted(rows.refused, key=lambda refused: refused.line),
        piece.through_line,
        piece.share,
    )
    return FileChunk(*whole.take(~rows.wrong), whole.refused, whole.through_line, whole.share)


def _times(rows: _Rows, zone: ZoneInfo, latest_us: int | None) -> dict[str, Any]:
    at_us = rows.parse("ts", lambda column: times_us(column, zone))
    if latest_us is not None:
        rows.refuse(at_us > latest_us, "ts", "is in the future")
    arrived_us = rows.parse("received", lambda column: times_us(column, zone), optional=True)
    if arrived_us is None:
        arrived_us = at_us
    arrived_us = np.where(arrived_us == ABSENT, at_us, arrived_us)
    return {"device_time_us": at_us, "received_us": arrived_us}


@dataclass(slots=True, eq=False)
class _Rows:
    """Reads fields, and notes which rows are wrong and why."""

    piece: Piece
    wrong: NDArray[np.bool_] = field(init=False)
    refused: list[RefusedValue] = field(init=False)

    def __post_init__(self) -> None:
        self.wrong = np.zeros(len(self.piece), dtype=np.bool_)
        self.refused = list(self.piece.refused)

    def parse(self, name: str, parser: Callable[[Any], Parsed], *, optional: bool = False) -> Any:
        """Read one field; None where the file has no such column."""
        column = self.piece.columns.get(name)
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

    def names(self, name: str, file_map: FileMap) -> Names:
        """Read ids, or take the map's constant; without either nothing is known."""
        constant = file_map.constants.get(name)
        if constant is not None:
            return Names(np.zeros(len(self.piece), dtype=np.int64), [constant])
        if name not in self.piece.columns:
            return Names(np.full(len(self.piece), ABSENT, dtype=np.int64), [])
        parsed, distinct = identifiers(self.piece.columns[name], required=name == "meter_id")
        self.refuse(parsed.wrong, name, parsed.reason)
        return Names(parsed.values, distinct)

    def refuse(self, wrong: NDArray[np.bool_], name: str, reason: str) -> None:
        """Leave out rows, for a reason."""
        self.wrong |= wrong
        at = self.piece.line[wrong].tolist()
        self.refused += [RefusedValue(line, name, reason) for line in at]

    def demand_a_measurement(self, columns: list[Any]) -> None:
        """Leave out rows that report nothing."""
        reported = np.zeros(len(self.wrong), dtype=np.bool_)
        for values in columns:
            reported |= ~np.isnan(values) if values.dtype.kind == "f" else values != ABSENT
        self.refuse(~reported & ~self.wrong, "(row)", "reports no measurement")
