"""Leaving the broker ends, whatever paho's thread does."""

from __future__ import annotations

import threading

import pytest

from ingest import paho_leave


class Hanging:
    """A client whose thread does not end before it is told to."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.may_end = threading.Event()

    def disconnect(self) -> None:
        self.asked.append("disconnect")

    def loop_stop(self) -> None:
        self.asked.append("loop_stop")
        self.may_end.wait(30)


def test_a_thread_that_hangs_is_not_waited_for_without_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(paho_leave, "_LEAVE_S", 0.1)
    client = Hanging()
    paho_leave.leave(client)  # type: ignore[arg-type]
    assert client.asked == ["disconnect", "loop_stop"]
    client.may_end.set()
