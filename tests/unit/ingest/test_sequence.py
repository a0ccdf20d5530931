"""Sequence numbers: what may be confirmed, and where the holes are."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from ingest.sequence import Progress, Runs, advance, advance_all


def test_readings_in_order_move_the_mark() -> None:
    assert advance(Progress(), [1, 2, 3]) == Progress(3)


def test_a_hole_holds_the_mark_until_it_is_filled() -> None:
    holed = advance(Progress(), [1, 2, 5])
    assert (holed.committed_through, holed.gaps) == (2, ((3, 4),))
    assert advance(holed, [4]).gaps == ((3, 3),)
    assert advance(holed, [4, 3]).committed_through == 5


def test_what_came_before_the_first_contact_is_a_hole() -> None:
    assert advance(Progress(), [4]).committed_through == 0


def test_a_meter_may_begin_with_zero() -> None:
    assert advance(Progress(), [0, 1]) == Progress(1)


def test_a_redelivery_changes_nothing() -> None:
    assert advance(Progress(9), [3, 9]) == Progress(9)


@given(st.lists(st.sets(st.integers(1, 40), max_size=10), max_size=8))
def test_the_mark_and_the_holes_say_exactly_what_was_not_seen(batches: list[set[int]]) -> None:
    progress, seen = Progress(), set()
    for batch in batches:
        progress = advance(progress, batch)
        seen |= batch
    missing = {seq for first, last in progress.gaps for seq in range(first, last + 1)}
    assert missing == set(range(1, max(seen, default=0) + 1)) - seen
    assert set(range(1, progress.committed_through + 1)) <= seen


def test_every_other_number_and_then_the_rest_are_accounted_for_by_the_hundred_thousand() -> None:
    many = 100_000
    evens = advance(Progress(), range(2, many + 1, 2))
    assert evens == Progress(many, tuple((odd, odd) for odd in range(1, many, 2)))
    # Every second of the holes is filled, so that half of them have to be carried over.
    halved = advance(evens, range(1, many, 4))
    assert halved == Progress(many, tuple((odd, odd) for odd in range(3, many, 4)))
    assert advance(halved, range(3, many, 4)) == Progress(many)


@given(st.lists(st.tuples(st.integers(1, 4), st.integers(1, 9)), max_size=6), st.sets(st.integers(0, 90)))
def test_wide_holes_are_filled_like_sets_of_numbers(steps: list[tuple[int, int]], seqs: set[int]) -> None:
    gaps, end = [], 0
    for apart, length in steps:
        gaps.append((end + apart + 1, end + apart + length))
        end += apart + length
    after = advance(Progress(end + 1, tuple(gaps)), seqs)
    missing = {seq for first, last in gaps for seq in range(first, last + 1)}
    new = set(range(end + 2, max(seqs, default=0) + 1))
    left = [seq for first, last in after.gaps for seq in range(first, last + 1)]
    assert left == sorted((missing | new) - seqs)
    # No hole touches the next: what is left of one is never cut further than it must be.
    assert all(one[1] + 1 < other[0] for one, other in zip(after.gaps, after.gaps[1:], strict=False))


def _account(batches: list[list[tuple[int, int, int]]]) -> dict[tuple[int, int], Progress]:
    """Keep account of (meter, boot, seq) as ingest does: many boots at a time, as columns."""
    account: dict[tuple[int, int], Progress] = {}
    for batch in batches:
        runs = Runs.of(*np.array(batch, dtype=np.int64).reshape(-1, 3).T)
        boots = list(zip(runs.meter_key.tolist(), runs.boot.tolist(), strict=True))
        highest = np.array([account.get(boot, Progress()).highest for boot in boots], dtype=np.int64)
        gaps = {boot: account[boot].gaps for boot in boots if boot in account and account[boot].gaps}
        after = advance_all(runs, highest, gaps)
        for at, boot in enumerate(boots):
            known = after.gaps[at][1] if at in after.gaps else ()
            account[boot] = Progress(int(after.highest[at]), known)
            assert account[boot].committed_through == after.through[at]
    return account


def test_columns_of_boots_by_hand() -> None:
    runs = Runs.of(np.array([2, 1, 1, 2, 1]), np.array([7, 3, 3, 7, 4]), np.array([5, 2, 1, 8, 1]))
    assert list(zip(runs.meter_key, runs.boot, runs.first, runs.last, runs.is_unbroken, strict=True)) == [
        (1, 3, 1, 2, True),
        (1, 4, 1, 1, True),
        (2, 7, 5, 8, False),
    ]
    after = advance_all(runs, np.array([0, 1, 4]), {})
    # In line; known before; in line with a hole.
    assert after.highest.tolist() == [2, 1, 8]
    assert after.through.tolist() == [2, 1, 5]
    assert after.gaps == {2: ((), ((6, 7),))}


def test_no_numbers_are_no_runs() -> None:
    assert len(Runs.of(*np.empty((3, 0), dtype=np.int64))) == 0


_NUMBERED = st.tuples(st.integers(1, 3), st.integers(0, 2), st.integers(0, 12))


@given(st.lists(st.lists(_NUMBERED, max_size=25), max_size=6))
def test_many_boots_at_once_are_the_same_as_one_after_the_other(
    batches: list[list[tuple[int, int, int]]],
) -> None:
    expected: dict[tuple[int, int], Progress] = {}
    for batch in batches:
        for boot in {(meter, boot) for meter, boot, _ in batch}:
            seqs = [seq for meter, number, seq in batch if (meter, number) == boot]
            expected[boot] = advance(expected.get(boot, Progress()), seqs)
    assert _account(batches) == expected
