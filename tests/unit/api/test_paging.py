"""Cursors."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.paging import decode_cursor, encode_cursor, integer, text
from api.problems import ProblemError
from api.readings import parse_time


@given(
    st.integers(-1, 2**63 - 1),
    st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=40),
)
def test_a_cursor_comes_back_as_it_was(number, word):
    assert decode_cursor(encode_cursor([number, word]), integer, text) == [number, word]


@given(st.text(max_size=60))
def test_no_other_text_is_anything_but_a_problem(anything):
    try:
        found = decode_cursor(anything, parse_time, integer)
    except ProblemError as error:
        assert error.status == 422  # noqa: PT017 (either way is right; anything else is not)
    else:
        assert found is not None


@pytest.mark.parametrize(
    "values",
    [[], [1], [1, 2], ["a", 1], [1, None], [1.5, "a"], [True, "a"], [2**63, "a"], [1, "\0"], [1, "\ud800"]],
)
def test_values_of_another_kind_are_a_problem(values):
    with pytest.raises(ProblemError):
        decode_cursor(encode_cursor(values), integer, text)


def test_no_cursor_is_the_start():
    assert decode_cursor(None, integer) is None
