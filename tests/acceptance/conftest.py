"""Real processes for the acceptance tests: started as a person would, killed without mercy."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from storage.database import Database

ROOT = Path(__file__).parents[2]


class Processes:
    """`meterwarden` commands as children of the test."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._running: list[subprocess.Popen[bytes]] = []

    def start(self, *arguments: str, **settings: str) -> subprocess.Popen[bytes]:
        """Start `meterwarden ARGUMENTS` with these METERWARDEN_* settings."""
        environment = {
            name: value for name, value in os.environ.items() if not name.startswith("METERWARDEN_")
        }
        environment |= {f"METERWARDEN_{name.upper()}": value for name, value in settings.items()}
        with (self._directory / f"{arguments[0]}.log").open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "runtime.cli", *arguments],
                cwd=ROOT,
                env=environment,
                stdout=log,
                stderr=log,
            )
        self._running.append(process)
        return process

    def run(self, *arguments: str, **settings: str) -> int:
        """Run a command to its end; gives its exit code."""
        return self.start(*arguments, **settings).wait(120)

    def log(self, name: str) -> str:
        """What the commands of this name have said so far."""
        return (self._directory / f"{name}.log").read_text("utf-8", "replace")

    def write(self, name: str, text: str) -> str:
        """Put a file where the test's other files are; gives its path."""
        path = self._directory / name
        path.write_text(text, encoding="utf-8")
        return str(path)

    def kill(self, process: subprocess.Popen[bytes]) -> None:
        """SIGKILL: no chance to clean up."""
        process.send_signal(signal.SIGKILL)
        process.wait(10)
        self._running.remove(process)

    def stop_all(self) -> list[int]:
        """SIGTERM to all; gives their exit codes."""
        for process in self._running:
            process.terminate()
        codes = [process.wait(20) for process in self._running]
        self._running.clear()
        return codes


@pytest.fixture
def processes(tmp_path: Path) -> Iterator[Processes]:
    """Start and kill `meterwarden` commands; whatever is left is stopped at the end."""
    started = Processes(tmp_path)
    yield started
    started.stop_all()


@pytest.fixture
def until() -> Callable[..., None]:
    """Wait until other processes have done something."""

    def wait(check: Callable[[], bool], timeout_s: float = 30) -> None:
        deadline = time.monotonic() + timeout_s
        while not check():
            assert time.monotonic() < deadline, "it did not happen in time"
            threading.Event().wait(0.05)

    return wait


@pytest.fixture
def count(database: Database) -> Callable[[str], int]:
    """Count the rows of a table or of any `FROM` clause."""

    def rows(source: str) -> int:
        with database.transaction() as transaction:
            row = transaction.row(f"SELECT count(*) AS n FROM {source}")
        assert row is not None
        return int(row["n"])

    return rows
