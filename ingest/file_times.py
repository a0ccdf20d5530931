"""Times of a file: with an offset, in milliseconds, or as the clocks of some place showed them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from fleet.readings import ABSENT
from ingest.file_columns import digits, is_text, plain, text_of, whole_numbers

_TIME = (
    r"^(?P<year>[0-9]{4})[-/](?P<month>[0-9]{1,2})[-/](?P<day>[0-9]{1,2})"
    r"(?:[ T]+(?P<hour>[0-9]{1,2}):(?P<minute>[0-9]{1,2})"
    r"(?::(?P<second>[0-9]{1,2})(?:\.(?P<fraction>[0-9]{1,9}))?)?)?"
    r" ?(?P<offset>Z|[+-][0-9]{2}:?[0-9]{2})?$"
)
_EARLIEST_US = int(datetime(1980, 1, 1, tzinfo=UTC).timestamp()) * 1_000_000
_LATEST_US = int(datetime(2200, 1, 1, tzinfo=UTC).timestamp()) * 1_000_000
_US_PER_S = 1_000_000
_NO_TIME = np.int64(np.iinfo(np.int64).min)
#: Offsets are looked up once per this much local time; all changes of clocks keep to it.
_OFFSET_STEP_US = 900 * _US_PER_S

Times = NDArray[np.int64]
Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class Clocked:
    """Times of n rows as a file has them, microseconds since 1970; what is no time is far outside."""

    #: In UTC, but where `naive` says so as a clock showed it.
    values: Times
    naive: Mask


@dataclass(frozen=True, slots=True, eq=False)
class Instants:
    """Instants of n rows."""

    #: Microseconds since 1970 UTC, ABSENT where there is none.
    values: Times
    #: Where nothing is, or no time from 1980 to 2200.
    wrong: Mask
    #: Local times that never were, because the clocks were put forward across them.
    skipped: Mask
    #: Local times that were twice, because the clocks were put back.
    repeated: Mask


def read_times(column: Any) -> Clocked:
    """Read times of a column.

    Integers are milliseconds; text is RFC 3339, or the same with blanks and slashes, one or two
    digits, without seconds, or a date alone. What has no offset is local time.
    """
    if pa.types.is_timestamp(column.type):
        values = plain(column.cast(pa.timestamp("us", column.type.tz)).cast(pa.int64()), _NO_TIME)
        return Clocked(values, np.full(len(values), column.type.tz is None))
    if is_text(column):
        return _text_times(text_of(column))
    values = _milliseconds(whole_numbers(column).cast(pa.string()))
    return Clocked(values, np.zeros(len(values), dtype=np.bool_))


def instants(times: Clocked, zone: ZoneInfo, second: Mask | None = None) -> Instants:
    """Turn times into instants; local ones are those of `zone`.

    An hour that the clocks show twice is taken the first time, or the second where `second` says
    so; one that they skip has no instant.
    """
    values = times.values.copy()
    local = times.naive & (values > _EARLIEST_US) & (values < _LATEST_US)
    before, after = (np.zeros(len(values), dtype=np.int64) for _ in range(2))
    before[local], after[local] = _offsets_of(values[local], zone)
    values -= before if second is None else np.where(second, after, before)
    skipped, repeated = before < after, before > after
    wrong = ~skipped & ((values < _EARLIEST_US) | (values >= _LATEST_US))
    values[wrong | skipped] = ABSENT
    return Instants(values, wrong, skipped, repeated)


def _offsets_of(local_us: Times, zone: ZoneInfo) -> tuple[Times, Times]:
    """Find the offsets that hold before and after the change of clocks that is nearest, both in microseconds.

    They are the same but where the clocks skip or repeat a time.
    """
    steps, at = np.unique(local_us // _OFFSET_STEP_US, return_inverse=True)
    epoch = datetime(1970, 1, 1, tzinfo=zone)
    shown = [epoch + timedelta(microseconds=int(step) * _OFFSET_STEP_US) for step in steps]
    offsets = [[_seconds(when.replace(fold=fold)) for when in shown] for fold in (0, 1)]
    before, after = np.array(offsets, dtype=np.int64).reshape(2, len(steps)) * _US_PER_S
    return before[at], after[at]


def _seconds(when: datetime) -> float:
    offset = when.utcoffset()
    return 0.0 if offset is None else offset.total_seconds()


def _text_times(text: Any) -> Clocked:
    values = _milliseconds(text)
    parts = pc.struct_field
    found = pc.extract_regex(text, _TIME)
    found = found.combine_chunks() if isinstance(found, pa.ChunkedArray) else found
    piece = {name: parts(found, name) for name in ("year", "month", "day", "hour", "minute", "second")}
    year, month, day, hour, minute, second = (digits(column) for column in piece.values())
    fraction = digits(pc.utf8_slice_codeunits(pc.utf8_rpad(parts(found, "fraction"), 6, "0"), 0, 6))
    start = (np.where(year > 0, year, 1970) - 1970) * 12 + np.clip(month, 1, 12) - 1
    days = start.astype("datetime64[M]").astype("datetime64[D]") + (day - 1)
    # The 31st of a short month would lie in the next one.
    real = (days.astype("datetime64[M]").astype(np.int64) == start) & (year > 0)
    for value, low, high in ((month, 1, 12), (hour, 0, 23), (minute, 0, 59), (second, 0, 60)):
        real &= (value >= low) & (value <= high)
    clock_s = (hour * 60 + minute) * 60 + second
    local_us = (days.astype(np.int64) * 86_400 + clock_s) * _US_PER_S + fraction
    offset_us, has_offset = _offsets_us(parts(found, "offset"))
    values[real] = (local_us - offset_us)[real]
    return Clocked(values, real & ~has_offset)


def _milliseconds(text: Any) -> Times:
    whole = pc.match_substring_regex(text, r"^[0-9]{9,15}$")
    values = plain(pc.if_else(whole, text, None).cast(pa.int64()), _NO_TIME)
    return np.where(values == _NO_TIME, values, values * 1000)


def _offsets_us(column: Any) -> tuple[Times, Mask]:
    """Read offsets like +08:00 or Z; tell also where there is one."""
    encoded = pc.dictionary_encode(column)
    at = plain(encoded.indices.cast(pa.int64()), ABSENT)
    words = [*encoded.dictionary.to_pylist(), ""]
    seconds = np.array([_offset_s(word) for word in words], dtype=np.int64)
    return seconds[at] * _US_PER_S, np.array([bool(word) for word in words])[at]


def _offset_s(word: str | None) -> int:
    if not word or word == "Z":
        return 0
    number = word[1:].replace(":", "")
    return (int(number[:2]) * 3600 + int(number[2:]) * 60) * (-1 if word[0] == "-" else 1)
