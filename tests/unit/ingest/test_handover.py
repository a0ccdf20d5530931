"""A thread beside: in order, never more than two at a time, and its failures are not lost."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

from ingest.handover import Handover

LONG_S = 30.0


class Worker:
    """Does what it is given, one by one, each only when it is allowed to."""

    def __init__(self) -> None:
        self.begun: list[int] = []
        self.done: list[int] = []
        self.idle = threading.Event()
        self.may = threading.Semaphore(0)

    def work(self, item: int) -> None:
        self.begun.append(item)
        assert self.may.acquire(timeout=LONG_S)
        self.done.append(item)


def test_things_are_done_in_order_while_the_next_one_waits() -> None:
    worker = Worker()
    with Handover(worker.work, worker.idle.set) as handover:
        for item in (1, 2):
            assert handover.has_room(LONG_S)
            handover.put(item)
        # The first is being done, the second waits: no third one may be brought.
        assert not handover.has_room(0)
        assert (worker.begun, worker.done) == ([1], [])
        worker.may.release(2)
        assert handover.has_room(LONG_S)
        handover.put(3)
        worker.may.release()
        assert handover.has_room(LONG_S)
    assert worker.done == [1, 2, 3]


def test_nothing_to_do_is_told_now_and_then() -> None:
    worker = Worker()
    with Handover(worker.work, worker.idle.set):
        assert worker.idle.wait(LONG_S)


def _fail(_item: int) -> None:
    msg = "it does not work"
    raise LookupError(msg)


def test_what_the_work_raises_is_raised_where_it_was_handed_over() -> None:
    def hand_over() -> None:
        with Handover(_fail, lambda: None) as handover:
            handover.put(1)
            while handover.has_room(LONG_S):
                threading.Event().wait(0.001)

    with pytest.raises(LookupError, match="does not work"):
        hand_over()


def test_a_failure_while_leaving_is_no_silence() -> None:
    worker = Worker()

    def work(item: int) -> None:
        worker.work(item)
        _fail(item)

    def hand_over(release: Callable[[], None]) -> None:
        with Handover(work, lambda: None) as handover:
            handover.put(1)
            assert handover.has_room(LONG_S)
            release()

    with pytest.raises(LookupError):
        hand_over(worker.may.release)


def test_what_waits_when_the_block_ends_is_left_undone() -> None:
    worker = Worker()
    leaving = threading.Timer(0.05, worker.may.release)
    with Handover(worker.work, lambda: None) as handover:
        for item in (1, 2):
            assert handover.has_room(LONG_S)
            handover.put(item)
        leaving.start()
    assert worker.done == [1]
