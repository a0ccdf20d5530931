"""The command line as a person meets it: exit codes, and one line that says what to do."""

from __future__ import annotations

import signal
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest

from runtime.embedded_broker import EmbeddedBroker, free_port


def test_migrate_without_its_database_fails_with_one_clear_line(processes: Any) -> None:
    assert processes.run("migrate", database_url="postgresql://nobody@127.0.0.1:9/none") == 1
    said = processes.log("migrate").strip().splitlines()
    assert len(said) == 1
    assert "Connection refused" in said[0]


def test_a_wrong_setting_is_named_and_its_value_is_not(processes: Any) -> None:
    assert processes.run("migrate", http_port="s3cret") == 1
    assert "http_port" in processes.log("migrate")
    assert "s3cret" not in processes.log("migrate")


@pytest.mark.parametrize(
    "arguments", [["nonsense"], ["migrate", "--nonsense"], ["registry", "import", "absent.csv"]]
)
def test_wrong_usage_is_exit_code_2(processes: Any, arguments: list[str]) -> None:
    assert processes.run(*arguments) == 2


def test_a_bad_registry_row_is_reported_and_nothing_is_imported(
    processes: Any, database_url: str, database: Any, tmp_path: Path
) -> None:
    path = tmp_path / "meters.csv"
    path.write_text(
        "meter_id,company,customer,customer_kind,reading_class,technology,g_size,qmin\n"
        "GOOD,north,Hotel,commercial,daily,roots,G100,1.6\n"
        "BAD,north,Hotel,commercial,hourly,roots,G100,500\n",
        encoding="utf-8",
    )
    assert processes.run("registry", "import", str(path), database_url=database_url) == 1
    said = processes.log("registry")
    assert "line 3, reading_class: 'hourly' is none of daily" in said
    assert "line 3, qmin: 500 is not below qmax 160" in said
    with database.transaction() as transaction:
        assert transaction.rows("SELECT * FROM meter") == []
    assert processes.run("registry", "import", str(path), "--partial", database_url=database_url) == 0
    with database.transaction() as transaction:
        assert transaction.rows("SELECT meter_id FROM meter") == [{"meter_id": "GOOD"}]


def test_a_broker_url_of_another_kind_is_a_wrong_setting(processes: Any) -> None:
    assert processes.run("ingest", mqtt_url="http://broker") == 1
    assert "mqtt_url: Value error, has to look like mqtt://host:1883" in processes.log("ingest")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_to_the_api_stops_its_database_too(
    processes: Any, until: Callable[..., None], tmp_path: Path, number: signal.Signals
) -> None:
    port, data = free_port(), tmp_path / "data"
    tmp_path.chmod(0o755)
    api = processes.start("api", http_port=str(port), data_dir=str(data))
    until(lambda: _answers(port))
    until(lambda: (data / "postgres" / "postmaster.pid").exists() or any(data.rglob("postmaster.pid")))
    api.send_signal(number)
    assert api.wait(30) == 0
    assert not any(data.rglob("postmaster.pid"))


def test_a_taken_port_is_one_line_that_names_it(processes: Any, database_url: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert processes.run("api", http_port=str(port), database_url=database_url) == 1
    (said,) = processes.log("api").strip().splitlines()
    assert f"cannot listen on 127.0.0.1, port {port}: Address already in use" in said


def test_a_database_that_was_never_migrated_is_named_and_waited_for(
    processes: Any, empty_database_url: str, until: Callable[..., None], embedded_broker: EmbeddedBroker
) -> None:
    sentence = "the database is not migrated, run `meterwarden migrate`"
    settings = {"database_url": empty_database_url, "mqtt_url": embedded_broker.url}
    assert processes.run("registry", "import", _registry(processes), **settings) == 1
    assert sentence in processes.log("registry")
    for service in ("ingest", "engine"):
        processes.start(service, **settings)
        until(lambda name=service: sentence in processes.log(name))
    assert processes.run("migrate", **settings) == 0
    until(lambda: "connected to broker" in processes.log("ingest"))


def test_a_replay_asks_the_registry_whose_its_meters_are(
    processes: Any,
    database_url: str,
    embedded_broker: EmbeddedBroker,
    until: Callable[..., None],
    count: Callable[[str], int],
    tmp_path: Path,
) -> None:
    readings = tmp_path / "readings.csv"
    readings.write_text("meter_id,ts,flow\nM1,2026-01-01T00:00:00Z,5\nM1,2026-01-01T01:00:00Z,6\n", "utf-8")
    replay = ["simulate", "--replay", str(readings)]
    nowhere = {"mqtt_url": embedded_broker.url, "data_dir": str(tmp_path / "none")}
    assert processes.run(*replay, **nowhere) == 2
    assert "nothing says whose meter M1 is" in processes.log("simulate")
    assert processes.run(*replay, "--company", "east", "--drain-timeout", "1", **nowhere) == 1
    assert "nothing was confirmed: does ingest run" in processes.log("simulate")

    settings = {"database_url": database_url, "mqtt_url": embedded_broker.url}
    assert processes.run("registry", "import", _registry(processes), **settings) == 0
    processes.start("ingest", **settings)
    until(lambda: "connected to broker" in processes.log("ingest"))
    assert processes.run(*replay, **settings) == 0, processes.log("simulate")
    assert count("reading") == 2


def test_a_simulation_without_a_broker_fails_when_its_time_is_over(processes: Any) -> None:
    arguments = ["simulate", "--meters", "1", "--days", "3", "--for", "1", "--drain-timeout", "1"]
    assert processes.run(*arguments, mqtt_url="mqtt://127.0.0.1:9") == 1
    assert "no broker took anything at 127.0.0.1" in processes.log("simulate")


def _registry(processes: Any) -> str:
    return processes.write(
        "meters.csv",
        "meter_id,company,customer,customer_kind,reading_class,technology,g_size\n"
        "M1,north,Hotel,commercial,daily,roots,G100\n",
    )


def _answers(port: int) -> bool:
    try:
        with urlopen(f"http://127.0.0.1:{port}/healthz", timeout=1) as answer:
            return answer.status == 200
    except OSError:
        return False
