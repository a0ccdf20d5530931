"""A fresh Mosquitto that drops nothing, keeps nothing on disk, and says who connected when."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from socket import create_connection

from bench.ingest.exceptions import BenchError
from bench.ingest.process import Watched, watched
from runtime.embedded_broker import free_port

_START_S = 10.0
_CONNECT_S = 60.0
_LOOK_S = 0.02
_CONFIG = """
listener {port} 127.0.0.1
allow_anonymous true
max_inflight_messages 0
max_queued_messages 0
persistence false
log_dest stderr
log_type error
log_type warning
log_type notice
connection_messages true
"""


class Broker:
    """A running Mosquitto on a port of 127.0.0.1."""

    def __init__(self, port: int, process: Watched) -> None:
        self.port = port
        self._process = process

    @property
    def url(self) -> str:
        """URL as Meterwarden takes it."""
        return f"mqtt://127.0.0.1:{self.port}"

    def connected_at(self, client_id: str, child: Watched, *, after: float) -> float:
        """Give the moment at which a child was first accepted since `after`; seconds of `time.monotonic`.

        Raises BenchError where it does not connect; a child that ended meanwhile may have.
        """
        deadline = time.monotonic() + _CONNECT_S
        while (at := self._process.seen(f" as {client_id} (", after)) is None:
            if time.monotonic() > deadline:
                child.fail(f"did not connect within {_CONNECT_S:.0f} s")
            child.check_no_failure()
            time.sleep(_LOOK_S)
        return at


@contextmanager
def fresh_broker(directory: Path) -> Iterator[Broker]:
    """Run a broker of its own inside the block. Raises BenchError where Mosquitto is missing."""
    binary = find_program("mosquitto", "mosquitto")
    port = free_port()
    config = directory / f"mosquitto-{port}.conf"
    user = "user root\n" if os.geteuid() == 0 else ""
    config.write_text(_CONFIG.format(port=port) + user, encoding="utf-8")
    with watched([binary, "-c", str(config)], cwd=directory) as process:
        _wait_for(port, process)
        yield Broker(port, process)


def find_program(name: str, package: str) -> str:
    """Find a program of Debian's. Raises BenchError that names the package where it is missing."""
    found = shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    if found is None:
        msg = f"{name} is missing: apt-get install {package}"
        raise BenchError(msg)
    return found


def _wait_for(port: int, process: Watched) -> None:
    deadline = time.monotonic() + _START_S
    while time.monotonic() < deadline:
        process.check_alive()
        with suppress(OSError), create_connection(("127.0.0.1", port), timeout=_START_S):
            return
        time.sleep(_LOOK_S)
    process.fail(f"does not listen on port {port}")
