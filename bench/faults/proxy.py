"""A TCP proxy on which networks fail: delay, throttle, silence, resets; a watcher sees every byte first."""

from __future__ import annotations

import socket
import struct
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Protocol

_CHUNK = 1 << 16
_TURN_S = 0.05
#: Closing with this option sends RST instead of FIN.
_RESET = struct.pack("ii", 1, 0)


class CutError(Exception):
    """A watcher wants the connection to be reset here, before these bytes pass."""


class Watcher(Protocol):
    """Sees what passes before it does; it may hold it, or raise CutError."""

    def from_client(self, data: bytes) -> None:
        """See what the client sends."""

    def from_server(self, data: bytes) -> None:
        """See what the server sends."""

    def ended(self) -> None:
        """See that the connection is over."""


class Proxy:
    """Listens on a port of 127.0.0.1 for as long as the harness lives."""

    def __init__(self, connect: Callable[[], socket.socket], watch: Callable[[], Watcher]) -> None:
        self._connect, self._watch = connect, watch
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.delay_s = 0.0
        self.bytes_per_s: float | None = None
        #: Nothing passes on any connection, old or new.
        self.silent = False
        self._pairs: list[_Pair] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def reset_all(self) -> None:
        """Send RST to both ends of every connection."""
        for pair in self._pairs:
            pair.reset()

    def forget_all(self) -> None:
        """Leave every present connection open and dead; new ones work."""
        for pair in self._pairs:
            pair.dead = True

    def heal(self) -> None:
        """Let everything pass again; connections that were dead are reset at last."""
        self.delay_s, self.bytes_per_s = 0.0, None
        if self.silent:
            self.reset_all()
        self.silent = False
        for pair in self._pairs:
            if pair.dead:
                pair.reset()

    def close(self) -> None:
        """Close everything."""
        self._listener.close()
        self.reset_all()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            with suppress(OSError):
                client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            try:
                server = self._connect()
            except OSError:
                client.close()
                continue
            self._pairs = [pair for pair in self._pairs if not pair.over]
            pair = _Pair(self, client, server, self._watch())
            self._pairs.append(pair)
            pair.start()


class _Pair:
    """One connection and its two directions."""

    def __init__(self, proxy: Proxy, client: socket.socket, server: socket.socket, watcher: Watcher) -> None:
        self._proxy, self._client, self._server = proxy, client, server
        self._watcher = watcher
        self.dead = self.over = False

    def start(self) -> None:
        """Let both directions run."""
        for source, sink, see in (
            (self._client, self._server, self._watcher.from_client),
            (self._server, self._client, self._watcher.from_server),
        ):
            threading.Thread(target=self._pump, args=(source, sink, see), daemon=True).start()

    def reset(self) -> None:
        """End it as a crashed host would."""
        self._end()
        for end in (self._client, self._server):
            with suppress(OSError):
                end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
            self._close(end)

    def _pump(self, source: socket.socket, sink: socket.socket, see: Callable[[bytes], None]) -> None:
        with suppress(OSError):
            while data := source.recv(_CHUNK):
                try:
                    see(data)
                except CutError:
                    self.reset()
                    return
                self._pass_on(data, sink)
        self._end()
        for end in (self._client, self._server):
            self._close(end)

    def _pass_on(self, data: bytes, sink: socket.socket) -> None:
        """Send in such pieces and at such a time as the network has it just now."""
        time.sleep(self._proxy.delay_s)
        rest = memoryview(data)
        while rest and not self.over:
            if self._proxy.silent or self.dead:
                time.sleep(_TURN_S)
                continue
            rate = self._proxy.bytes_per_s
            piece = rest if rate is None else rest[: max(1, int(rate * _TURN_S))]
            sink.sendall(piece)
            rest = rest[len(piece) :]
            if rate is not None:
                time.sleep(_TURN_S)

    def _end(self) -> None:
        self.over = True
        self._watcher.ended()

    @staticmethod
    def _close(end: socket.socket) -> None:
        with suppress(OSError):
            # Wakes the thread that reads from it; closing alone would not.
            end.shutdown(socket.SHUT_RDWR)
        with suppress(OSError):
            end.close()
