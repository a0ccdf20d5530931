"""`meterwarden migrate`: bring the database to the newest version."""

from __future__ import annotations

import typer

from runtime.parts import open_database
from runtime.settings import Settings
from storage.migrate import migrate


def run_migrate(settings: Settings) -> None:
    """Apply what is missing, once."""
    with open_database(settings) as database:
        applied = migrate(database)
    typer.echo(f"applied {', '.join(applied)}" if applied else "the database is up to date")
