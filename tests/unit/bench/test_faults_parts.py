"""What stands between the harness and the parts: the control directory, the proxy, the witness."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from bench.faults.control import Control, Failpoint
from bench.faults.disk import Disk
from bench.faults.mqtt_stream import Published
from bench.faults.oracle import AwayError
from bench.faults.proxy import CutError, Proxy
from bench.faults.tap import Acknowledged
from bench.faults.watch import Answers, Witness
from ingest.service import STEPS

MESSAGE = Published(b"gas/v1/north/F01/telemetry", b'{"ts":1}', 7)


def test_a_failpoint_is_claimed_once_and_by_its_own_step_only(tmp_path: Path) -> None:
    control = Control(tmp_path)
    control.arm(Failpoint("copied", pause_s=2.0, then="kill"))
    assert control.claim("taken") is None
    assert not control.was_hit
    assert control.claim("copied") == Failpoint("copied", 2.0, "kill")
    assert control.was_hit
    assert control.claim("copied") is None


def test_a_release_ends_the_pause_that_lasts_and_not_the_next(tmp_path: Path) -> None:
    control = Control(tmp_path)
    control.release()
    control.arm(Failpoint("copied"))
    assert not control.was_hit
    control.claim("copied")
    assert not control.is_released
    control.release()
    assert control.is_released


def test_healing_takes_everything_back(tmp_path: Path) -> None:
    control = Control(tmp_path)
    control.arm(Failpoint("copied"))
    control.set_clock(3600.0)
    control.end_network_thread()
    assert control.clock_offset_s() == 3600.0
    control.heal()
    assert control.claim("copied") is None
    assert control.clock_offset_s() == 0.0
    assert not control.takes_network_thread()


def test_the_network_thread_is_ended_once(tmp_path: Path) -> None:
    control = Control(tmp_path)
    control.end_network_thread()
    assert [control.takes_network_thread(), control.takes_network_thread()] == [True, False]


def test_only_a_small_file_system_is_filled(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no small file system"):
        Disk(tmp_path, is_small=False).fill()
    assert list(tmp_path.iterdir()) == []


def test_ingest_still_has_the_steps_at_which_it_is_killed() -> None:
    assert STEPS == ("taken", "copied", "committed", "acknowledged")


class FakeOracle:
    """A database that holds nothing, or is away."""

    def __init__(self) -> None:
        self.away = False

    def not_kept(self, messages: list[Published]) -> list[int]:
        if self.away:
            raise AwayError
        return list(range(len(messages)))


def test_what_is_acknowledged_and_not_kept_is_too_early() -> None:
    witness = Witness(FakeOracle())  # type: ignore[arg-type]
    witness.note([Acknowledged(7, MESSAGE), Acknowledged(9, None)])
    early = witness.take_early()
    assert [text.split()[0] for text in early] == ["packet", "gas/v1/north/F01/telemetry"]
    assert witness.take_early() == []


def test_what_could_not_be_looked_up_is_looked_up_later() -> None:
    oracle = FakeOracle()
    witness = Witness(oracle)  # type: ignore[arg-type]
    oracle.away = True
    witness.note([Acknowledged(7, MESSAGE)])
    with pytest.raises(AwayError):
        witness.take_early()
    oracle.away = False
    assert len(witness.take_early()) == 1


def test_the_answer_to_one_commit_is_lost() -> None:
    answers = Answers()
    answers.from_server(b"C\0\0\0\x0bCOMMIT\0")
    answers.lose_next_commit = True
    answers.from_server(b"C\0\0\0\x0bINSERT 0 1\0")
    with pytest.raises(CutError):
        answers.from_server(b"C\0\0\0\x0bCOMMIT\0")
    answers.from_server(b"C\0\0\0\x0bCOMMIT\0")
    assert answers.lost == 1


class Line:
    """A client and a server with the proxy between them."""

    def __init__(self, server: socket.socket, answers: Answers) -> None:
        self._server = server
        self.proxy = Proxy(lambda: socket.create_connection(server.getsockname()), lambda: answers)

    def connect(self) -> tuple[socket.socket, socket.socket]:
        client = socket.create_connection(("127.0.0.1", self.proxy.port), timeout=10)
        server, _ = self._server.accept()
        server.settimeout(10)
        return client, server


@pytest.fixture
def answers() -> Answers:
    return Answers()


@pytest.fixture
def line(answers: Answers) -> Iterator[Line]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(10)
        made = Line(server, answers)
        yield made
        made.proxy.close()


def test_the_proxy_passes_both_ways_and_the_end_too(line: Line) -> None:
    client, server = line.connect()
    client.sendall(b"there")
    assert server.recv(10) == b"there"
    server.sendall(b"back")
    assert client.recv(10) == b"back"
    server.close()
    assert client.recv(10) == b""
    client.close()


def test_a_trickle_still_brings_everything(line: Line) -> None:
    client, server = line.connect()
    line.proxy.bytes_per_s = 2000.0
    client.sendall(bytes(300))
    got = b""
    while len(got) < 300:
        got += server.recv(1000)
    assert got == bytes(300)
    client.close()
    server.close()


def test_a_cut_resets_the_connection_before_the_bytes_pass(line: Line, answers: Answers) -> None:
    client, server = line.connect()
    answers.lose_next_commit = True
    server.sendall(b"COMMIT\0")
    with suppress(ConnectionResetError):
        assert client.recv(10) == b""
    client.close()
    server.close()


def test_a_forgotten_connection_leads_nowhere_and_a_new_one_works(line: Line) -> None:
    old_client, old_server = line.connect()
    old_client.sendall(b"1")
    assert old_server.recv(1) == b"1"
    line.proxy.forget_all()
    old_client.sendall(b"lost")
    client, server = line.connect()
    client.sendall(b"2")
    assert server.recv(1) == b"2"
    old_server.settimeout(0.1)
    with pytest.raises(TimeoutError):
        old_server.recv(1)
    for end in (old_client, old_server, client, server):
        end.close()
