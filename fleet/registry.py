"""The registry's CSV: every row checked, every bad value reported by line, column and reason."""

from __future__ import annotations

import csv
import math
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, TextIO

from fleet.meters import FIELDS, CustomerKind, Meter, ReadingClass, Technology
from fleet.policy import BATTERIES, battery_type
from fleet.ratings import QMAX_M3H, is_g_size
from fleet.wire import is_id

REQUIRED = ("meter_id", "company", "customer", "customer_kind", "reading_class", "technology")
_LONGEST_TEXT = 200


@dataclass(frozen=True, slots=True)
class RegistryError:
    """Why one value of one line cannot be taken."""

    line: int
    column: str
    reason: str

    def __str__(self) -> str:
        return f"line {self.line}, {self.column}: {self.reason}"


@dataclass(frozen=True, slots=True)
class RegistryFile:
    """What a registry CSV says: the good meters, and what is wrong with the others."""

    meters: list[Meter]
    errors: list[RegistryError]


def read_registry(lines: Iterable[str], today: date | None = None) -> RegistryFile:
    """Check a registry CSV (header row first); a row with any error yields no meter.

    `today` is the latest day, anywhere on earth, on which a service can have been done; None for any.
    """
    reader = csv.DictReader(lines)
    headers = [(name or "").strip().lstrip("\ufeff") for name in reader.fieldnames or []]
    reader.fieldnames = headers
    errors = _header_errors(headers)
    meters: list[Meter] = []
    if errors:
        return RegistryFile(meters, errors)
    seen: dict[str, int] = {}
    for row in reader:
        meter, wrong = _read_row(row, reader.line_num, today)
        if meter is not None and meter.meter_id in seen:
            first = seen[meter.meter_id]
            wrong = [
                RegistryError(reader.line_num, "meter_id", f"{meter.meter_id!r} stands in line {first} too")
            ]
        errors += wrong
        if meter is not None and not wrong:
            seen[meter.meter_id] = reader.line_num
            meters.append(meter)
    return RegistryFile(meters, errors)


def write_registry(meters: Sequence[Meter], out: TextIO) -> None:
    """Write meters as the CSV that `read_registry` reads."""
    writer = csv.DictWriter(out, FIELDS, lineterminator="\n")
    writer.writeheader()
    for meter in meters:
        writer.writerow({name: _as_text(getattr(meter, name)) for name in FIELDS})


def _header_errors(headers: list[str]) -> list[RegistryError]:
    if not headers:
        return [RegistryError(1, "header", "the file is empty")]
    wrong = [RegistryError(1, name, "column is missing") for name in REQUIRED if name not in headers]
    wrong += [
        RegistryError(1, name or "(unnamed)", "no such column") for name in headers if name not in FIELDS
    ]
    wrong += [
        RegistryError(1, n, "column stands twice") for n in sorted(set(headers)) if headers.count(n) > 1
    ]
    return wrong


def _read_row(
    row: dict[str | Any, Any], line: int, today: date | None
) -> tuple[Meter | None, list[RegistryError]]:
    values: dict[str, Any] = {}
    errors = [RegistryError(line, "(end)", "more values than columns")] if None in row else []
    for name in FIELDS:
        text = (row.get(name) or "").strip()
        if not text:
            if name in REQUIRED:
                errors.append(RegistryError(line, name, "is required"))
            continue
        try:
            values[name] = _PARSERS[name](text)
        except ValueError as reason:
            errors.append(RegistryError(line, name, str(reason)))
    bad = {error.column for error in errors}
    wrong = _contradictions(values, bad) + _not_yet_done(values, today)
    errors += [RegistryError(line, column, reason) for column, reason in wrong]
    return (None if errors else Meter(**values)), errors


def _contradictions(row: dict[str, Any], bad: set[str]) -> list[tuple[str, str]]:
    wrong: list[tuple[str, str]] = []
    qmin, qmax = row.get("qmin"), row.get("qmax", QMAX_M3H.get(row.get("g_size", "")))
    if qmin is not None and qmax is not None and qmin >= qmax:
        wrong.append(("qmin", f"{qmin:g} is not below qmax {qmax:g}"))
    if qmax is None and not bad & {"g_size", "qmax"}:
        wrong.append(("qmax", "is required where g_size is empty or in no table"))
    digits, step = row.get("register_digits"), row.get("register_step")
    if digits is not None and step is not None and step >= 10.0**digits:
        wrong.append(("register_step", f"{step:g} does not fit a register of {digits} digits"))
    return wrong


def _not_yet_done(row: dict[str, Any], today: date | None) -> list[tuple[str, str]]:
    """Find services that lie in the future; a meter may be registered before it is installed."""
    done = [(name, row[name]) for name in _SERVICE_DATES if name in row]
    return [(name, f"{day} lies in the future") for name, day in done if today is not None and day > today]


def _text(text: str) -> str:
    if len(text) > _LONGEST_TEXT:
        msg = f"longer than {_LONGEST_TEXT} characters"
        raise ValueError(msg)
    if not text.isprintable():
        msg = "has characters that cannot be printed"
        raise ValueError(msg)
    return text


def _identifier(text: str) -> str:
    if not is_id(text):
        msg = f"{text!r} is not 1 to 64 letters, digits, '_' or '-'"
        raise ValueError(msg)
    return text


def _number(low: float, high: float, *, whole: bool = False) -> Callable[[str], float]:
    def parse(text: str) -> float:
        if (_WHOLE if whole else _DECIMAL).fullmatch(text) is None:
            msg = f"{text!r} is not a {'whole ' if whole else ''}number"
            raise ValueError(msg)
        value = int(text) if whole else float(text)
        if not math.isfinite(value) or not low <= value <= high:
            msg = f"{text} is outside {low:g} to {high:g}"
            raise ValueError(msg)
        return value

    return parse


def _one_of(*choices: str) -> Callable[[str], str]:
    def parse(text: str) -> str:
        if text not in choices:
            msg = f"{text!r} is none of {', '.join(choices)}"
            raise ValueError(msg)
        return text

    return parse


def _boolean(text: str) -> bool:
    lowered = text.lower()
    if lowered not in ("true", "false", "1", "0", "yes", "no"):
        msg = f"{text!r} is not true or false"
        raise ValueError(msg)
    return lowered in ("true", "1", "yes")


def _date(text: str) -> date:
    try:
        value = date.fromisoformat(text)
    except ValueError:
        msg = f"{text!r} is not a date (YYYY-MM-DD)"
        raise ValueError(msg) from None
    if not date(1970, 1, 1) <= value <= date(2200, 1, 1):
        msg = f"{text} is outside 1970 to 2200"
        raise ValueError(msg)
    return value


def _as_text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:.12g}" if isinstance(value, float) else str(value)


def _battery(text: str) -> str:
    known = battery_type(text)
    if known is None:
        msg = f"{text!r} is none of {', '.join(BATTERIES)}"
        raise ValueError(msg)
    return known


def _g_size(text: str) -> str:
    if not is_g_size(text.upper()):
        msg = f"{text!r} is no meter size like G65"
        raise ValueError(msg)
    return text.upper()


# Python's own numbers may have underscores, and digits of any script.
_WHOLE = re.compile(r"[+-]?[0-9]{1,18}")
_DECIMAL = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]{1,3})?")
_SERVICE_DATES = ("battery_replaced_on", "battery2_replaced_on", "oil_filled_on")
_DAYS = _number(1, 36500, whole=True)
_SMALLEST = 1e-9

_PARSERS: dict[str, Callable[[str], Any]] = {
    **dict.fromkeys(FIELDS, _text),
    "meter_id": _identifier,
    "company": _identifier,
    "customer_kind": lambda text: CustomerKind(_one_of(*CustomerKind)(text)),
    "reading_class": lambda text: ReadingClass(_one_of(*ReadingClass)(text)),
    "technology": lambda text: Technology(_one_of(*Technology)(text)),
    "g_size": _g_size,
    "qmax": _number(_SMALLEST, 100_000),
    "qmin": _number(_SMALLEST, 100_000),
    "prepaid": _boolean,
    "balance_unit": _one_of("CNY", "m3"),
    "interval_s": _number(1, 31 * 86400, whole=True),
    "register_digits": _number(1, 15, whole=True),
    "register_step": _number(_SMALLEST, 1000),
    **dict.fromkeys(("installed_on", *_SERVICE_DATES), _date),
    **dict.fromkeys(("battery_type", "battery2_type"), _battery),
    **dict.fromkeys(("battery_life_days", "battery2_life_days", "oil_interval_days"), _DAYS),
    "oil_volume_at_fill": _number(0, 1e12),
    "oil_interval_m3": _number(_SMALLEST, 1e12),
    "low_balance": _number(0, 1e9),
}
