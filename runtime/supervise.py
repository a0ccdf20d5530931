"""Child processes that start together, are started again when they die, and leave together."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import structlog

from runtime.exceptions import RuntimeFailure

_log = structlog.get_logger(__name__)

_PR_SET_PDEATHSIG = 1
_STOP_TIMEOUT_S = 15.0
_MOST_RESTARTS = 5

# Loaded before any fork: nothing may be imported in the child between fork and exec.
_LIBC = ctypes.CDLL(None) if sys.platform == "linux" else None


@dataclass(slots=True)
class Child:
    """One supervised process."""

    name: str
    arguments: Sequence[str]
    process: subprocess.Popen[bytes]
    restarts: int = 0


@dataclass(slots=True)
class Supervisor:
    """Starts `meterwarden` commands as children and keeps them alive until stopped."""

    environment: Mapping[str, str]
    log_directory: Path
    children: dict[str, Child] = field(default_factory=dict)

    def start(self, name: str, arguments: Sequence[str]) -> Child:
        """Start `meterwarden ARGUMENTS`; what it says goes to `<name>.log`."""
        child = Child(name, arguments, self._spawn(name, arguments))
        self.children[name] = child
        return child

    def revive(self) -> None:
        """Start again what died; who left in good order stays away.

        Raises RuntimeFailure for one that dies again and again.
        """
        for child in self.children.values():
            code = child.process.poll()
            if code in (None, 0):
                continue
            if child.restarts >= _MOST_RESTARTS:
                msg = f"{child.name} died {child.restarts} times, see {self._log_path(child.name)}"
                raise RuntimeFailure(msg)
            _log.warning("process died, starting it again", process=child.name, code=code)
            child.restarts += 1
            child.process = self._spawn(child.name, child.arguments)

    def stop(self, name: str) -> int:
        """Ask one child to leave, and see that it does; gives its exit code."""
        child = self.children.pop(name)
        child.process.terminate()
        try:
            return child.process.wait(_STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            _log.warning("process does not leave, killing it", process=name)
            child.process.kill()
            return child.process.wait()

    def stop_all(self) -> None:
        """Let every child leave, the last started first."""
        for name in reversed(list(self.children)):
            self.stop(name)

    def _spawn(self, name: str, arguments: Sequence[str]) -> subprocess.Popen[bytes]:
        with self._log_path(name).open("ab") as log:
            return subprocess.Popen(
                [sys.executable, "-m", "runtime.cli", *arguments],
                env={**os.environ, **self.environment},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                # Ctrl-C reaches the whole terminal group; the children wait for our word instead.
                start_new_session=True,
                preexec_fn=_die_with_parent,  # noqa: PLW1509 (one system call, nothing else)
            )

    def _log_path(self, name: str) -> Path:
        return self.log_directory / f"{name}.log"


def _die_with_parent() -> None:
    """Have the kernel end the child when the supervisor is killed without a chance to say so."""
    if _LIBC is not None:
        _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


def wait_until(check: Callable[[], bool], timeout_s: float, what: str) -> None:
    """Wait until `check()` is true. Raises RuntimeFailure when it takes too long."""
    deadline = time.monotonic() + timeout_s
    while not check():
        if time.monotonic() > deadline:
            msg = f"{what} did not happen within {timeout_s:g} s"
            raise RuntimeFailure(msg)
        time.sleep(0.1)
