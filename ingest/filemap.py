"""Maps: which column of a head-end's export is which field of ours; see `docs/maps.md`."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from fleet.times import DEFAULT_ZONE
from fleet.wire import NUMBER_FIELDS

#: Fields of a reading in a file, under the names of the wire; `received` is when the head-end had it.
FILE_FIELDS = ("meter_id", "company", "ts", "received", "seq", "boot", *NUMBER_FIELDS, "valve", "status")
#: What may be the same for a whole file.
CONSTANT_FIELDS = ("meter_id", "company")
#: Registers that can be built from the volume of each interval.
REGISTER_FIELDS = ("volume", "std_volume")


class FileError(ValueError):
    """A file, or its map, cannot be read at all; the message says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FileMap:
    """Where each field of a file's readings comes from."""

    #: Field -> column of the file.
    columns: Mapping[str, str]
    #: Field -> value, where the file has no column for it.
    constants: Mapping[str, str] = field(default_factory=dict)
    #: Field -> factor that turns the file's unit into ours.
    scale: Mapping[str, float] = field(default_factory=dict)
    #: Register -> column with the volume of each interval; the register is their running sum.
    cumulate: Mapping[str, str] = field(default_factory=dict)
    #: Time zone of times without an offset.
    tz: str = DEFAULT_ZONE
    encoding: str = "utf-8"


#: A file with our own names; columns that it lacks are not reported.
NATIVE = FileMap(columns={name: name for name in FILE_FIELDS})

_TABLES: dict[str, tuple[tuple[str, ...], type | tuple[type, ...]]] = {
    "columns": (FILE_FIELDS, str),
    "constants": (CONSTANT_FIELDS, str),
    "scale": (tuple(NUMBER_FIELDS), (int, float)),
    "cumulate": (REGISTER_FIELDS, str),
}


def load_map(path: Path) -> FileMap:
    """Read a map from TOML. Raises FileError for one that says something impossible."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        msg = f"cannot read the map {path}: {error}"
        raise FileError(msg) from error
    try:
        return parse_map(text)
    except FileError as error:
        msg = f"{path}: {error}"
        raise FileError(msg) from error


def parse_map(text: str) -> FileMap:
    """Check a map's text. Raises FileError."""
    try:
        raw = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        msg = f"is not TOML: {error}"
        raise FileError(msg) from error
    wrong = sorted(set(raw) - set(FileMap.__dataclass_fields__))
    if wrong:
        msg = f"{wrong[0]!r} is none of {', '.join(FileMap.__dataclass_fields__)}"
        raise FileError(msg)
    tables: dict[str, Any] = {name: _table(name, raw.get(name, {})) for name in _TABLES}
    both = sorted(set(tables["columns"]) & {*tables["constants"], *tables["cumulate"]})
    if both:
        msg = f"{both[0]} has a column and something else to come from"
        raise FileError(msg)
    check_tz(raw.get("tz", DEFAULT_ZONE))
    _check_encoding(raw.get("encoding", "utf-8"))
    return FileMap(**tables, tz=raw.get("tz", DEFAULT_ZONE), encoding=raw.get("encoding", "utf-8"))


def check_tz(name: Any) -> ZoneInfo:
    """Find a time zone. Raises FileError for a name that is none."""
    try:
        return ZoneInfo(name)
    except (ValueError, TypeError, OSError, KeyError, AttributeError) as error:
        msg = f"{name!r} is no time zone; write one like {DEFAULT_ZONE}"
        raise FileError(msg) from error


def _check_encoding(name: Any) -> None:
    try:
        "".encode(name)
    except (LookupError, TypeError) as error:
        msg = f"{name!r} is no encoding; write one like utf-8 or gb18030"
        raise FileError(msg) from error


def _table(name: str, raw: Any) -> dict[str, Any]:
    fields, kind = _TABLES[name]
    if not isinstance(raw, dict):
        msg = f"{name} must be a table: [{name}]"
        raise FileError(msg)
    for key, value in raw.items():
        if key not in fields:
            msg = f"[{name}] {key!r} is none of {', '.join(fields)}"
            raise FileError(msg)
        if not isinstance(value, kind) or isinstance(value, bool):
            msg = f"[{name}] {key} must be a {'number' if name == 'scale' else 'text'}"
            raise FileError(msg)
    return dict(raw)
