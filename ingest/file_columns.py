"""Columns of a file, as text or typed, into the house's units; every bad value is told by row.

Each parser gives the values of all rows and what is wrong: a mask, and one sentence that says
what would have been right.
"""

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
from fleet.wire import LARGEST_NUMBER, STATUS_CODES, VALVES, is_id, status_bits

Array = NDArray[Any]

_NUMBER = r"^[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]{1,3})?$"
_COUNTER = r"^[0-9]{1,18}$"
_TIME = (
    r"^(?P<year>[0-9]{4})[-/](?P<month>[0-9]{1,2})[-/](?P<day>[0-9]{1,2})"
    r"(?:[ T]+(?P<hour>[0-9]{1,2}):(?P<minute>[0-9]{1,2})"
    r"(?::(?P<second>[0-9]{1,2})(?:\.(?P<fraction>[0-9]{1,9}))?)?)?"
    r" ?(?P<offset>Z|[+-][0-9]{2}:?[0-9]{2})?$"
)
#: How exports write "nothing", besides an empty field.
_NOTHING = ("NULL", "null", "\\N")
_EARLIEST_US = int(datetime(1980, 1, 1, tzinfo=UTC).timestamp()) * 1_000_000
_LATEST_US = int(datetime(2200, 1, 1, tzinfo=UTC).timestamp()) * 1_000_000
_US_PER_S = 1_000_000
_NO_TIME = np.int64(np.iinfo(np.int64).min)
#: Floats below count one by one.
_EXACT = 2.0**53
#: Offsets are looked up once per this much local time; all changes of clocks keep to it.
_OFFSET_STEP_US = 900 * _US_PER_S


@dataclass(frozen=True, slots=True, eq=False)
class Parsed:
    """A column of n rows: values, and which of them are wrong and why."""

    values: Array
    wrong: NDArray[np.bool_]
    reason: str = ""


def text_of(column: Any) -> Any:
    """Give a column as trimmed text, null where it says nothing."""
    if pa.types.is_list(column.type) or pa.types.is_large_list(column.type):
        column = pc.binary_join(column.cast(pa.list_(pa.string())), " ")
    text = pc.utf8_trim_whitespace(column.cast(pa.string()))
    nothing = pc.is_in(text, value_set=pa.array(["", *_NOTHING]))
    return pc.if_else(nothing, None, text)


def numbers(column: Any) -> Parsed:
    """Read numbers as float64, NaN where not reported; infinite and absurdly large ones are wrong."""
    wrong = np.zeros(len(column), dtype=np.bool_)
    if _is_text(column):
        column, wrong = _matching(text_of(column), _NUMBER)
    elif not (pa.types.is_floating(column.type) or pa.types.is_integer(column.type)):
        column = column.cast(pa.string()).cast(pa.float64())
    values = _plain(column.cast(pa.float64()), np.nan)
    absurd = np.abs(values) > LARGEST_NUMBER
    values[absurd] = np.nan
    return Parsed(values, wrong | absurd, f"is not a finite number of at most {LARGEST_NUMBER:g}")


def counters(column: Any) -> Parsed:
    """Read whole numbers from 0 on as int64, ABSENT where not reported."""
    text, wrong = _matching(text_of(_whole(column)), _COUNTER)
    return Parsed(_plain(text.cast(pa.int64()), ABSENT), wrong, "is not a whole number from 0 on")


def valves(column: Any) -> Parsed:
    """Read valve states as positions in `wire.VALVES`, ABSENT where not reported."""
    return _by_word(column, lambda word: VALVES.index(word) if word in VALVES else None, ", ".join(VALVES))


#: Words for a status in which nothing is the matter.
_NO_STATUS = frozenset({"none", "ok", "[]", "0"})


def statuses(column: Any) -> Parsed:
    """Read lists of status codes, separated by blanks, commas, semicolons or bars, as bits.

    An empty list is written as one of `_NO_STATUS`, for an empty cell is not reported.
    """

    def bits(words: str) -> int:
        for separator in ",;|":
            words = words.replace(separator, " ")
        return status_bits([word for word in words.split() if word not in _NO_STATUS])

    return _by_word(column, bits, ", ".join(STATUS_CODES))


def identifiers(column: Any, *, required: bool) -> tuple[Parsed, list[str]]:
    """Read ids as positions in the list of distinct ones, ABSENT where missing."""
    encoded = pc.dictionary_encode(text_of(column))
    encoded = encoded.combine_chunks() if isinstance(encoded, pa.ChunkedArray) else encoded
    names = encoded.dictionary.to_pylist()
    at = _plain(encoded.indices.cast(pa.int64()), ABSENT)
    bad = np.array([not is_id(name) for name in names] + [required])
    reason = "is not 1 to 64 letters, digits, '_' or '-'; a constant of the map can stand in for it"
    return Parsed(at, bad[at], reason), names


def times_us(column: Any, zone: ZoneInfo) -> Parsed:
    """Read times as microseconds since 1970 UTC.

    Integers are milliseconds; text is RFC 3339, or the same with blanks and slashes, one or two
    digits, without seconds, or a date alone. Without an offset it is local time in `zone`; an
    hour that the clocks repeat is taken the first time.
    """
    if pa.types.is_timestamp(column.type):
        values = _plain(column.cast(pa.timestamp("us", column.type.tz)).cast(pa.int64()), _NO_TIME)
        values = values if column.type.tz else _from_local(values, zone)
    elif _is_text(column):
        values = _text_times(text_of(column), zone)
    else:
        values = _milliseconds(_whole(column).cast(pa.string()))
    wrong = (values < _EARLIEST_US) | (values >= _LATEST_US)
    values[wrong] = ABSENT
    return Parsed(values, wrong, "is no time from 1980 to 2200 (integers are milliseconds since 1970)")


def _text_times(text: Any, zone: ZoneInfo) -> NDArray[np.int64]:
    values = _milliseconds(text)
    parts = pc.struct_field
    found = pc.extract_regex(text, _TIME)
    found = found.combine_chunks() if isinstance(found, pa.ChunkedArray) else found
    piece = {name: parts(found, name) for name in ("year", "month", "day", "hour", "minute", "second")}
    year, month, day, hour, minute, second = (_digits(column) for column in piece.values())
    fraction = _digits(pc.utf8_slice_codeunits(pc.utf8_rpad(parts(found, "fraction"), 6, "0"), 0, 6))
    start = (np.where(year > 0, year, 1970) - 1970) * 12 + np.clip(month, 1, 12) - 1
    days = start.astype("datetime64[M]").astype("datetime64[D]") + (day - 1)
    # The 31st of a short month would lie in the next one.
    real = (days.astype("datetime64[M]").astype(np.int64) == start) & (year > 0)
    for value, low, high in ((month, 1, 12), (hour, 0, 23), (minute, 0, 59), (second, 0, 60)):
        real &= (value >= low) & (value <= high)
    clock_s = (hour * 60 + minute) * 60 + second
    local_us = (days.astype(np.int64) * 86_400 + clock_s) * _US_PER_S + fraction
    offset_us, has_offset = _offsets_us(parts(found, "offset"))
    naive = real & ~has_offset
    values[real & has_offset] = (local_us - offset_us)[real & has_offset]
    values[naive] = _from_local(local_us[naive], zone)
    return values


def _milliseconds(text: Any) -> NDArray[np.int64]:
    digits = pc.match_substring_regex(text, r"^[0-9]{9,15}$")
    values = _plain(pc.if_else(digits, text, None).cast(pa.int64()), _NO_TIME)
    return np.where(values == _NO_TIME, values, values * 1000)


def _offsets_us(column: Any) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Read offsets like +08:00 or Z; tell also where there is one."""
    encoded = pc.dictionary_encode(column)
    at = _plain(encoded.indices.cast(pa.int64()), ABSENT)
    words = [*encoded.dictionary.to_pylist(), ""]
    seconds = np.array([_offset_s(word) for word in words], dtype=np.int64)
    return seconds[at] * _US_PER_S, np.array([bool(word) for word in words])[at]


def _offset_s(word: str | None) -> int:
    if not word or word == "Z":
        return 0
    digits = word[1:].replace(":", "")
    return (int(digits[:2]) * 3600 + int(digits[2:]) * 60) * (-1 if word[0] == "-" else 1)


def _from_local(local_us: NDArray[np.int64], zone: ZoneInfo) -> NDArray[np.int64]:
    """Turn local times into UTC; what is no time stays what it is."""
    known = (local_us > _EARLIEST_US) & (local_us < _LATEST_US)
    out = local_us.copy()
    steps, at = np.unique(local_us[known] // _OFFSET_STEP_US, return_inverse=True)
    epoch = datetime(1970, 1, 1, tzinfo=zone)
    offsets = [(epoch + timedelta(microseconds=int(step) * _OFFSET_STEP_US)).utcoffset() for step in steps]
    seconds = np.array([0 if o is None else o.total_seconds() for o in offsets], dtype=np.int64)
    out[known] -= seconds[at] * _US_PER_S
    return out


def _is_text(column: Any) -> bool:
    kind = column.type
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_dictionary(kind))


def _whole(column: Any) -> Any:
    """Give floats (a column of whole numbers with gaps) as text, whole ones without a fraction."""
    if not pa.types.is_floating(column.type):
        return column
    column = column.cast(pa.float64())
    whole = pc.and_(pc.equal(column, pc.floor(column)), pc.less(pc.abs(column), _EXACT))
    digits = pc.if_else(whole, column, None).cast(pa.int64()).cast(pa.string())
    other = pc.if_else(pc.is_nan(column), None, column).cast(pa.string())
    return pc.coalesce(digits, other)


def _matching(text: Any, pattern: str) -> tuple[Any, NDArray[np.bool_]]:
    """Keep text that matches; mark other text as wrong."""
    good = pc.match_substring_regex(text, pattern)
    wrong = _plain(pc.fill_null(pc.invert(good), fill_value=False), fill=False)
    return pc.if_else(good, text, None), wrong


def _by_word(column: Any, read: Any, choices: str) -> Parsed:
    encoded = pc.dictionary_encode(text_of(column))
    encoded = encoded.combine_chunks() if isinstance(encoded, pa.ChunkedArray) else encoded
    read_words = [read(word) for word in encoded.dictionary.to_pylist()]
    at = _plain(encoded.indices.cast(pa.int64()), ABSENT)
    values = np.array([ABSENT if v is None else v for v in read_words] + [ABSENT], dtype=np.int64)
    bad = np.array([v is None for v in read_words] + [False])
    return Parsed(values[at], bad[at], f"is none of {choices}")


def _digits(column: Any) -> NDArray[np.int64]:
    """Read digits; 0 where there are none."""
    return _plain(pc.if_else(pc.equal(column, ""), None, column).cast(pa.int64()), 0)


def _plain(column: Any, fill: Any) -> Array:
    """Give a column as a fresh NumPy array, with a value for null."""
    array = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    return np.array(pc.fill_null(array, fill).to_numpy(zero_copy_only=False))
