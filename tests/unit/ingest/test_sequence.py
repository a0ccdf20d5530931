"""Sequence numbers: what may be confirmed, and where the holes are."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from ingest.sequence import Progress, advance


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
