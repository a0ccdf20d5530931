"""What `meterwarden check` reads: options, the registry, and the readings of its meters."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np

from fleet.meters import Meter
from fleet.readings import ReadingBatch
from fleet.registry import read_registry
from fleet.times import to_us
from ingest.filemap import FileError, check_tz
from ingest.files import FileReadings
from runtime.exceptions import RuntimeFailure
from runtime.said import say_some


class UsageError(Exception):
    """An option that says nothing sensible."""


def check_outputs(outputs: Sequence[Path | None], inputs: Sequence[Path | None]) -> None:
    """Refuse to write over what is read, or two results into one file. Raises UsageError."""
    taken = {path.resolve() for path in inputs if path is not None}
    for path in outputs:
        if path is None:
            continue
        if path.resolve() in taken:
            msg = f"{path} would be overwritten; name another file for the result"
            raise UsageError(msg)
        taken.add(path.resolve())


class CheckFailedError(RuntimeFailure):
    """The checks could not run; the message says what to do."""


@dataclass(frozen=True, slots=True, eq=False)
class KnownReadings:
    """The readings of registered meters, sorted, and those meters in the same numbering."""

    readings: ReadingBatch
    meters: Sequence[Meter]
    #: Meter number -> id.
    ids: Sequence[str]
    #: Meters that are not in the registry, with their readings.
    strangers: dict[str, int]
    #: Rows that repeat a meter's time and number; the first of them counts, as in the database.
    repeats: int


def registry_of(path: Path, today: date) -> dict[str, Meter]:
    """Read the registry; gives its meters by id. Raises CheckFailedError, after saying what is wrong."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as lines:
            registry = read_registry(lines, today)
    except OSError as error:
        msg = f"cannot read {path}: {error.strerror or type(error).__name__}"
        raise CheckFailedError(msg) from error
    except UnicodeDecodeError as error:
        msg = f"{path} is not UTF-8 at byte {error.start}; save it as UTF-8"
        raise CheckFailedError(msg) from error
    say_some([f"{path}: {error}" for error in registry.errors])
    if registry.errors:
        msg = f"{path} has {len(registry.errors)} wrong value(s); correct them and try again"
        raise CheckFailedError(msg)
    return {meter.meter_id: meter for meter in registry.meters}


def known_readings(source: FileReadings, registry: dict[str, Meter], path: Path) -> KnownReadings:
    """Keep what the registry knows: its meters, and their readings. Raises CheckFailedError without any."""
    say_some([f"{path}: {refused}" for refused in source.refused])
    position = {meter_id: at for at, meter_id in enumerate(registry)}
    new_key = np.array([position.get(meter_id, -1) for meter_id in source.meter_ids] or [-1], dtype=np.int32)
    counts = np.bincount(source.readings.meter_key, minlength=len(source.meter_ids)).tolist()
    strangers = {
        meter_id: count
        for meter_id, count in zip(source.meter_ids, counts, strict=True)
        if meter_id not in position
    }
    say_some(
        [
            f"meter {meter_id} is not in the registry: {n} reading(s) left out"
            for meter_id, n in strangers.items()
        ]
    )
    if len(source.meter_ids) == len(strangers):
        msg = f"{path} holds no usable reading of a registered meter; check the registry and the map"
        raise CheckFailedError(msg)
    key = new_key[source.readings.meter_key]
    batch = source.readings.take(key >= 0)
    batch = replace(batch, meter_key=key[key >= 0]).sorted_by_meter_and_time()
    once = batch.without_repeats()
    return KnownReadings(
        once,
        list(registry.values()),
        list(registry),
        strangers,
        len(batch) - len(once),
    )


def check_option_tz(tz: str) -> None:
    """Raise UsageError where `--tz` names no time zone."""
    try:
        check_tz(tz)
    except FileError as error:
        msg = f"--tz: {error}"
        raise UsageError(msg) from error


def instant_us(text: str, zone: ZoneInfo) -> int:
    """Read `--now`, microseconds since 1970; without an offset it is local time. Raises UsageError."""
    try:
        instant = datetime.fromisoformat(text)
    except ValueError as error:
        msg = f"--now {text!r} is no time; write one like 2026-05-01T08:00:00+08:00"
        raise UsageError(msg) from error
    instant = instant if instant.tzinfo else instant.replace(tzinfo=zone)
    return to_us(instant)
