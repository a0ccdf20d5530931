"""The PostgreSQL server of the harness, or somebody else's that is only used."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from runtime.embedded_database import EmbeddedDatabase
from runtime.exceptions import EmbeddedPartError

_PATIENCE_S = 30.0
_LOOK_S = 0.02


class Server:
    """An embedded server in a directory of its own; it belongs to us, with all its processes."""

    def __init__(self, data: Path) -> None:
        self._data = data
        self._embedded = EmbeddedDatabase(data)

    def start(self) -> str:
        """Start it, or find it running; gives an administrator's URL."""
        # A new object, because the old one still believes in the server that was killed.
        self._embedded = EmbeddedDatabase(self._data)
        return self._embedded.start()

    def stop(self) -> None:
        """Stop it in good order."""
        self._embedded.stop()

    def stop_immediately(self) -> None:
        """Stop as `pg_ctl stop -m immediate` does: nothing is written down, no one is told."""
        self._signal([self._postmaster()], signal.SIGQUIT)

    def kill_everything(self) -> None:
        """SIGKILL for the postmaster and every one of its processes."""
        postmaster = self._postmaster()
        self._signal([postmaster, *_children(postmaster)], signal.SIGKILL)

    def start_if_down(self) -> None:
        """Start it where it does not run, as often as it takes within 30 s."""
        deadline = time.monotonic() + _PATIENCE_S
        while True:
            try:
                self.start()
            except EmbeddedPartError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(_LOOK_S)
            else:
                return

    def _postmaster(self) -> int:
        return int((self._data / "postmaster.pid").read_text("utf-8").partition("\n")[0])

    @staticmethod
    def _signal(pids: Sequence[int], number: int) -> None:
        """Send a signal to processes and wait until they are gone."""
        for pid in pids:
            with suppress(ProcessLookupError):
                os.kill(pid, number)
        deadline = time.monotonic() + _PATIENCE_S
        while any(_lives(pid) for pid in pids) and time.monotonic() < deadline:
            time.sleep(_LOOK_S)


def socket_address(url: str) -> str | tuple[str, int]:
    """Tell where the server of a URL listens: a path, or host and port."""
    parts = urlsplit(url)
    folder = parse_qs(parts.query).get("host")
    if folder:
        return f"{folder[0]}/.s.PGSQL.{parts.port or 5432}"
    return parts.hostname or "127.0.0.1", parts.port or 5432


def _children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text("utf-8").split()]


def _lives(pid: int) -> bool:
    """Tell whether a process is there and more than a line in the table."""
    with suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text("utf-8").rpartition(")")[2].split()[0] != "Z"
    return False
