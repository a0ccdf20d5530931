"""Whole columns out of the database: a binary COPY of one row, each field one column's values.

`COPY (SELECT string_agg(int4send(a), ''), string_agg(timestamptz_send(b), '') ..)`: each field holds
the values one behind the other, as the binary format has them, so that no row is taken apart.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from storage.copy_codec import ARRAY, HEADER, PG_EPOCH_US, WIRE


def decode_arrays(kinds: Sequence[str], data: bytes) -> list[NDArray[Any]]:
    """Decode one row of a binary COPY; `bytea` gives all bytes of all values, NULL an empty array.

    Raises ValueError where the data is no such row.
    """
    if not data.startswith(HEADER) or data[len(HEADER) : len(HEADER) + 2] != len(kinds).to_bytes(2, "big"):
        msg = f"not a binary COPY of {len(kinds)} columns"
        raise ValueError(msg)
    at, found = len(HEADER) + 2, []
    for kind in kinds:
        length = max(int.from_bytes(data[at : at + 4], "big", signed=True), 0)
        found.append(_values(kind, np.frombuffer(data, np.uint8, length, at + 4)))
        at += 4 + length
    return found


def _values(kind: str, field: NDArray[np.uint8]) -> NDArray[Any]:
    if kind == "bytea":
        return field
    values: NDArray[Any] = field.view(WIRE[kind]).astype(ARRAY[kind])
    return values + PG_EPOCH_US if kind == "timestamptz" else values
