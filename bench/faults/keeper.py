"""Ingest under a supervisor that starts it again whenever it ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from bench.ingest.stage import ROOT_DIRECTORY, environment

_LOOK_S = 0.05
_PATIENCE_S = 20.0


class Keeper:
    """One ingest process at a time, and what became of the earlier ones."""

    def __init__(self, settings: Mapping[str, str], log: Path) -> None:
        self._settings, self._log = dict(settings), log
        self._process: subprocess.Popen[bytes] | None = None
        self._wanted = False
        self._lock = threading.RLock()
        #: Exit codes in their order; negative numbers are signals.
        self.codes: list[int] = []
        #: Highest peak of resident memory so far, MB of 10^6 bytes.
        self.rss_mb = 0.0
        threading.Thread(target=self._watch, daemon=True).start()

    @property
    def pid(self) -> int:
        """Number of the present process; 0 while there is none."""
        return self._process.pid if self._process is not None and self._process.poll() is None else 0

    def start(self) -> None:
        """Start ingest where it does not run, and from now on whenever it ends."""
        with self._lock:
            self._wanted = True
            if not self.pid:
                self._process = self._spawn()

    def kill(self) -> None:
        """SIGKILL; it comes back by itself where it is wanted."""
        self._signal(signal.SIGKILL)
        self._wait()

    def stop(self) -> None:
        """Ask it to leave, and let it stay away."""
        self._wanted = False
        self._signal(signal.SIGTERM)
        self._wait()

    def kill_for_good(self) -> None:
        """SIGKILL, and it stays away."""
        self._wanted = False
        self.kill()

    def freeze(self) -> None:
        """SIGSTOP."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """SIGCONT."""
        self._signal(signal.SIGCONT)

    def said(self) -> str:
        """All that the processes have said so far."""
        return self._log.read_text("utf-8", "replace") if self._log.exists() else ""

    def take_peak_mb(self) -> float:
        """Give the peak of resident memory since it was asked last, MB of 10^6 bytes."""
        self._measure()
        peak, self.rss_mb = self.rss_mb, 0.0
        return peak

    def _signal(self, number: int) -> None:
        with self._lock:
            self._measure()
            if self.pid:
                os.kill(self.pid, number)

    def _wait(self) -> None:
        process = self._process
        if process is None:
            return
        try:
            process.wait(_PATIENCE_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def _watch(self) -> None:
        while True:
            time.sleep(_LOOK_S)
            with self._lock:
                self._measure()
                if self._wanted and not self.pid:
                    if self._process is not None:
                        self.codes.append(self._process.wait())
                    self._process = self._spawn()

    def _measure(self) -> None:
        with suppress(OSError, IndexError):
            text = Path(f"/proc/{self.pid}/status").read_text("utf-8")
            kib = int(text.partition("VmHWM:")[2].split()[0])
            self.rss_mb = max(self.rss_mb, kib * 1024 / 1e6)

    def _spawn(self) -> subprocess.Popen[bytes]:
        with self._log.open("ab") as log:
            return subprocess.Popen(
                [sys.executable, "-m", "bench.faults.ingest_process"],
                cwd=ROOT_DIRECTORY,
                env=environment(**self._settings),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
