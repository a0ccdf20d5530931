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
from ingest.file_columns import Parsed, counters, identifiers, numbers, statuses, valves
from ingest.file_piece import Piece, RefusedValue
from ingest.file_times import Instants, instants, read_times
from ingest.filemap import FileMap
from ingest.repeated_hours import RepeatedHours

_INTEGERS: dict[str, tuple[str, Callable[[Any], Parsed]]] = {
    "seq": ("seq", counters),
    "boot": ("boot", counters),
    "valve": ("valve", valves),
    "status": ("status_bits", statuses),
}


_NO_TIME = "is no time from 1980 to 2200 (integers are milliseconds since 1970)"
_SKIPPED = (
    "is a time that the clocks skipped in {zone}; write it with an offset, or name the zone whose time it is"
)
_UNCLEAR = (
    "is a time that the clocks showed twice in {zone}, and the order of the rows does not tell which; "
    "write it with an offset"
)


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


def parse_rows(
    piece: Piece, file_map: FileMap, zone: ZoneInfo, repeated: RepeatedHours, latest_us: int | None
) -> FileChunk:
    """Parse a piece; a row with any bad value is left out, with every reason.

    `repeated` knows what the rows of the whole file tell of hours that the clocks repeat.
    """
    rows = _Rows(piece)
    meters = rows.names("meter_id", file_map)
    companies = rows.names("company", file_map)
    columns = _times(rows, zone, repeated, latest_us)
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


def _times(rows: _Rows, zone: ZoneInfo, repeated: RepeatedHours, latest_us: int | None) -> dict[str, Any]:
    second, unclear = repeated.at(rows.piece.line)
    at = instants(read_times(rows.piece.columns["ts"]), zone, second)
    rows.refuse(at.wrong, "ts", _NO_TIME)
    rows.refuse(at.skipped, "ts", _SKIPPED.format(zone=zone.key))
    rows.refuse(unclear & at.repeated, "ts", _UNCLEAR.format(zone=zone.key))
    if latest_us is not None:
        rows.refuse(at.values > latest_us, "ts", "is in the future")
    return {"device_time_us": at.values, "received_us": _arrivals_us(rows, zone, at)}


def _arrivals_us(rows: _Rows, zone: ZoneInfo, at: Instants) -> NDArray[np.int64]:
    """Read times of arrival, the reading's own where there is none; of two the first not before that."""
    column = rows.piece.columns.get("received")
    if column is None:
        return at.values
    times = read_times(column)
    arrived = instants(times, zone)
    later = instants(times, zone, arrived.repeated & (arrived.values < at.values))
    # Nothing at all stands for the device time; anything unreadable is wrong.
    said = np.array(column.is_valid()) & (np.array(column.cast(pa.string())) != "")
    rows.refuse(arrived.wrong & said, "received", _NO_TIME)
    rows.refuse(arrived.skipped, "received", _SKIPPED.format(zone=zone.key))
    return np.where(later.values == ABSENT, at.values, later.values)


@dataclass(slots=True, eq=False)
class _Rows:
    """Reads fields, and notes which rows are wrong and why."""

    piece: Piece
    wrong: NDArray[np.bool_] = field(init=False)
    refused: list[RefusedValue] = field(init=False)

    def __post_init__(self) -> None:
        self.wrong = np.zeros(len(self.piece), dtype=np.bool_)
        self.refused = list(self.piece.refused)

    def parse(self, name: str, parser: Callable[[Any], Parsed]) -> Any:
        """Read one field; None where the file has no such column."""
        column = self.piece.columns.get(name)
        if column is None:
            return None
        parsed = parser(column)
        self.refuse(parsed.wrong, name, parsed.reason)
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
