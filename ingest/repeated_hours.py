"""The hour that clocks show twice when they are put back: which of the two the rows of a file mean."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from itertools import pairwise
from typing import Any, Self
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from ingest.file_columns import identifiers, text_of
from ingest.file_piece import Piece
from ingest.file_times import Clocked, Mask, Times, instants, read_times
from ingest.filemap import FileMap

_US_PER_DAY = 86_400_000_000


@dataclass(frozen=True, slots=True, eq=False)
class RepeatedHours:
    """Rows of a file whose local time was twice; shapes (r,), by ascending line."""

    line: Times
    #: Whether the row means the second time.
    second: Mask
    #: Whether nothing tells which of the two it means.
    unclear: Mask

    @classmethod
    def none(cls) -> Self:
        """Make that of a file without such rows."""
        return cls(np.zeros(0, dtype=np.int64), *(np.zeros(0, dtype=np.bool_) for _ in range(2)))

    @classmethod
    def of(cls, pieces: Iterable[Piece], file_map: FileMap, zone: ZoneInfo) -> Self:
        """Tell the two hours apart by the order of the rows.

        Rule. Where a meter's rows follow each other in time, theirs goes back once within the hour
        that is repeated: what stands after that is the second hour (in a file that begins with the
        newest, before it). Where it never goes back the first hour is meant, or one cannot know
        and the first does no harm, for the order stays. Where it goes back more than once nothing
        is told. A row that is there twice counts once.
        """
        look = _Look(file_map, zone)
        rows = list(look.through(pieces))
        if not rows:
            return cls.none()
        key, day, local_us, digest, line = (np.concatenate(parts) for parts in zip(*rows, strict=True))
        _, first, same = np.unique(digest, return_index=True, return_inverse=True)
        after, turns = _turned(key[first], day[first], local_us[first] * look.direction, line[first])
        second = after if look.direction > 0 else ~after & (turns > 0)
        return cls(line, second[same], (turns > 1)[same])

    def at(self, line: Times) -> tuple[Mask, Mask]:
        """Look up lines; gives which mean the second time, and which are unclear."""
        if len(self.line) == 0:
            nothing = np.zeros(len(line), dtype=np.bool_)
            return nothing, nothing
        at = np.minimum(np.searchsorted(self.line, line), len(self.line) - 1)
        there = self.line[at] == line
        return there & self.second[at], there & self.unclear[at]


@lru_cache(maxsize=64)
def repeats_hours(zone: ZoneInfo) -> bool:
    """Tell whether a zone's clocks were ever put back from 1992 to 2040; China's were until 1991."""
    days = (datetime(1992, 1, 1, tzinfo=UTC) + timedelta(days=day) for day in range(0, 49 * 366, 3))
    offsets = [day.astimezone(zone).utcoffset() or timedelta() for day in days]
    return any(later < earlier for earlier, later in pairwise(offsets))


@dataclass(slots=True)
class _Look:
    """Goes through a file once; knows afterwards whether times rise (1) or fall (-1) from row to row."""

    file_map: FileMap
    zone: ZoneInfo
    _balance: int = 0

    @property
    def direction(self) -> int:
        return -1 if self._balance < 0 else 1

    def through(self, pieces: Iterable[Piece]) -> Iterator[tuple[NDArray[Any], ...]]:
        """Give meter, day, local time, digest and line of the rows in question, piece by piece."""
        numbers: dict[str | None, int] = {}
        for piece in pieces:
            times = read_times(piece.columns["ts"])
            if not times.naive.any():
                continue
            at, names = self._meters(piece)
            self._balance += _balance(at, times)
            rows = np.flatnonzero(instants(times, self.zone).repeated)
            if len(rows):
                key = np.array([numbers.setdefault(name, len(numbers)) for name in [*names, None]])
                local_us = times.values[rows]
                # From noon to noon, for some hours that are repeated go past midnight.
                day = (local_us + _US_PER_DAY // 2) // _US_PER_DAY
                yield key[at[rows]], day, local_us, _digests(piece, rows), piece.line[rows]

    def _meters(self, piece: Piece) -> tuple[Times, list[str]]:
        if "meter_id" not in piece.columns:
            return np.zeros(len(piece), dtype=np.int64), [self.file_map.constants.get("meter_id", "")]
        parsed, names = identifiers(piece.columns["meter_id"], required=True)
        return parsed.values, names


def _balance(meter: Times, times: Clocked) -> int:
    """Count how often a meter's time rises from row to row, less how often it falls."""
    order = np.argsort(meter, kind="stable")
    steps = np.sign(np.diff(times.values[order]))
    both = times.naive[order][1:] & times.naive[order][:-1] & (np.diff(meter[order]) == 0)
    return int(steps[both].sum())


def _digests(piece: Piece, rows: NDArray[np.intp]) -> Times:
    """Give rows that say the same the same number; one a year and meter, so row by row will do."""
    columns = [text_of(column.take(rows)).to_pylist() for column in piece.columns.values()]
    return np.array([hash(row) for row in zip(*columns, strict=True)], dtype=np.int64)


def _turned(key: Times, day: Times, along_us: Times, line: Times) -> tuple[Mask, Times]:
    """Tell which rows stand after a turn of their meter and day, and how many turns that has."""
    order = np.lexsort((line, day, key))
    begins = np.ones(len(order), dtype=np.bool_)
    begins[1:] = (np.diff(key[order]) != 0) | (np.diff(day[order]) != 0)
    turns = ~begins
    turns[1:] = turns[1:] & (np.diff(along_us[order]) <= 0)
    group = np.cumsum(begins) - 1
    starts = np.flatnonzero(begins)
    count = np.cumsum(turns)
    so_far = count - count[starts][group]
    total = np.add.reduceat(turns.astype(np.int64), starts)[group]
    after, many = np.empty_like(turns), np.empty_like(total)
    after[order], many[order] = so_far > 0, total
    return after, many
