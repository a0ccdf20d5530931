"""The embedded parts: wherever they lie, whoever shares them, however they ended last time."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import psycopg2
import pytest

from runtime.embedded_broker import EmbeddedBroker
from runtime.embedded_database import EmbeddedDatabase
from runtime.exceptions import EmbeddedPartError
from storage.database import Database


def _answers(url: str) -> bool:
    database = Database(url, connect_timeout_s=2)
    with database.transaction() as transaction:
        found = transaction.row("SELECT 1 AS one")
    database.close()
    return found == {"one": 1}


@pytest.mark.parametrize("name", ["plain", "a b'c", "x" * 120])
def test_the_database_lives_in_any_folder(tmp_path: Path, name: str) -> None:
    with EmbeddedDatabase(tmp_path / name / "pg") as url:
        assert _answers(url)


def test_the_last_user_stops_the_database(tmp_path: Path) -> None:
    first, second = EmbeddedDatabase(tmp_path / "pg"), EmbeddedDatabase(tmp_path / "pg")
    url = first.start()
    assert second.start() == url
    first.stop()
    assert _answers(url)
    second.stop()
    with pytest.raises(psycopg2.OperationalError):
        psycopg2.connect(url)


def test_a_killed_server_is_started_again_with_its_data(tmp_path: Path) -> None:
    embedded = EmbeddedDatabase(tmp_path / "pg")
    database = Database(embedded.start())
    with database.transaction() as transaction:
        transaction.execute("CREATE TABLE kept AS SELECT 7 AS n")
    database.close()
    os.kill(int((tmp_path / "pg" / "postmaster.pid").read_text().splitlines()[0]), signal.SIGKILL)
    with EmbeddedDatabase(tmp_path / "pg") as url:
        again = Database(url)
        with again.transaction() as transaction:
            assert transaction.row("SELECT n FROM kept") == {"n": 7}
        again.close()
        embedded.stop()


def test_a_server_that_cannot_start_is_one_line(tmp_path: Path) -> None:
    with EmbeddedDatabase(tmp_path / "pg"):
        pass
    with (tmp_path / "pg" / "postgresql.conf").open("a") as settings:
        settings.write("shared_buffers = 'nonsense'\n")
    with pytest.raises(EmbeddedPartError) as caught:
        EmbeddedDatabase(tmp_path / "pg").start()
    assert "shared_buffers" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_broker_on_a_taken_port_is_one_line(tmp_path: Path, embedded_broker: EmbeddedBroker) -> None:
    other = EmbeddedBroker(tmp_path / "other", port_v5=embedded_broker.port_v5)
    with pytest.raises(EmbeddedPartError) as caught:
        other.start()
    assert "\n" not in str(caught.value)


def test_the_broker_is_not_reachable_from_outside(embedded_broker: EmbeddedBroker) -> None:
    import psutil  # noqa: PLC0415

    ports = {embedded_broker.port_v3, embedded_broker.port_v5}
    listening = [
        c.laddr for c in psutil.net_connections("tcp") if c.status == "LISTEN" and c.laddr.port in ports
    ]
    assert {address.ip for address in listening} == {"127.0.0.1"}
