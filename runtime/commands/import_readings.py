"""`meterwarden import`: a file of readings, of any size, into the database."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import typer

from ingest.bulk_import import FileImport, ImportSource
from ingest.file_piece import RefusedValue
from ingest.filemap import FileError, check_tz, load_map
from ingest.import_progress import ImportProgress
from runtime.exceptions import RuntimeFailure, WrongUsage
from runtime.import_display import Display, display
from runtime.import_refusals import refusal_file
from runtime.parts import open_database, stop_on_signals
from runtime.settings import Settings
from storage.database import Database
from storage.exceptions import StorageError

#: More refused values than this are counted, not printed.
_MOST_LINES = 20


def run_import(
    settings: Settings, path: Path, file_map: Path | None, tz: str | None, refusals: Path | None
) -> None:
    """Import to the end of the file, or until a signal comes.

    Raises RuntimeFailure, also where it was stopped; the next run goes on after the last chunk.
    """
    _check_options(path, tz, refusals)
    stop = stop_on_signals()
    try:
        source = ImportSource(path=path, file_map=load_map(file_map) if file_map else None, tz=tz)
        with open_database(settings) as database, display() as shown:
            done = _import(database, source, refusals, shown, stop)
    except FileError as error:
        raise RuntimeFailure(str(error)) from error
    typer.echo(summary(path.name, done))


def summary(name: str, done: ImportProgress) -> str:
    """Say what became of a file's rows."""
    outcome = f"{done.inserted} stored" if done.inserted else "nothing new"
    conflicts = f"{done.conflicts} known with other content, " if done.conflicts else ""
    known = f"{done.duplicates} known before, {conflicts}"
    return f"{name}: {done.rows} rows, {outcome}, {known}{done.refused} refused"


def _check_options(path: Path, tz: str | None, refusals: Path | None) -> None:
    if refusals is not None and refusals.exists() and refusals.samefile(path):
        msg = "--refusals names the very file that is imported"
        raise WrongUsage(msg)
    try:
        if tz is not None:
            check_tz(tz)
    except FileError as error:
        msg = f"--tz: {error}"
        raise WrongUsage(msg) from error


def _import(
    database: Database, source: ImportSource, refusals: Path | None, shown: Display, stop: threading.Event
) -> ImportProgress:
    name = source.path.name

    def recognising(share: float) -> None:
        if stop.is_set():
            msg = f"stopped before a row was read; run the same command again to import {name}"
            raise RuntimeFailure(msg)
        shown.show(f"{name}: recognising", share)

    identity = source.identify(recognising)
    work = FileImport(database, source, identity, clock=partial(datetime.now, UTC))
    begun = work.progress.through_line
    if begun:
        shown.say(f"{name}: going on after line {begun}")
    with refusal_file(refusals, begun) as write:
        tell = _Telling(name, shown, write)
        try:
            for share in work.chunks(tell):
                shown.show(f"{name}: importing", share)
                if stop.is_set():
                    msg = f"stopped; {_how_to_go_on(name, work.progress.through_line)}"
                    raise RuntimeFailure(msg)
        except StorageError as error:
            msg = f"{error}; {_how_to_go_on(name, work.progress.through_line)}"
            raise RuntimeFailure(msg) from error
    return work.progress


def _how_to_go_on(name: str, through_line: int) -> str:
    return f"{name} is committed through line {through_line}, run the same command again to go on"


class _Telling:
    """Prints the first refused values, and writes all of them where asked to."""

    def __init__(self, name: str, shown: Display, write: Callable[[Sequence[RefusedValue]], None]) -> None:
        self._name = name
        self._shown = shown
        self._write = write
        self._left = _MOST_LINES
        self._said_more = False

    def __call__(self, refused: Sequence[RefusedValue]) -> None:
        """Tell what is refused of one chunk."""
        self._write(refused)
        first = refused[: self._left]
        self._left -= len(first)
        for wrong in first:
            self._shown.say(f"{self._name}: {wrong}")
        if len(refused) > len(first) and not self._said_more:
            self._said_more = True
            self._shown.say(f"{self._name}: more like these are counted (--refusals FILE.csv lists all)")
