"""`meterwarden engine`: run the checks on what arrives, and turn findings into alarms and tasks."""

from __future__ import annotations

from datetime import UTC, datetime

from alerts.engine import Engine
from alerts.loop import Loop
from runtime.commands.ingest import wait_for_database
from runtime.parts import open_database, stop_on_signals
from runtime.settings import Settings


def run_engine(settings: Settings) -> None:
    """Work until a signal comes."""
    stop = stop_on_signals()
    with open_database(settings) as database:
        wait_for_database(database, stop)
        Loop(Engine(database), database).run(stop, lambda: datetime.now(UTC))
