"""`meterwarden check`: every check on a file of readings, with no database and no broker."""

from __future__ import annotations

import csv
import sys
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from datetime import date, datetime
from pathlib import Path
from typing import TextIO
from zoneinfo import ZoneInfo

import numpy as np

from analytics.backtest import compare
from analytics.episodes import Episodes
from analytics.history import evaluate_history
from analytics.pipeline import Evaluation, in_order
from analytics.usage.history import slow_history
from fleet.meter_table import MeterTable
from fleet.meters import Meter
from fleet.policy_file import PolicyFile
from fleet.readings import ReadingBatch
from fleet.registry import read_registry
from fleet.times import latest_day, to_datetime, to_us
from fleet.wire import CLOCK_AHEAD_US
from ingest.filemap import DEFAULT_TZ, FileError, check_tz
from ingest.files import FileReadings, load_map, read_readings
from runtime.exceptions import RuntimeFailure
from runtime.findings import COLUMNS, Finding, findings_of
from runtime.policy_check import PolicyOptions, PolicyRefusedError, read_options
from runtime.rollups import volumes_of, write_volumes

_DONE, _FAILED, _WRONG_USAGE = 0, 1, 2
#: More lines than this of one kind are counted, not printed.
_MOST_LINES = 20


def check(
    readings: Path,
    meters: Path,
    file_map: Path | None,
    tz: str | None,
    out: Path | None,
    now: str | None,
    rollups: Path | None = None,
    options: PolicyOptions | None = None,
) -> int:
    """Write what the checks find in a file of readings as CSV; gives the exit code.

    Parameters
    ----------
    readings
        CSV or Parquet.
    meters
        The registry's CSV; readings of meters that are not in it are counted and left out.
    file_map
        TOML that names the file's columns; None where they have our own names.
    tz
        Time zone of times without an offset, and of the registry's dates; None for the map's.
    out
        Where to write the findings; None for standard output. The summary goes to standard error.
    now
        RFC 3339: as of when batteries, oil and silence are judged; None for the newest reading.
        Rows later than this and than the present are refused.
    rollups
        Where to write the volumes of hours, days and months as CSV; None for nowhere.
    options
        With a policy the findings are those under it, and what it changes is told beside them.
    """
    try:
        policies = read_options(options or PolicyOptions())
        if tz is not None:
            _check_option_tz(tz)
        mapping = load_map(file_map) if file_map else None
        zone = check_tz(tz or (mapping.tz if mapping else DEFAULT_TZ))
        now_us = None if now is None else _instant_us(now, zone)
    except PolicyRefusedError as error:
        _list(error.errors)
        return _fail(str(error), _WRONG_USAGE)
    except _UsageError as error:
        return _fail(str(error), _WRONG_USAGE)
    except FileError as error:
        return _fail(str(error), _FAILED)
    try:
        present_us = max(time.time_ns() // 1000, now_us or 0)
        registry = _registry(meters, latest_day(present_us))
        source = read_readings(readings, mapping, tz, latest_us=present_us + CLOCK_AHEAD_US)
        known = _known(source, registry, readings)
        offset_s = _offset_s(known, now_us, zone)
        _list(policies.strangers(registry.values()))
        result = _judge(known, policies.after, zone, now_us, offset_s)
        found = findings_of(result.episodes, known.ids)
        periods = _write_rollups(known, policies.after, zone, rollups) if rollups else None
        _write(found, out)
        _summarise(source, known, result, found)
        if periods is not None:
            _say(f"{periods} volume(s) of hours, days and months written to {rollups}")
        if policies.compared:
            before = _judge(known, policies.before, zone, now_us, offset_s)
            for line in policies.tell(compare(before.episodes, result.episodes), known.ids):
                _say(line)
    except (RuntimeFailure, FileError) as error:
        return _fail(str(error), _FAILED)
    except OSError as error:
        where = error.filename or out or "standard output"
        return _fail(f"cannot write {where}: {error.strerror or error}", _FAILED)
    return _DONE


class _UsageError(Exception):
    """An option that says nothing sensible."""


class _CheckFailedError(RuntimeFailure):
    """The checks could not run; the message says what to do."""


@dataclass(frozen=True, slots=True, eq=False)
class _Known:
    """The readings of registered meters, sorted, and those meters in the same numbering."""

    readings: ReadingBatch
    meters: Sequence[Meter]
    #: Meter number -> id.
    ids: Sequence[str]
    #: Meters that are not in the registry, with their readings.
    strangers: dict[str, int]
    #: Rows that repeat a meter's time and number; the first of them counts, as in the database.
    repeats: int


def _judge(
    known: _Known, policies: PolicyFile, zone: ZoneInfo, now_us: int | None, offset_s: int
) -> Evaluation:
    table = MeterTable.build(known.meters, policies=policies.policies())
    fast = evaluate_history(known.readings, table, now_us, utc_offset_s=offset_s)
    slow = slow_history(known.readings, table, zone, now_us)
    return replace(fast, episodes=in_order(Episodes.concatenate([fast.episodes, slow])))


def _registry(path: Path, today: date) -> dict[str, Meter]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as lines:
            registry = read_registry(lines, today)
    except OSError as error:
        msg = f"cannot read {path}: {error.strerror or type(error).__name__}"
        raise _CheckFailedError(msg) from error
    except UnicodeDecodeError as error:
        msg = f"{path} is not UTF-8 at byte {error.start}; save it as UTF-8"
        raise _CheckFailedError(msg) from error
    _list([f"{path}: {error}" for error in registry.errors])
    if registry.errors:
        msg = f"{path} has {len(registry.errors)} wrong value(s); correct them and try again"
        raise _CheckFailedError(msg)
    return {meter.meter_id: meter for meter in registry.meters}


def _known(source: FileReadings, registry: dict[str, Meter], path: Path) -> _Known:
    """Keep what the registry knows: its meters, and their readings."""
    _list([f"{path}: {refused}" for refused in source.refused])
    position = {meter_id: at for at, meter_id in enumerate(registry)}
    new_key = np.array([position.get(meter_id, -1) for meter_id in source.meter_ids] or [-1], dtype=np.int32)
    counts = np.bincount(source.readings.meter_key, minlength=len(source.meter_ids)).tolist()
    strangers = {
        meter_id: count
        for meter_id, count in zip(source.meter_ids, counts, strict=True)
        if meter_id not in position
    }
    _list(
        [
            f"meter {meter_id} is not in the registry: {n} reading(s) left out"
            for meter_id, n in strangers.items()
        ]
    )
    if len(source.meter_ids) == len(strangers):
        msg = f"{path} holds no usable reading of a registered meter; check the registry and the map"
        raise _CheckFailedError(msg)
    key = new_key[source.readings.meter_key]
    batch = source.readings.take(key >= 0)
    batch = replace(batch, meter_key=key[key >= 0]).sorted_by_meter_and_time()
    once = batch.without_repeats()
    return _Known(
        once,
        list(registry.values()),
        list(registry),
        strangers,
        len(batch) - len(once),
    )


def _check_option_tz(tz: str) -> None:
    try:
        check_tz(tz)
    except FileError as error:
        msg = f"--tz: {error}"
        raise _UsageError(msg) from error


def _instant_us(text: str, zone: ZoneInfo) -> int:
    try:
        instant = datetime.fromisoformat(text)
    except ValueError as error:
        msg = f"--now {text!r} is no time; write one like 2026-05-01T08:00:00+08:00"
        raise _UsageError(msg) from error
    instant = instant if instant.tzinfo else instant.replace(tzinfo=zone)
    return to_us(instant)


def _offset_s(known: _Known, now_us: int | None, zone: ZoneInfo) -> int:
    at_us = int(known.readings.device_time_us.max()) if now_us is None else now_us
    offset = to_datetime(at_us).astimezone(zone).utcoffset()
    return 0 if offset is None else int(offset.total_seconds())


def _write(found: list[Finding], out: Path | None) -> None:
    sink: TextIO
    with out.open("w", encoding="utf-8", newline="") if out else nullcontext(sys.stdout) as sink:
        writer = csv.writer(sink, lineterminator="\n")
        writer.writerow(COLUMNS)
        writer.writerows(finding.row() for finding in found)
        sink.flush()


def _write_rollups(known: _Known, policies: PolicyFile, zone: ZoneInfo, path: Path) -> int:
    table = MeterTable.build(known.meters, policies=policies.policies())
    volumes = volumes_of(known.readings, table, known.ids, zone)
    with path.open("w", encoding="utf-8", newline="") as sink:
        return write_volumes(volumes, zone, sink)


def _summarise(source: FileReadings, known: _Known, result: Evaluation, found: list[Finding]) -> None:
    heard = len(np.unique(known.readings.meter_key))
    _say(f"{len(known.readings)} readings of {heard} meter(s) checked, {len(found)} finding(s)")
    if source.refused:
        _say(f"{len({refused.line for refused in source.refused})} row(s) refused")
    if known.repeats:
        _say(f"{known.repeats} row(s) left out that repeat a meter's time and seq")
    if known.strangers:
        left_out = sum(known.strangers.values())
        _say(f"{left_out} reading(s) of {len(known.strangers)} unregistered meter(s) left out")
    meters: dict[str, set[str]] = {}
    for finding in found:
        meters.setdefault(finding.check, set()).add(finding.meter_id)
    counts = Counter(finding.check for finding in found)
    for code in (*result.flags, *sorted(set(counts) - set(result.flags))):
        if counts[code]:
            _say(f"  {code:<26} {counts[code]:>6} finding(s) at {len(meters[code])} meter(s)")


def _list(lines: list[str]) -> None:
    for line in lines[:_MOST_LINES]:
        _say(line)
    if len(lines) > _MOST_LINES:
        _say(f"... and {len(lines) - _MOST_LINES} more like these")


def _fail(sentence: str, code: int) -> int:
    _say(f"meterwarden check: {sentence}")
    return code


def _say(sentence: str) -> None:
    sys.stderr.write(sentence + "\n")
