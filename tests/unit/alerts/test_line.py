"""The line to the database: orders are kept, and the first failure is the one that is told."""

from __future__ import annotations

import threading

import pytest

from alerts.line import Line


class BrokenError(Exception):
    """What the database says."""


def _break(why: str) -> None:
    raise BrokenError(why)


def test_what_is_given_later_is_asked_later() -> None:
    asked: list[int] = []
    with Line().orders() as orders:
        for number in range(5):
            orders.later(asked.append, number)
        assert orders.now(lambda: len(asked)) == 5
    assert asked == [0, 1, 2, 3, 4]


def test_who_gave_an_order_goes_on_meanwhile() -> None:
    going = threading.Event()
    with Line().orders() as orders:
        answer = orders.later(going.wait, 20)
        assert not answer.done()
        going.set()
        assert answer.result() is True


def test_after_a_failure_nothing_is_asked_and_everything_says_why() -> None:
    asked: list[str] = []

    def ask() -> None:
        with Line().orders() as orders:
            orders.later(_break, "first")
            later = orders.later(asked.append, "later")
            with pytest.raises(BrokenError, match="first"):
                later.result()
            orders.later(_break, "second")

    with pytest.raises(BrokenError, match="first"):
        ask()
    assert asked == []


def test_a_failure_that_nobody_waited_for_is_told_at_the_end() -> None:
    with pytest.raises(BrokenError, match="alone"), Line().orders() as orders:
        orders.later(_break, "alone")


def test_when_the_block_raises_what_waits_is_not_asked_and_what_runs_has_ended() -> None:
    asked: list[str] = []
    started, going = threading.Event(), threading.Event()

    def first() -> None:
        started.set()
        going.wait(20)
        asked.append("first")

    def fail() -> None:
        with Line().orders() as orders:
            orders.later(first)
            orders.later(asked.append, "second")
            assert started.wait(20)
            threading.Timer(0.05, going.set).start()
            _break("the engine")

    with pytest.raises(BrokenError, match="the engine"):
        fail()
    assert asked == ["first"]


def test_a_line_serves_one_transaction_after_the_other() -> None:
    line = Line()
    with pytest.raises(BrokenError), line.orders() as orders:
        orders.now(_break, "once")
    with line.orders() as orders:
        assert orders.now(lambda: 7) == 7
