"""Packed states: what comes back is what went in, and what cannot be read is said to be so."""

from __future__ import annotations

import numpy as np
import pytest

from alerts.packed import pack, unpack
from analytics.state import STATE_DTYPE, initial_state


def _joined(state: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Packed states one behind the other, in their order, and how long each is."""
    packed = {row: bytes_ for rows, group in pack(state) for row, bytes_ in zip(rows, group, strict=True)}
    lengths = np.array([len(packed[row]) for row in range(len(state))])
    return np.concatenate([packed[row] for row in range(len(state))]), lengths


def test_an_empty_state_is_a_map_of_nothing() -> None:
    [(rows, packed)] = pack(initial_state(3))
    assert rows.tolist() == [0, 1, 2]
    words = -(-STATE_DTYPE.itemsize // 8)
    assert packed.shape == (3, -(-words // 8))
    assert not packed.any()


def test_only_what_differs_is_kept() -> None:
    state = initial_state(2)
    state["last_time_us"][1] = 1_700_000_000_000_000
    packed, lengths = _joined(state)
    # A value of eight bytes touches one word, or two where it lies across a border.
    assert lengths[1] - lengths[0] in (8, 16)
    found, read = unpack(packed, lengths)
    assert read.all()
    assert found.tobytes() == state.tobytes()


@pytest.mark.parametrize("share", [0.0, 0.02, 0.5, 1.0])
def test_any_bytes_come_back(share: float) -> None:
    chance = np.random.default_rng(7)
    state = initial_state(50)
    raw = state.view(np.uint8).reshape(50, -1)
    changed = chance.random(raw.shape) < share
    raw[changed] = chance.integers(0, 256, int(changed.sum()), dtype=np.uint8)
    found, read = unpack(*_joined(state))
    assert read.all()
    assert found.tobytes() == state.tobytes()


def test_what_is_cut_off_cannot_be_read_and_harms_no_neighbour() -> None:
    state = initial_state(3)
    state["last_time_us"] = [1, 2, 3]
    packed, lengths = _joined(state)
    end = int(lengths[0] + lengths[1])
    cut, lengths = np.delete(packed, slice(end - 8, end)), lengths - [0, 8, 0]
    found, read = unpack(cut, lengths)
    assert read.tolist() == [True, False, True]
    assert found[[0, 2]].tobytes() == state[[0, 2]].tobytes()
    assert found[1].tobytes() == initial_state(1).tobytes()


def test_nothing_is_nothing() -> None:
    assert list(pack(initial_state(0))) == []
    found, read = unpack(np.empty(0, np.uint8), np.empty(0, np.int64))
    assert (len(found), len(read)) == (0, 0)
