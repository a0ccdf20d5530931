"""Binary COPY of rows that end in bytes of varying length, in a given order.

`storage.copy_codec` groups rows by null pattern, and all rows of a group have one width. Here the
width is what groups them, and each row goes to its own place: the order is kept.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from storage.copy_codec import HEADER, TRAILER, CopyColumn, encode_rows


def encode_varied(
    columns: Sequence[CopyColumn],
    arrays: Mapping[str, NDArray[Any]],
    name: str,
    groups: Iterable[tuple[NDArray[np.intp], NDArray[np.uint8]]],
) -> bytes:
    """Encode rows of columns without NULL, followed by one bytea column.

    Parameters
    ----------
    columns, arrays
        What comes first: arrays of shape (n,).
    name
        The bytea column.
    groups
        Positions of rows whose bytes have one length, and these bytes, shape (rows, length). Every
        row is in one group.

    """
    parts = [
        (rows, _rows(columns, {key: values[rows] for key, values in arrays.items()}, name, bytes_))
        for rows, bytes_ in groups
    ]
    widths = np.zeros(len(next(iter(arrays.values()))), dtype=np.intp)
    for rows, encoded in parts:
        widths[rows] = encoded.itemsize
    starts = np.cumsum(widths) - widths + len(HEADER)
    out = np.empty(len(HEADER) + int(widths.sum()) + len(TRAILER), dtype=np.uint8)
    out[: len(HEADER)] = np.frombuffer(HEADER, np.uint8)
    out[-len(TRAILER) :] = np.frombuffer(TRAILER, np.uint8)
    for rows, encoded in parts:
        # Every place at which such a row could begin; they overlap, and only some are written.
        places = np.ndarray((len(out) - encoded.itemsize + 1,), encoded.dtype, out, strides=(1,))
        places[starts[rows]] = encoded
    return out.tobytes()


def _rows(
    columns: Sequence[CopyColumn],
    arrays: Mapping[str, NDArray[Any]],
    name: str,
    bytes_: NDArray[np.uint8],
) -> NDArray[np.void]:
    """Encode rows of one width, each as one item."""
    length = bytes_.shape[1]
    layout = (*columns, CopyColumn(name, f"bytea{length}", nullable=False))
    values = np.ascontiguousarray(bytes_).view(f"V{length}").reshape(-1)
    rows = encode_rows(layout, 0, {**arrays, name: values})
    return rows.view(f"V{rows.dtype.itemsize}")
