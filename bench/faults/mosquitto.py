"""Mosquitto with the settings that the README asks for, to be stopped, killed, filled and emptied."""

from __future__ import annotations

import os
import socket
import subprocess
import time
from contextlib import suppress
from pathlib import Path

from bench.ingest.broker import find_program
from bench.ingest.exceptions import BenchError
from bench.ingest.raw_mqtt import packet
from runtime.embedded_broker import free_port

_PATIENCE_S = 15.0
_LOOK_S = 0.02
_CONFIG = """
listener {port} 127.0.0.1
allow_anonymous true
max_inflight_messages 0
max_queued_messages {most_queued}
persistence true
persistence_location {store}/
log_dest file {log}
"""


class Mosquitto:
    """One broker on one port; what it keeps is in `store`."""

    def __init__(self, directory: Path, store: Path) -> None:
        self.port = free_port()
        self.store = store
        self._binary = find_program("mosquitto", "mosquitto")
        self._config, self._log = directory / "mosquitto.conf", directory / "mosquitto.log"
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Where meters connect."""
        return f"mqtt://127.0.0.1:{self.port}"

    @property
    def runs(self) -> bool:
        """Whether the process lives."""
        return self._process is not None and self._process.poll() is None

    def start(self, *, most_queued: int = 0) -> None:
        """Start where it does not run, and wait until it listens; `most_queued` 0 is no limit."""
        if self.runs:
            return
        text = _CONFIG.format(port=self.port, store=self.store, log=self._log, most_queued=most_queued)
        self._config.write_text(text + ("user root\n" if os.geteuid() == 0 else ""), encoding="utf-8")
        self._process = subprocess.Popen([self._binary, "-c", str(self._config)], stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + _PATIENCE_S
        while time.monotonic() < deadline and self.runs:
            with suppress(OSError), socket.create_connection(("127.0.0.1", self.port), timeout=1):
                return
            time.sleep(_LOOK_S)
        msg = f"mosquitto does not listen on port {self.port}, see {self._log}"
        raise BenchError(msg)

    def stop(self) -> None:
        """End it in good order: it writes down what it holds."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait(_PATIENCE_S)

    def kill(self) -> None:
        """End it without a word."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(_PATIENCE_S)

    def forget(self, client_id: str) -> None:
        """End the session of a client that is away, by a clean start under its name."""
        name = client_id.encode()
        hello = b"\0\4MQTT\4\2\0\x3c" + len(name).to_bytes(2, "big") + name
        with socket.create_connection(("127.0.0.1", self.port), timeout=_PATIENCE_S) as connection:
            connection.sendall(packet(0x10, hello))
            connection.recv(4)

    def wipe(self) -> None:
        """Lose all sessions; it must not run."""
        for path in self.store.iterdir():
            path.unlink()
