"""How ingest ends: in order where it is told to, and without being in a successor's way where it fails."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Sequence

import pytest

from ingest.confirming import Outgoing
from ingest.delivery import Delivery
from ingest.exceptions import IdentityLostError
from ingest.service import IngestOptions, IngestService
from ingest.session import MqttSession
from storage.database import Database
from tests.integration.ingest.fakes import NOW_US, Clock, SessionLog
from tests.integration.ingest.running import Publisher, count, ingesting, reading, until

LONG_S = 30.0


class OneMessage(SessionLog):
    """A session that brings one message, then waits for an event; notes in which order things happen."""

    def __init__(self, database: Database, until_event: threading.Event) -> None:
        super().__init__(database)
        self.events: list[str] = []
        self.ended = threading.Event()
        self._until = until_event
        payload = json.dumps({"ts": NOW_US // 1000, "seq": 1, "boot": 1, "flow": 1.0}).encode()
        self._waiting = [Delivery(1, NOW_US, [b"gas/v1/north/M1/telemetry"], [payload], [1])]

    def take(self, most: int, _timeout_s: float) -> list[Delivery]:
        if not self._waiting:
            assert self._until.wait(LONG_S)
        taken, self._waiting = self._waiting[:most], []
        return taken

    def acknowledge(self, deliveries: Sequence[Delivery]) -> int:
        self.events.append("acknowledged")
        return super().acknowledge(deliveries)

    def publish(self, messages: Sequence[Outgoing]) -> None:
        self.events += ["confirmed" for topic, _ in messages if topic.endswith(b"/confirm")]

    def stop(self) -> None:
        if not self.ended.is_set():
            self.events.append("stopped")
        self.ended.set()


def _service(
    database: Database,
    session: SessionLog,
    failpoint: Callable[[str], None],
    is_ours: Callable[[], bool] = lambda: True,
) -> IngestService:
    return IngestService(
        database,
        session,  # type: ignore[arg-type]
        IngestOptions(),
        is_ours=is_ours,
        clock_us=Clock(),
        failpoint=failpoint,
    )


def test_a_process_that_lost_its_name_leaves_the_broker_before_it_waits_for_the_database(
    registered: Database,
) -> None:
    hanging = threading.Event()
    session = OneMessage(registered, hanging)

    def hang(step: str) -> None:
        if step == "copied":
            hanging.set()
            assert session.ended.wait(LONG_S)

    service = _service(registered, session, hang, is_ours=lambda: not hanging.is_set())
    with pytest.raises(IdentityLostError):
        service.run(threading.Event())
    assert session.events[0] == "stopped"
    # A thread that hangs for longer than it is waited for finds, whenever it wakes, that it is to give up.
    assert service._halt.is_set()


def test_a_failure_beside_the_loop_ends_the_session_too(registered: Database) -> None:
    stop = threading.Event()
    session = OneMessage(registered, stop)

    def fail(step: str) -> None:
        if step == "committed":
            stop.set()
            raise LookupError(step)

    with pytest.raises(LookupError, match="committed"):
        _service(registered, session, fail).run(stop)
    assert session.events == ["stopped"]


def test_an_orderly_end_settles_what_is_in_hand_then_confirms_and_only_then_stops(
    registered: Database,
) -> None:
    stop = threading.Event()
    session = OneMessage(registered, stop)

    def end(step: str) -> None:
        if step == "copied":
            stop.set()

    _service(registered, session, end).run(stop)
    assert session.events == ["acknowledged", "confirmed", "stopped"]


def test_a_successor_is_not_thrown_out_by_a_process_that_hangs_on_the_database(
    registered: Database, broker: tuple[str, int]
) -> None:
    url, version = broker
    hanging, released = threading.Event(), threading.Event()
    session = MqttSession(url, "ingest-test", v5=version == 5)

    def hang(step: str) -> None:
        if step == "copied":
            hanging.set()
            assert released.wait(LONG_S)

    options = IngestOptions(identity="ingest-test")
    first = IngestService(registered, session, options, is_ours=lambda: not hanging.is_set(), failpoint=hang)

    def run() -> None:
        with pytest.raises(IdentityLostError):
            first.run(threading.Event())

    thread = threading.Thread(target=run)
    thread.start()
    until(lambda: session.connected)
    publisher = Publisher(url, version)
    publisher.publish(reading(1))
    # Still hanging, and gone from the broker all the same.
    until(lambda: hanging.is_set() and not session.connected, LONG_S / 2)
    with ingesting(registered, url, version) as second:
        released.set()
        until(lambda: second.figures["messages"] > 0)
        thread.join(LONG_S)
        assert (session.epoch, second._session.epoch) == (1, 1)
    assert count(registered, "reading") == 1
    publisher.close()
