"""Columns of a file, as text or typed, into the house's units; every bad value is told by row.

Each parser gives the values of all rows and what is wrong: a mask, and one sentence that says
what would have been right.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from fleet.readings import ABSENT
from fleet.wire import LARGEST_NUMBER, STATUS_CODES, VALVES, is_id, status_bits

Array = NDArray[Any]

_NUMBER = r"^[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]{1,3})?$"
_COUNTER = r"^[0-9]{1,18}$"
#: How exports write "nothing", besides an empty field.
_NOTHING = ("NULL", "null", "\\N")
#: Floats below count one by one.
_EXACT = 2.0**53


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
    if is_text(column):
        column, wrong = _matching(text_of(column), _NUMBER)
    elif not (pa.types.is_floating(column.type) or pa.types.is_integer(column.type)):
        column = column.cast(pa.string()).cast(pa.float64())
    values = plain(column.cast(pa.float64()), np.nan)
    absurd = np.abs(values) > LARGEST_NUMBER
    values[absurd] = np.nan
    return Parsed(values, wrong | absurd, f"is not a finite number of at most {LARGEST_NUMBER:g}")


def counters(column: Any) -> Parsed:
    """Read whole numbers from 0 on as int64, ABSENT where not reported."""
    text, wrong = _matching(text_of(whole_numbers(column)), _COUNTER)
    return Parsed(plain(text.cast(pa.int64()), ABSENT), wrong, "is not a whole number from 0 on")


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
    at = plain(encoded.indices.cast(pa.int64()), ABSENT)
    bad = np.array([not is_id(name) for name in names] + [required])
    reason = "is not 1 to 64 letters, digits, '_' or '-'; a constant of the map can stand in for it"
    return Parsed(at, bad[at], reason), names


def is_text(column: Any) -> bool:
    """Tell whether a column is text."""
    kind = column.type
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_dictionary(kind))


def whole_numbers(column: Any) -> Any:
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
    wrong = plain(pc.fill_null(pc.invert(good), fill_value=False), fill=False)
    return pc.if_else(good, text, None), wrong


def _by_word(column: Any, read: Any, choices: str) -> Parsed:
    encoded = pc.dictionary_encode(text_of(column))
    encoded = encoded.combine_chunks() if isinstance(encoded, pa.ChunkedArray) else encoded
    read_words = [read(word) for word in encoded.dictionary.to_pylist()]
    at = plain(encoded.indices.cast(pa.int64()), ABSENT)
    values = np.array([ABSENT if v is None else v for v in read_words] + [ABSENT], dtype=np.int64)
    bad = np.array([v is None for v in read_words] + [False])
    return Parsed(values[at], bad[at], f"is none of {choices}")


def digits(column: Any) -> NDArray[np.int64]:
    """Read digits; 0 where there are none."""
    return plain(pc.if_else(pc.equal(column, ""), None, column).cast(pa.int64()), 0)


def plain(column: Any, fill: Any) -> Array:
    """Give a column as a fresh NumPy array, with a value for null."""
    array = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    return np.array(pc.fill_null(array, fill).to_numpy(zero_copy_only=False))
