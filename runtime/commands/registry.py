"""`meterwarden registry import`: meters from a CSV into the database."""

from __future__ import annotations

import time
from pathlib import Path

import typer

from fleet.registry import RegistryFile, read_registry
from fleet.times import latest_day
from runtime.exceptions import RuntimeFailure
from runtime.parts import open_database
from runtime.settings import Settings
from storage.registry import upsert_meters


def run_registry_import(settings: Settings, path: Path, *, partial: bool) -> None:
    """Import a registry; with any bad row nothing is imported, unless `partial`.

    Raises RuntimeFailure after every bad row was reported.
    """
    found = load_registry(path)
    if found.errors and not partial:
        count = len(found.errors)
        msg = f"{count} errors in {path.name}, nothing was imported (--partial imports the good rows)"
        raise RuntimeFailure(msg)
    with open_database(settings) as database, database.transaction() as transaction:
        written = upsert_meters(transaction, found.meters)
    typer.echo(f"imported {written} meters, left out {len({error.line for error in found.errors})} lines")


def load_registry(path: Path) -> RegistryFile:
    """Read a registry's CSV and report every bad value on standard error."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as lines:
            found = read_registry(lines, latest_day(time.time_ns() // 1000))
    except (OSError, UnicodeDecodeError) as error:
        msg = f"{path}: {error}"
        raise RuntimeFailure(msg) from error
    for wrong in found.errors:
        typer.echo(f"{path.name}: {wrong}", err=True)
    return found
