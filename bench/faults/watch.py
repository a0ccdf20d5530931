"""Every acknowledgement of ingest is held until the database says that what it is about is committed."""

from __future__ import annotations

import threading
from collections.abc import Sequence

from bench.faults.mqtt_stream import Published
from bench.faults.oracle import AwayError, Oracle
from bench.faults.proxy import CutError
from bench.faults.tap import Acknowledged, Tap

_COMMITTED = b"COMMIT\0"


class Witness:
    """Collects, over all connections of ingest, what was acknowledged too early."""

    def __init__(self, oracle: Oracle) -> None:
        self._oracle = oracle
        self._lock = threading.Lock()
        self._later: list[Published] = []
        self._early: list[str] = []
        self._connections: list[Tap] = []

    def connection(self) -> WatchedConnection:
        """Watch one more connection."""
        tap = Tap()
        self._connections.append(tap)
        return WatchedConnection(self, tap)

    def connections(self, client_id: str) -> list[Tap]:
        """List the connections of one client so far, the newest last."""
        return [tap for tap in self._connections if tap.client_id == client_id]

    def note(self, acknowledged: Sequence[Acknowledged]) -> None:
        """Look up what is acknowledged; where the database cannot be asked, remember it for later."""
        strange = [str(item.packet_id) for item in acknowledged if item.message is None]
        messages = [item.message for item in acknowledged if item.message is not None]
        try:
            early = [messages[at] for at in self._oracle.not_kept(messages)] if messages else []
        except AwayError:
            early = []
            with self._lock:
                self._later += messages
        with self._lock:
            self._early += [f"packet id {packet_id}, which nobody delivered" for packet_id in strange]
            self._early += [_named(message) for message in early]

    def take_early(self) -> list[str]:
        """Give what was acknowledged before it was committed, since this was asked last.

        Raises AwayError where something could not be looked up, and still cannot.
        """
        with self._lock:
            later, early = self._later, self._early
            found = [_named(later[at]) for at in self._oracle.not_kept(later)] if later else []
            self._later, self._early = [], []
            return early + found


class WatchedConnection:
    """What the proxy shows of one connection between ingest and the broker."""

    def __init__(self, witness: Witness, tap: Tap) -> None:
        self._witness, self._tap = witness, tap

    def from_client(self, data: bytes) -> None:
        """Hold an acknowledgement for as long as the database takes to answer."""
        acknowledged = self._tap.from_client(data)
        if acknowledged:
            self._witness.note(acknowledged)

    def from_server(self, data: bytes) -> None:
        """Remember what is delivered."""
        self._tap.from_server(data)

    def ended(self) -> None:
        """Remember that it is over."""
        self._tap.over = True


class Answers:
    """Watches the way to the database; can make an answer to COMMIT get lost."""

    def __init__(self) -> None:
        #: Reset the connection on which the next commit is answered.
        self.lose_next_commit = False
        self.lost = 0

    def from_client(self, _data: bytes) -> None:
        """Let it pass."""

    def from_server(self, data: bytes) -> None:
        """Cut where a commit has just been done."""
        if self.lose_next_commit and _COMMITTED in data:
            self.lose_next_commit = False
            self.lost += 1
            raise CutError

    def ended(self) -> None:
        """Let it end."""


def _named(message: Published) -> str:
    return f"{message.topic.decode('utf-8', 'replace')} {message.payload[:120]!r}"
