"""Cycles grow with the backlog, within bounds, and become small again."""

from __future__ import annotations

from alerts.pace import Pace


def test_who_is_behind_takes_twice_as_much_up_to_the_readings_that_one_cycle_may_have() -> None:
    pace = Pace(rows=10, readings=5000)
    taken = []
    for _ in range(4):
        taken.append(pace.rows)
        pace.done(pace.rows, 100 * pace.rows)
    assert taken == [10, 20, 40, 50]
    assert pace.rows == 50


def test_who_has_caught_up_begins_small_again() -> None:
    pace = Pace(rows=10, readings=5000)
    pace.done(10, 100)
    assert pace.rows == 20
    pace.done(19, 190)
    assert pace.rows == 10


def test_rows_with_many_readings_do_not_make_a_cycle_smaller_than_the_least() -> None:
    pace = Pace(rows=10, readings=5000)
    pace.done(10, 96_000)
    assert pace.rows == 10


def test_rows_without_readings_change_nothing() -> None:
    pace = Pace(rows=10, readings=5000)
    pace.done(10, 0)
    assert pace.rows == 10


def test_after_a_failure_a_small_cycle_is_tried() -> None:
    pace = Pace(rows=10, readings=5000)
    pace.done(10, 100)
    pace.failed()
    assert pace.rows == 10
