"""The file of refused rows: goes on, like the import itself, after the last committed line."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from ingest.file_piece import RefusedValue
from runtime.exceptions import RuntimeFailure

COLUMNS = ("line", "field", "reason")


@contextmanager
def refusal_file(path: Path | None, after_line: int) -> Iterator[Callable[[Sequence[RefusedValue]], None]]:
    """Open a CSV of refused rows; what it holds of lines up to `after_line` stays.

    Each call writes what it is given before it returns. Without a path nothing is written.
    Raises RuntimeFailure.
    """
    if path is None:
        yield lambda _refused: None
        return
    with _failing_clearly(path):
        out = path.open("r+" if path.exists() else "w+", encoding="utf-8", newline="")
    with out:
        with _failing_clearly(path):
            out.seek(_end_of(path, after_line))
            out.truncate()
            writer = csv.writer(out, lineterminator="\n")
            if not out.tell():
                writer.writerow(COLUMNS)

        def write(refused: Sequence[RefusedValue]) -> None:
            with _failing_clearly(path):
                writer.writerows((wrong.line, wrong.field, wrong.reason) for wrong in refused)
                out.flush()

        yield write


def _end_of(path: Path, after_line: int) -> int:
    """Find where the rows of later lines begin, or a row that was never written to its end."""
    with path.open("rb") as source:
        if source.readline() != ",".join(COLUMNS).encode() + b"\n":
            return 0
        end = source.tell()
        for row in source:
            line = row.split(b",", 1)[0]
            if not (row.endswith(b"\n") and line.isdigit() and int(line) <= after_line):
                break
            end += len(row)
    return end


@contextmanager
def _failing_clearly(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        msg = f"cannot write {path}: {error.strerror or error}"
        raise RuntimeFailure(msg) from error
