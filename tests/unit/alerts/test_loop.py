"""What the engine's loop does when the database says no; a visible engine stands in for the real one."""

from __future__ import annotations

import threading
from datetime import UTC, datetime

import pytest

from alerts.exceptions import StaleDecisionError
from alerts.loop import Loop
from storage.database import Database
from storage.exceptions import DatabaseUnavailableError, SerializationError, UniqueViolationError

NOW = datetime(2026, 11, 20, tzinfo=UTC)


class RefusedEngine:
    """Fails with each of the given errors in turn, and then asks to stop."""

    def __init__(self, *errors: Exception) -> None:
        self.errors = list(errors)
        self.stop = threading.Event()
        self.runs = 0

    def run_once(self, _now):
        self.runs += 1
        error = self.errors.pop(0)
        if not self.errors:
            self.stop.set()
        raise error


@pytest.mark.parametrize(
    "error",
    [SerializationError("met"), UniqueViolationError("met", "alarm_one_open"), StaleDecisionError("met")],
)
def test_meeting_another_writer_is_counted_and_tried_again(error):
    engine = RefusedEngine(error, error)
    loop = Loop(engine, Database("postgresql://never-asked"))
    loop.run(engine.stop, lambda: NOW)
    assert (engine.runs, loop.figures.conflicts, loop.figures.cycles) == (2, 2, 0)


def test_a_database_that_is_away_is_tried_again_and_said(caplog):
    engine = RefusedEngine(DatabaseUnavailableError("gone"), DatabaseUnavailableError("gone"))
    Loop(engine, Database("postgresql://never-asked")).run(engine.stop, lambda: NOW)
    assert engine.runs == 2
    assert [record.message for record in caplog.records] == [
        "the database cannot be reached or does not take it; trying again in 0.5 s",
        "the database cannot be reached or does not take it; trying again in 1.0 s",
    ]


def test_an_error_that_no_repetition_heals_ends_the_loop():
    engine = RefusedEngine(ZeroDivisionError(), ZeroDivisionError())
    with pytest.raises(ZeroDivisionError):
        Loop(engine, Database("postgresql://never-asked")).run(engine.stop, lambda: NOW)
    assert engine.runs == 1
