"""Simulated meters on real brokers; a small subscriber stands in for the server."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit

import paho.mqtt.client as mqtt
import pytest

from firmware_sim.meter import generate
from firmware_sim.population import build_population
from runtime.commands.simulate import SimulateOptions, SimulationError, simulate
from runtime.embedded_broker import EmbeddedBroker, free_port

END = datetime(2026, 11, 20, 4, 0, tzinfo=UTC)
PATIENCE_S = 30.0


class Server:
    """Keeps what meters publish, and confirms it like the real one: up to the first hole."""

    def __init__(self, url: str, version: int = 5, *, confirms: bool = True) -> None:
        self.confirms = confirms
        self.readings: dict[tuple[str, int, int], dict] = {}
        self.copies = 0
        self.status: dict[str, list[dict]] = defaultdict(list)
        self.ready = threading.Event()
        self._through: dict[tuple[str, int], int] = defaultdict(int)
        protocol = mqtt.MQTTv5 if version == 5 else mqtt.MQTTv311
        self._client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, client_id="server", protocol=protocol)
        self._client.on_connect = self._on_connect
        self._client.on_subscribe = lambda *_: self.ready.set()
        self._client.on_message = self._on_message
        self._client.reconnect_delay_set(1, 1)
        self._client.connect(urlsplit(url).hostname or "", urlsplit(url).port or 0)
        self._client.loop_start()
        assert self.ready.wait(10)

    def stop(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()

    def _on_connect(self, client, *_) -> None:
        client.subscribe([("gas/v1/+/+/telemetry", 1), ("gas/v1/+/+/status", 1)])

    def _on_message(self, client, _userdata, message) -> None:
        _, _, company, meter, leaf = message.topic.split("/")
        body = json.loads(message.payload)
        if leaf == "status":
            self.status[meter].append(body)
            return
        for reading in body if isinstance(body, list) else [body]:
            key = (meter, reading["boot"], reading["seq"])
            self.copies += key in self.readings
            self.readings.setdefault(key, reading)
        if self.confirms:
            boot = reading["boot"]
            while (meter, boot, self._through[meter, boot] + 1) in self.readings:
                self._through[meter, boot] += 1
            answer = json.dumps({"boot": boot, "seq": self._through[meter, boot]})
            client.publish(f"gas/v1/{company}/{meter}/confirm", answer, qos=0)


@contextmanager
def server(url: str, version: int = 5, *, confirms: bool = True) -> Iterator[Server]:
    running = Server(url, version, confirms=confirms)
    try:
        yield running
    finally:
        running.stop()


def small(url: str, **fields: object) -> SimulateOptions:
    options: dict[str, object] = {"mqtt_url": url, "meters": 8, "days": 2.0, "seed": 3, "end": END}
    return SimulateOptions(**{**options, **fields})  # type: ignore[arg-type]


def quiet(_text: str) -> None:
    """Say nothing."""


def wait_until(true: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + PATIENCE_S
    while not true() and time.monotonic() < deadline:
        threading.Event().wait(0.02)
    return true()


def everything(count: int = 8, seed: int = 3) -> dict[str, int]:
    """How many readings each meter of the small run has."""
    from datetime import timedelta  # noqa: PLC0415

    population = build_population(count, seed, start=END - timedelta(days=2), end=END)
    keys = generate(population).readings.meter_key.tolist()
    return {meter.meter_id: keys.count(key) for key, meter in enumerate(population.meters)}


def check_all_arrived(report, served: Server) -> None:
    expected = everything()
    arrived = defaultdict(set)
    for meter, _boot, seq in served.readings:
        arrived[meter].add(seq)
    assert {meter: len(seqs) for meter, seqs in arrived.items()} == expected
    assert {meter: max(seqs) for meter, seqs in arrived.items()} == expected
    total = sum(expected.values())
    assert (report.published, report.confirmed, report.unconfirmed) == (total, total, 0)
    assert report.complete


@pytest.mark.parametrize("version", [5, 3])
def test_everything_arrives_and_is_confirmed_on_the_embedded_broker(embedded_broker, version):
    url = embedded_broker.url if version == 5 else embedded_broker.url_v3
    with server(url, version) as served:
        report = simulate(small(url, mqtt_version=version), say=quiet)

        check_all_arrived(report, served)
        assert served.copies == report.duplicates_injected + report.resent
        assert wait_until(lambda: all(s[-1] == {"online": False} for s in served.status.values()))
        assert {s[0]["online"] for s in served.status.values()} == {True}
        assert len(served.status) == 8


@pytest.mark.mosquitto
@pytest.mark.parametrize("version", [5, 3])
def test_everything_arrives_and_is_confirmed_on_mosquitto(mosquitto_url, version):
    with server(mosquitto_url, version) as served:
        report = simulate(small(mosquitto_url, mqtt_version=version), say=quiet)

        check_all_arrived(report, served)


def test_each_meter_can_have_a_connection_of_its_own(embedded_broker):
    with server(embedded_broker.url) as served:
        report = simulate(small(embedded_broker.url, one_connection_per_meter=True), say=quiet)

        check_all_arrived(report, served)


@pytest.mark.mosquitto
def test_meters_keep_what_nobody_subscribes_to(mosquitto_url):
    done: list[object] = []
    spoke = threading.Event()

    def heard(text: str) -> None:
        if not text.startswith("simulate: 0 "):
            spoke.set()

    options = small(mosquitto_url, drain_timeout_s=PATIENCE_S)
    meters = threading.Thread(target=lambda: done.append(simulate(options, say=heard)))
    meters.start()
    assert spoke.wait(PATIENCE_S)
    with server(mosquitto_url) as served:
        meters.join(2 * PATIENCE_S)

        check_all_arrived(done[0], served)
        assert done[0].undelivered > 0


def test_a_broker_that_forgets_everything_costs_no_reading(tmp_path):
    ports = {"port_v5": free_port(), "port_v3": free_port()}
    done: list[object] = []
    broker = EmbeddedBroker(tmp_path, **ports)
    url = broker.start()
    options = small(url, for_s=4.0, drain_timeout_s=PATIENCE_S, confirm_timeout_s=1.0)
    with server(url) as served:
        meters = threading.Thread(target=lambda: done.append(simulate(options, say=quiet)))
        meters.start()
        assert wait_until(lambda: len(served.readings) > 100)
        served.ready.clear()
        broker.stop()
        broker = EmbeddedBroker(tmp_path, **ports)
        broker.start()
        try:
            assert served.ready.wait(PATIENCE_S)
            meters.join(2 * PATIENCE_S)
            check_all_arrived(done[0], served)
        finally:
            broker.stop()


def test_meters_start_before_the_broker_does(tmp_path):
    ports = {"port_v5": free_port(), "port_v3": free_port()}
    url = f"mqtt://127.0.0.1:{ports['port_v5']}"
    done: list[object] = []
    options = small(url, drain_timeout_s=PATIENCE_S)
    meters = threading.Thread(target=lambda: done.append(simulate(options, say=quiet)))
    meters.start()
    with EmbeddedBroker(tmp_path, **ports), server(url) as served:
        meters.join(2 * PATIENCE_S)

        assert done[0].complete
        # What went out before the server subscribed is asked for by the real one; here it only counts.
        assert done[0].published == sum(everything().values())
        assert len(served.readings) > 0


def test_without_a_server_nothing_is_confirmed_and_the_run_still_ends(embedded_broker):
    report = simulate(small(embedded_broker.url, drain_timeout_s=0.5), say=quiet)

    assert report.confirmed == 0
    assert report.unconfirmed == report.published == sum(everything().values())


def test_readings_on_the_wire_are_those_that_were_generated(embedded_broker):
    with server(embedded_broker.url) as served:
        simulate(small(embedded_broker.url, meters=2), say=quiet)

    from datetime import timedelta  # noqa: PLC0415

    population = build_population(2, 3, start=END - timedelta(days=2), end=END)
    readings = generate(population).readings
    for row in range(0, len(readings), 37):
        meter = population.meters[readings.meter_key[row]].meter_id
        sent = served.readings[meter, int(readings.boot[row]), int(readings.seq[row])]
        assert sent["ts"] * 1000 == readings.device_time_us[row]
        assert sent["volume"] == readings.volume_m3[row]
        assert sent["flow"] == readings.flow_m3h[row]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_the_run_with_a_report(embedded_broker, tmp_path, number):
    program = (
        "import sys; from pathlib import Path;"
        "from runtime.commands.simulate import SimulateOptions, simulate;"
        "simulate(SimulateOptions(mqtt_url=sys.argv[1], report=Path(sys.argv[2]), meters=8, days=2, for_s=600))"
    )
    path = tmp_path / "report.json"
    with server(embedded_broker.url) as served:
        with subprocess.Popen(
            [sys.executable, "-c", program, embedded_broker.url, str(path)],
            env={**os.environ, "PYTHONPATH": str(Path.cwd())},
            stderr=subprocess.PIPE,
        ) as process:
            assert wait_until(lambda: len(served.readings) > 0)
            process.send_signal(number)
            _, errors = process.communicate(timeout=PATIENCE_S)
        report = json.loads(path.read_text(encoding="utf-8"))

    assert process.returncode == 0, errors
    assert 0 < report["published"] < report["readings"]
    assert report["complete"] is False
    assert b"readings sent" in errors


def test_files_are_written_without_a_broker(tmp_path):
    from fleet.registry import read_registry  # noqa: PLC0415

    registry, truth = tmp_path / "meters.csv", tmp_path / "truth.json"
    options = small("mqtt://nowhere.invalid", files_only=True, registry_out=registry, truth=truth)

    report = simulate(options, say=quiet)

    assert report.published == 0
    assert len(read_registry(registry.read_text(encoding="utf-8").splitlines()).meters) == 8
    assert json.loads(truth.read_text(encoding="utf-8"))["meters"] == 8


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"mqtt_url": "http://127.0.0.1"}, "no mqtt:// or mqtts:// URL"),
        ({"company": "a b"}, "letters, digits"),
        ({"days": 0.5}, "too short"),
        ({"meters": 501, "one_connection_per_meter": True}, "too many"),
        ({"replay": Path("/nowhere/at/all.csv")}, "cannot be replayed"),
    ],
)
def test_wrong_options_are_one_line_that_says_what(fields, reason):
    with pytest.raises(SimulationError, match=reason) as error:
        simulate(small("mqtt://127.0.0.1:1", **fields), say=quiet)

    assert "\n" not in str(error.value)


RECORDED = """\
meter_id,ts,flow,volume,pressure,valve
R1,2023-05-01T08:00:00+08:00,12.5,1000.0,121.3,open
R1,2023-05-01T09:00:00+08:00,,1012.0,,
R2,2023-05-01T08:30:00+08:00,0,77.5,,closed
R1,2023-05-01T10:00:00+08:00,13.5,1025.0,121.1,open
"""


def test_a_recorded_file_is_published_as_if_it_ended_now(embedded_broker, tmp_path):
    path, registry = tmp_path / "recorded.csv", tmp_path / "meters.csv"
    path.write_text(RECORDED, encoding="utf-8")
    registry.write_text(
        "meter_id,company,customer,customer_kind,reading_class,technology,g_size\n"
        "R2,south,Bakery 1,commercial,daily,diaphragm,G6\n",
        encoding="utf-8",
    )
    topics: set[str] = set()
    with server(embedded_broker.url) as served:
        forward = served._client.on_message
        served._client.on_message = lambda *given: (topics.add(given[2].topic), forward(*given))
        options = SimulateOptions(
            mqtt_url=embedded_broker.url, replay=path, registry=registry, company="north", end=END
        )
        report = simulate(options, say=quiet)

    end_ms = int(END.timestamp() * 1000)
    sent = {(meter, seq): reading for (meter, _boot, seq), reading in served.readings.items()}
    assert (report.readings, report.published, report.confirmed) == (4, 4, 4)
    assert {"gas/v1/north/R1/telemetry", "gas/v1/south/R2/telemetry"} <= topics
    assert {key: reading["ts"] - end_ms for key, reading in sent.items()} == {
        ("R1", 1): -7_200_000,
        ("R1", 2): -3_600_000,
        ("R1", 3): 0,
        ("R2", 1): -5_400_000,
    }
    assert "flow" not in sent["R1", 2]
    assert sent["R2", 1]["flow"] == 0
    assert sent["R2", 1]["valve"] == "closed"


def test_a_recording_longer_than_a_server_takes_is_announced(embedded_broker, tmp_path):
    path = tmp_path / "recorded.csv"
    path.write_text(RECORDED + "R1,2022-05-01T08:00:00+08:00,1,1,1,open\n", encoding="utf-8")
    said: list[str] = []

    simulate(
        SimulateOptions(
            mqtt_url=embedded_broker.url, company="demo", replay=path, end=END, drain_timeout_s=0
        ),
        say=said.append,
    )

    assert any("1 of 5 readings lie more than 90 days back" in text for text in said)


@pytest.mark.parametrize(
    ("text", "reason"), [("", "cannot be replayed"), ("meter_id,ts,flow\n", "holds no readings")]
)
def test_a_recording_without_readings_is_one_line_that_says_so(tmp_path, text, reason):
    path = tmp_path / "recorded.csv"
    path.write_text(text, encoding="utf-8")

    with pytest.raises(SimulationError, match=reason):
        simulate(SimulateOptions(mqtt_url="mqtt://127.0.0.1:1", replay=path), say=quiet)
