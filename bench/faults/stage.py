"""All parts of the system under fire, and what a fault may do to them."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from bench.faults.check import Window
from bench.faults.content import Reading
from bench.faults.control import Control, Failpoint
from bench.faults.disk import Disk
from bench.faults.keeper import Keeper
from bench.faults.ledger import Ledger
from bench.faults.load import Load
from bench.faults.mosquitto import Mosquitto
from bench.faults.names import IDENTITY
from bench.faults.oracle import AwayError, Oracle
from bench.faults.proxy import Proxy
from bench.faults.server import Server
from bench.faults.tap import Tap
from bench.faults.watch import Answers, Witness

_LOOK_S = 0.02
#: A step that ingest comes to with every message is reached within this time, even after a restart.
_STEP_S = 20.0


class PromiseBrokenError(Exception):
    """A fault did not go as it promises; the message says what did not happen."""


@dataclass(slots=True, kw_only=True)
class Stage:
    """The parts; each fault gets them whole and may leave them broken."""

    broker: Mosquitto
    broker_disk: Disk
    #: None where the server belongs to somebody else.
    server: Server | None
    server_disk: Disk
    ingest: Keeper
    #: Makes a further ingest process, which differs from the first in some settings.
    another_ingest: Callable[..., Keeper]
    control: Control
    oracle: Oracle
    witness: Witness
    answers: Answers
    to_broker: Proxy
    to_database: Proxy
    ledger: Ledger
    seed: int
    load: Load = field(init=False)
    #: Times in which the broker itself lost what it had acknowledged.
    windows: list[Window] = field(default_factory=list)

    def own_server(self) -> Server:
        """Give the server, for faults that are left out where it is not ours."""
        if self.server is None:
            msg = "this fault needs a server of its own"
            raise PromiseBrokenError(msg)
        return self.server

    def hold(self, failpoint: Failpoint) -> None:
        """Arm a failpoint and wait until ingest stands there; messages have to be on their way."""
        self.control.arm(failpoint)
        self.until(lambda: self.control.was_hit, _STEP_S, f"that ingest comes to {failpoint.step!r}")

    def next_hold(self, failpoint: Failpoint) -> None:
        """Arm a failpoint while ingest stands at another one, let it go on, and wait for it there."""
        self.control.arm(failpoint)
        self.control.release()
        self.until(lambda: self.control.was_hit, _STEP_S, f"that ingest comes to {failpoint.step!r}")

    def expect(self, is_so: bool, what: str) -> None:  # noqa: FBT001 (it is the sentence's verb)
        """Raise PromiseBrokenError unless it is so."""
        if not is_so:
            raise PromiseBrokenError(what)

    def until(self, is_so: Callable[[], bool], timeout_s: float, what: str) -> None:
        """Look every 20 ms. Raises PromiseBrokenError where it never is so."""
        deadline = time.monotonic() + timeout_s
        while not is_so():
            if time.monotonic() > deadline:
                msg = f"{what}: not within {timeout_s:g} s"
                raise PromiseBrokenError(msg)
            time.sleep(_LOOK_S)

    def pause(self, seconds: float) -> None:
        """Let time pass under load."""
        time.sleep(seconds)

    @contextmanager
    def broker_may_lose(self) -> Iterator[None]:
        """Excuse what the broker acknowledged to forgetful meters in this fault before the block ends."""
        try:
            yield
        finally:
            if not self.broker.runs:
                # Its last words are still on their way to the meters.
                self.until(lambda: not self.load.forgetful.connected, _STEP_S, "meters miss the broker")
            self.windows.append(Window(self.load.began_s, time.time()))

    @contextmanager
    def lock(self, table: str) -> Iterator[None]:
        """Keep everybody from writing a table inside the block; reading stays free."""
        with self.oracle.another() as cursor:
            cursor.execute(f"LOCK TABLE {table} IN EXCLUSIVE MODE")
            yield

    def connection(self) -> Tap:
        """Give the newest connection of ingest. Raises PromiseBrokenError where there never was one."""
        self.until(lambda: bool(self.witness.connections(IDENTITY)), _STEP_S, "a connection of ingest")
        return self.witness.connections(IDENTITY)[-1]

    def connections(self) -> int:
        """Count the connections of ingest so far."""
        return len(self.witness.connections(IDENTITY))

    def subscribed(self, client_id: str) -> bool:
        """Tell whether a client is connected and subscribed."""
        taps = self.witness.connections(client_id)
        return bool(taps) and taps[-1].subscribed and not taps[-1].over

    def forget_sessions(self, client_ids: Iterable[str]) -> None:
        """Have the broker forget clients, so that it keeps nothing for them."""
        for client_id in client_ids:
            self.broker.forget(client_id)

    def is_stored(self, readings: list[Reading]) -> bool:
        """Tell whether readings are committed; False where the database cannot be asked."""
        try:
            return self.oracle.has(readings)
        except AwayError:
            return False

    def heal(self) -> None:
        """Mend everything, whatever was broken."""
        self.control.heal()
        self.ingest.thaw()
        self.answers.lose_next_commit = False
        self.broker_disk.free()
        self.server_disk.free()
        if self.server is not None:
            self.server.start_if_down()
        for proxy in (self.to_broker, self.to_database):
            proxy.heal()
        self.broker.start()
        self.ingest.start()
