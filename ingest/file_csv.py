"""CSV piece by piece: whole lines, as many as asked for, parsed by Arrow as text."""

from __future__ import annotations

import codecs
import csv as plain_csv
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from io import TextIOWrapper
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from pyarrow import csv

from ingest.file_piece import Piece, RefusedValue, reading, wanted_columns
from ingest.filemap import FileError, FileMap

# A signal is the program's own business: Arrow would break off the reading of a piece for it.
pa.enable_signal_handlers(False)

#: No export has a longer line; a file without line ends would otherwise be read as one.
_LONGEST_LINE = 1 << 20
#: A value in quotes may go on for so many lines beyond the end of a piece.
_MOST_LINES_QUOTED = 1000


@dataclass(frozen=True, slots=True)
class _Header:
    names: list[str]
    lines: int
    #: Whether lines end with CR alone.
    cr_only: bool


def csv_pieces(path: Path, file_map: FileMap, most_lines: int, after_line: int = 0) -> Iterator[Piece]:
    """Yield the lines after `after_line`, up to `most_lines` at a time. Raises FileError."""
    with reading(path):
        header = _header(path, file_map.encoding)
        wanted = wanted_columns(header.names, file_map)
        through = max(after_line, header.lines)
        size = max(path.stat().st_size, 1)
        with _open_utf8(path, file_map.encoding, as_text=header.cr_only) as source:
            lines = iter(partial(source.read_line, _LONGEST_LINE), b"")
            for _ in islice(lines, through):
                pass
            while found := _take(lines, most_lines, through):
                columns, line, refused = _parse(b"".join(found), header.names, wanted, through)
                through += len(found)
                yield Piece(columns, line, refused, through, min(source.position() / size, 1.0))


def csv_fields(path: Path, file_map: FileMap) -> tuple[list[str], int]:
    """Give the fields that a file has, and its header's last line. Raises FileError."""
    with reading(path):
        header = _header(path, file_map.encoding)
        return list(wanted_columns(header.names, file_map)), header.lines


@dataclass(frozen=True, slots=True)
class _Utf8:
    """A file as lines of UTF-8."""

    read_line: Callable[[int], bytes]
    position: Callable[[], int]


@contextmanager
def _open_utf8(path: Path, encoding: str, *, as_text: bool) -> Iterator[_Utf8]:
    if codecs.lookup(encoding).name == "utf-8" and not as_text:
        with path.open("rb") as raw:
            yield _Utf8(raw.readline, raw.tell)
        return
    with path.open("rb") as raw, TextIOWrapper(raw, encoding) as text:
        yield _Utf8(lambda limit: text.readline(limit).encode(), raw.tell)


def _take(lines: Iterator[bytes], most: int, through: int) -> list[bytes]:
    """Take lines, and those that a value in quotes still needs."""
    found = list(islice(lines, most))
    extra = _MOST_LINES_QUOTED
    quoted = sum(line.count(b'"') for line in found) % 2
    while quoted and extra and (line := next(lines, b"")):
        found.append(line)
        quoted ^= line.count(b'"') % 2
        extra -= 1
    if found and max(map(len, found)) >= _LONGEST_LINE:
        msg = f"a line after line {through} is longer than {_LONGEST_LINE} bytes"
        raise UnicodeError(msg)
    return found


def _parse(
    data: bytes, names: list[str], wanted: dict[str, str], before: int
) -> tuple[dict[str, Any], NDArray[np.int64], list[RefusedValue]]:
    """Read every wanted column as text; rows with too many or too few values are told by line."""
    broken: list[Any] = []

    def note(row: Any) -> str:
        broken.append(row)
        return "skip"

    table = csv.read_csv(
        pa.BufferReader(data),
        # One thread, or broken rows have no number.
        read_options=csv.ReadOptions(use_threads=False, column_names=names, block_size=len(data) + 1),
        parse_options=csv.ParseOptions(invalid_row_handler=note, ignore_empty_lines=False),
        convert_options=csv.ConvertOptions(
            include_columns=sorted(set(wanted.values())),
            column_types=dict.fromkeys(names, pa.string()),
            strings_can_be_null=False,
        ),
    )
    skipped = np.array([before + row.number for row in broken], dtype=np.int64)
    lines = np.setdiff1d(np.arange(1, len(table) + len(skipped) + 1) + before, skipped)
    reason = "has {} values where the header has {}"
    refused = [
        RefusedValue(before + r.number, "(row)", reason.format(r.actual_columns, r.expected_columns))
        for r in broken
    ]
    blank = _blank(table)
    refused += [RefusedValue(line, "(row)", "is empty") for line in lines[blank].tolist()]
    table = table.filter(pa.array(~blank))
    return {name: table[column] for name, column in wanted.items()}, lines[~blank], refused


def _blank(table: Any) -> NDArray[np.bool_]:
    """Mark rows that say nothing in any wanted column: blank lines, most often at the end."""
    blank = np.ones(len(table), dtype=np.bool_)
    for column in table.columns:
        blank &= pc.equal(pc.utf8_trim_whitespace(column), "").to_numpy()
    return blank


def _header(path: Path, encoding: str) -> _Header:
    with path.open(encoding=_with_mark(encoding), newline="") as text:
        ends_with = text.readline(_LONGEST_LINE)[-1:]
        text.seek(0)
        rows = plain_csv.reader(text)
        try:
            names = next(rows)
        except StopIteration:
            msg = f"cannot read {path}: it is empty"
            raise FileError(msg) from None
        except plain_csv.Error as error:
            raise UnicodeError(str(error)) from error
        return _Header(names, rows.line_num, ends_with == "\r")


def _with_mark(encoding: str) -> str:
    return "utf-8-sig" if codecs.lookup(encoding).name == "utf-8" else encoding
