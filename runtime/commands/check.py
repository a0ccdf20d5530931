"""`meterwarden check`: every check on a file of readings, with no database and no broker."""

from __future__ import annotations

import csv
import sys
import time
from collections import Counter
from contextlib import nullcontext
from dataclasses import replace
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
from fleet.policy_file import PolicyFile
from fleet.times import DEFAULT_ZONE, latest_day, to_datetime
from fleet.wire import CLOCK_AHEAD_US
from ingest.filemap import FileError, check_tz
from ingest.files import FileReadings, load_map, read_readings
from runtime.check_inputs import (
    KnownReadings,
    UsageError,
    check_option_tz,
    check_outputs,
    instant_us,
    known_readings,
    registry_of,
)
from runtime.exceptions import RuntimeFailure
from runtime.findings import COLUMNS, Finding, findings_of
from runtime.policy_check import PolicyOptions, PolicyRefusedError, read_options
from runtime.rollups import volumes_of, write_volumes
from runtime.said import say, say_some

_DONE, _FAILED, _WRONG_USAGE = 0, 1, 2


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
        options = options or PolicyOptions()
        check_outputs(
            (out, rollups, options.compare), (readings, meters, file_map, options.policy, options.before)
        )
        policies = read_options(options)
        if tz is not None:
            check_option_tz(tz)
        mapping = load_map(file_map) if file_map else None
        zone = check_tz(tz or (mapping.tz if mapping else DEFAULT_ZONE))
        now_us = None if now is None else instant_us(now, zone)
    except PolicyRefusedError as error:
        say_some(error.errors)
        return _fail(str(error), _WRONG_USAGE)
    except UsageError as error:
        return _fail(str(error), _WRONG_USAGE)
    except FileError as error:
        return _fail(str(error), _FAILED)
    try:
        present_us = max(time.time_ns() // 1000, now_us or 0)
        registry = registry_of(meters, latest_day(present_us))
        source = read_readings(readings, mapping, tz, latest_us=present_us + CLOCK_AHEAD_US)
        known = known_readings(source, registry, readings)
        offset_s = _offset_s(known, now_us, zone)
        say_some(policies.strangers(registry.values()))
        result = _judge(known, policies.after, zone, now_us, offset_s)
        found = findings_of(result.episodes, known.ids)
        periods = _write_rollups(known, policies.after, zone, rollups) if rollups else None
        _write(found, out)
        _summarise(source, known, result, found)
        if periods is not None:
            say(f"{periods} volume(s) of hours, days and months written to {rollups}")
        if policies.compared:
            before = _judge(known, policies.before, zone, now_us, offset_s)
            for line in policies.tell(compare(before.episodes, result.episodes), known.ids):
                say(line)
    except (RuntimeFailure, FileError) as error:
        return _fail(str(error), _FAILED)
    except OSError as error:
        where = error.filename or out or "standard output"
        return _fail(f"cannot write {where}: {error.strerror or error}", _FAILED)
    return _DONE


def _judge(
    known: KnownReadings, policies: PolicyFile, zone: ZoneInfo, now_us: int | None, offset_s: int
) -> Evaluation:
    table = MeterTable.build(known.meters, policies=policies.policies(), zones=zone.key)
    fast = evaluate_history(known.readings, table, now_us, utc_offset_s=offset_s)
    slow = slow_history(known.readings, table, zone, now_us)
    return replace(fast, episodes=in_order(Episodes.concatenate([fast.episodes, slow])))


def _offset_s(known: KnownReadings, now_us: int | None, zone: ZoneInfo) -> int:
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


def _write_rollups(known: KnownReadings, policies: PolicyFile, zone: ZoneInfo, path: Path) -> int:
    table = MeterTable.build(known.meters, policies=policies.policies(), zones=zone.key)
    volumes = volumes_of(known.readings, table, known.ids, zone)
    with path.open("w", encoding="utf-8", newline="") as sink:
        return write_volumes(volumes, zone, sink)


def _summarise(source: FileReadings, known: KnownReadings, result: Evaluation, found: list[Finding]) -> None:
    heard = len(np.unique(known.readings.meter_key))
    say(f"{len(known.readings)} readings of {heard} meter(s) checked, {len(found)} finding(s)")
    if source.refused:
        say(f"{len({refused.line for refused in source.refused})} row(s) refused")
    if known.repeats:
        say(f"{known.repeats} row(s) left out that repeat a meter's time and seq")
    if known.strangers:
        left_out = sum(known.strangers.values())
        say(f"{left_out} reading(s) of {len(known.strangers)} unregistered meter(s) left out")
    meters: dict[str, set[str]] = {}
    for finding in found:
        meters.setdefault(finding.check, set()).add(finding.meter_id)
    counts = Counter(finding.check for finding in found)
    for code in (*result.flags, *sorted(set(counts) - set(result.flags))):
        if counts[code]:
            say(f"  {code:<26} {counts[code]:>6} finding(s) at {len(meters[code])} meter(s)")


def _fail(sentence: str, code: int) -> int:
    say(f"meterwarden check: {sentence}")
    return code
