"""How far an import is: a bar on a terminal, a line now and then anywhere else."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol, TextIO

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TaskProgressColumn, TextColumn, TimeRemainingColumn

#: Without a terminal there is a line for each twentieth of the work.
_LINES = 20


class Display(Protocol):
    """What an import says while it works."""

    def show(self, doing: str, share: float) -> None:
        """Say how much of a step is done, 0 to 1."""

    def say(self, line: str) -> None:
        """Say something that stays to be read."""


class PlainDisplay:
    """Lines for logs and pipes."""

    def __init__(self, out: TextIO) -> None:
        self._out = out
        self._said: tuple[str, int] = ("", 0)

    def show(self, doing: str, share: float) -> None:
        """Say how much of a step is done, where that is news."""
        now = (doing, int(share * _LINES))
        if now != self._said:
            self._said = now
            self.say(f"{doing}: {share:.0%}")

    def say(self, line: str) -> None:
        """Write a line."""
        self._out.write(line + "\n")
        self._out.flush()


class BarDisplay:
    """A bar for each step, and lines above them."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._bars: dict[str, TaskID] = {}

    def show(self, doing: str, share: float) -> None:
        """Move a step's bar."""
        if doing not in self._bars:
            self._bars[doing] = self._progress.add_task(doing, total=1.0)
        self._progress.update(self._bars[doing], completed=share)

    def say(self, line: str) -> None:
        """Write a line above the bars."""
        self._progress.console.print(line, markup=False, highlight=False, soft_wrap=True)


@contextmanager
def display(out: TextIO | None = None) -> Iterator[Display]:
    """Open the display that suits where it is shown: standard error without `out`."""
    out = out or sys.stderr
    if not out.isatty():
        yield PlainDisplay(out)
        return
    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(file=out)) as progress:
        yield BarDisplay(progress)
