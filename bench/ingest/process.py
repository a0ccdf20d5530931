"""A child process whose lines are stamped as they come, and which ends when the block does."""

from __future__ import annotations

import subprocess
import threading
import time
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, NoReturn

from bench.ingest.exceptions import BenchError

_TAIL_LINES = 20
_STOP_S = 20.0
_LOOK_S = 0.005


class Watched:
    """A running process; times are seconds of `time.monotonic`."""

    def __init__(self, name: str, process: subprocess.Popen[str], said: IO[str]) -> None:
        self._name = name
        self._process = process
        self._said = said
        self._lines: list[tuple[float, str]] = []
        self._tail: deque[str] = deque(maxlen=_TAIL_LINES)
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    @property
    def pid(self) -> int:
        """Number of the process."""
        return self._process.pid

    def seen(self, text: str, after: float = 0.0) -> float | None:
        """Give the moment at which a line with `text` first came since `after`; None where none came."""
        return next((at for at, line in tuple(self._lines) if at >= after and text in line), None)

    def seen_at(self, text: str, timeout_s: float) -> float:
        """Wait for a line with `text` and give its moment. Raises BenchError where none comes."""
        deadline = time.monotonic() + timeout_s
        while True:
            ended = not self._reader.is_alive()
            at = self.seen(text)
            if at is not None:
                return at
            if ended or time.monotonic() > deadline:
                self.fail(f"did not say {text!r} within {timeout_s:.0f} s")
            time.sleep(_LOOK_S)

    def ended_at(self, timeout_s: float) -> float:
        """Wait for the end and give its moment. Raises BenchError where it is late or a failure."""
        try:
            code = self._process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            self.fail(f"did not end within {timeout_s:.0f} s")
        at = time.monotonic()
        if code:
            self.fail(f"ended with code {code}")
        return at

    def check_alive(self) -> None:
        """Raise BenchError where the process has ended."""
        if self._process.poll() is not None:
            self.fail(f"ended with code {self._process.returncode}")

    def check_no_failure(self) -> None:
        """Raise BenchError where the process has ended with another code than 0."""
        if self._process.poll():
            self.fail(f"ended with code {self._process.returncode}")

    def fail(self, what: str) -> NoReturn:
        """Raise BenchError with what the process said last."""
        said = "".join(f"\n    {line}" for line in self._tail)
        msg = f"{self._name} {what}{said}"
        raise BenchError(msg)

    def stop(self) -> None:
        """End the process, with patience and then without."""
        self._process.terminate()
        try:
            self._process.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._reader.join(_STOP_S)

    def _read(self) -> None:
        for line in self._said:
            self._tail.append(line.rstrip())
            self._lines.append((time.monotonic(), line))


@contextmanager
def watched(
    command: Sequence[str], *, cwd: Path, env: Mapping[str, str] | None = None, discard: bool = False
) -> Iterator[Watched]:
    """Run a command inside the block; `discard` throws away its standard output instead of reading it."""
    with subprocess.Popen(
        command,
        cwd=cwd,
        env=env,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL if discard else subprocess.PIPE,
        stderr=subprocess.PIPE if discard else subprocess.STDOUT,
        text=True,
        errors="replace",
    ) as process:
        said = process.stderr if discard else process.stdout
        if said is None:
            msg = "a pipe was asked for and none is there"
            raise BenchError(msg)
        child = Watched(Path(command[0]).name, process, said)
        try:
            yield child
        finally:
            child.stop()
