"""States of the checks as they are stored: only what differs from a meter of which nothing was heard; pure.

Most of a state is empty: no meter has every sensor, and few have more than two or three conditions
at a time. A stored state is a bit map, one bit for each word of eight bytes, and those words that
differ from the empty state's, each as the exclusive or of both. That is about a quarter of it.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from analytics.state import STATE_DTYPE, STATE_LAYOUT, initial_state

#: To be raised when states are packed in another way.
_PACKING = 1
#: Names the packing and what is packed; a stored state of another layout is worthless.
STORED_LAYOUT = zlib.crc32(repr((_PACKING, STATE_LAYOUT)).encode()) & 0x7FFF_FFFF

_WORD_BYTES = 8
_WORDS = -(-STATE_DTYPE.itemsize // _WORD_BYTES)
_MAP_BYTES = -(-_WORDS // 8)

#: Positions of states that are equally long once packed, and these as rows of that many bytes.
Group = tuple[NDArray[np.intp], NDArray[np.uint8]]


def pack(state: NDArray[np.void]) -> Iterator[Group]:
    """Pack states of shape (n,), `STATE_DTYPE`; each is in one group."""
    words = _words(state)
    words ^= _EMPTY
    differ = words != 0
    counts = np.count_nonzero(differ, axis=1)
    for count in np.unique(counts):
        rows = np.flatnonzero(counts == count)
        mine = slice(None) if len(rows) == len(state) else rows
        packed = np.empty((len(rows), _MAP_BYTES + count * _WORD_BYTES), dtype=np.uint8)
        packed[:, :_MAP_BYTES] = np.packbits(differ[mine], axis=1, bitorder="little")
        packed[:, _MAP_BYTES:] = words[mine][differ[mine]].view(np.uint8).reshape(len(rows), -1)
        yield rows, packed


def unpack(
    packed: NDArray[np.uint8],
    lengths: NDArray[Any],
    places: NDArray[np.intp] | None = None,
    count: int | None = None,
) -> tuple[NDArray[np.void], NDArray[np.bool_]]:
    """Unpack states that stand one behind the other; gives them, and which could be read.

    Parameters
    ----------
    packed
        All bytes of all states.
    lengths
        Shape (n,): how many bytes each has.
    places, count
        Where each goes among so many; a place where none goes holds the empty state, and was not read.

    """
    lengths = lengths.astype(np.intp)
    starts = np.cumsum(lengths) - lengths
    words = np.zeros((len(lengths) if count is None else count, _WORDS), dtype=np.int64)
    read = np.zeros(len(words), dtype=np.bool_)
    for length in np.unique(lengths):
        rows = np.flatnonzero(lengths == length)
        full, rest = divmod(int(length) - _MAP_BYTES, _WORD_BYTES)
        if rest == 0 and full >= 0:
            to = rows if places is None else places[rows]
            read[to] = _unpack_group(_at(packed, starts[rows], int(length)), full, to, words)
    words ^= _EMPTY
    return words.view(np.uint8)[:, : STATE_DTYPE.itemsize].view(STATE_DTYPE)[:, 0], read


def _unpack_group(
    packed: NDArray[np.uint8], count: int, rows: NDArray[np.intp], words: NDArray[np.int64]
) -> NDArray[np.bool_]:
    differ = np.unpackbits(packed[:, :_MAP_BYTES], axis=1, count=_WORDS, bitorder="little").view(np.bool_)
    sound: NDArray[np.bool_] = np.count_nonzero(differ, axis=1) == count
    if not sound.all():
        rows, packed, differ = rows[sound], packed[sound], differ[sound]
    row, word = np.nonzero(differ)
    words[rows[row], word] = np.ascontiguousarray(packed[:, _MAP_BYTES:]).view(np.int64).ravel()
    return sound


def _at(data: NDArray[np.uint8], starts: NDArray[np.intp], length: int) -> NDArray[np.uint8]:
    """Take pieces of one length out of a run of bytes."""
    every = np.ndarray((len(data) - length + 1,), np.dtype(f"V{length}"), data, strides=(1,))
    return every[starts].view(np.uint8).reshape(len(starts), length)


def _words(state: NDArray[np.void]) -> NDArray[np.int64]:
    """Copy states as rows of words."""
    bytes_ = np.ascontiguousarray(state).view(np.uint8).reshape(len(state), STATE_DTYPE.itemsize)
    words = np.zeros((len(state), _WORDS * _WORD_BYTES), dtype=np.uint8)
    words[:, : STATE_DTYPE.itemsize] = bytes_
    return words.view(np.int64)


_EMPTY = _words(initial_state(1))[0]
