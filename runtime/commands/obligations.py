"""`meterwarden obligations`: what has to happen, from the registry alone."""

from __future__ import annotations

import csv
import io
import sys
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from datetime import date
from functools import lru_cache
from itertools import chain, groupby
from pathlib import Path
from typing import TextIO

from alerts.inspections.obligations import Customer, Due, customers, dues
from fleet.registry import RegistryFile, read_registry

COLUMNS = ("customer", "kind", "reading_class", "period_start", "period_end")

_DONE, _FAILED, _WRONG_USAGE = 0, 1, 2
#: The registry's own limits; a range beyond them is a typing error.
_EARLIEST, _LATEST = date(1970, 1, 1), date(2200, 1, 1)


def obligations(meters: Path, first: str, last: str, out: Path | None) -> int:
    """Write the obligations in [first, last) of a registry's customers as CSV; gives the exit code.

    Parameters
    ----------
    meters
        The registry's CSV.
    first, last
        Days as YYYY-MM-DD; `last` itself does not belong to the range.
    out
        Where to write; None for standard output.
    """
    span = _range(first, last)
    if isinstance(span, str):
        return _fail(span, _WRONG_USAGE)
    try:
        with meters.open(encoding="utf-8-sig", newline="") as lines:
            registry = read_registry(lines)
    except (OSError, UnicodeDecodeError) as error:
        return _fail(f"cannot read {meters}: {_reason(error)}", _FAILED)
    if registry.errors:
        return _list_errors(meters, registry)
    return _write(registry, span, out)


def _range(first: str, last: str) -> tuple[date, date] | str:
    """Parse the range; a sentence where it is none."""
    days = []
    for option, text in (("--from", first), ("--to", last)):
        try:
            days.append(date.fromisoformat(text))
        except ValueError:
            return f"{option} {text!r} is not a date; write it as YYYY-MM-DD"
    start, to = days
    if not _EARLIEST <= start < to <= _LATEST:
        return f"--from {start} must be before --to {to}, both from {_EARLIEST} to {_LATEST}"
    return start, to


def _write(registry: RegistryFile, span: tuple[date, date], out: Path | None) -> int:
    found = customers(registry.meters)
    lines = chain([",".join(COLUMNS) + "\n"], _lines(found.owing, *span))
    try:
        with out.open("w", encoding="utf-8", newline="") if out else nullcontext(sys.stdout) as sink:
            _write_lines(sink, lines)
    except OSError as error:
        return _fail(f"cannot write {out or 'standard output'}: {_reason(error)}", _FAILED)
    if found.residential:
        _say(f"{found.residential} residential customer(s) left out: the rules are not for them")
    return _DONE


def _write_lines(sink: TextIO, lines: Iterator[str]) -> None:
    sink.writelines(lines)
    sink.flush()


def _lines(owing: Sequence[Customer], first: date, to: date) -> Iterator[str]:
    """Yield the CSV's lines, sorted; customers come sorted by name.

    Millions of lines share a few hundred endings, so only the customer's name is formatted anew.
    """
    for name, namesakes in groupby(owing, key=lambda customer: customer.name):
        # Customers of several companies may share a name; then their lines are sorted together.
        found = [dues(customer, first, to) for customer in namesakes]
        quoted = _csv_line([name])
        one_or_sorted = found[0] if len(found) == 1 else tuple(sorted(chain.from_iterable(found)))
        for ending in _endings(one_or_sorted):
            yield quoted + ending


@lru_cache(maxsize=4096)
def _endings(due: tuple[Due, ...]) -> tuple[str, ...]:
    return tuple("," + _csv_line(list(map(str, item))) + "\n" for item in due)


def _csv_line(values: Sequence[str]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="").writerow(values)
    return text.getvalue()


def _list_errors(meters: Path, registry: RegistryFile) -> int:
    for error in registry.errors:
        _say(str(error))
    return _fail(f"{meters} has {len(registry.errors)} wrong value(s); correct them and try again", _FAILED)


def _reason(error: OSError | UnicodeDecodeError) -> str:
    if isinstance(error, OSError):
        return error.strerror or type(error).__name__
    return f"it is not UTF-8 at byte {error.start}"


def _fail(sentence: str, code: int) -> int:
    _say(f"meterwarden obligations: {sentence}")
    return code


def _say(sentence: str) -> None:
    sys.stderr.write(sentence + "\n")
