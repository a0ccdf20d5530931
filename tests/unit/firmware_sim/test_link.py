import logging
import socket

import pytest

from firmware_sim.connection import Acknowledged, Address, Down, Received, Up, Will
from firmware_sim.link import MqttLink


class Time:
    """A clock that moves only when somebody sleeps."""

    def __init__(self) -> None:
        self.now_s = 100.0
        self.slept_s: list[float] = []

    def clock(self) -> float:
        return self.now_s

    def sleep(self, seconds: float) -> None:
        self.slept_s.append(seconds)
        self.now_s += seconds


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
def listener():
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(5)
        yield server


def link_to(port: int, time: Time, **options: object) -> MqttLink:
    address = Address.parse(f"mqtt://127.0.0.1:{port}")
    return MqttLink(
        address, "meter", ["gas/v1/north/+/confirm"], clock=time.clock, sleep=time.sleep, **options
    )  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("mqtt://broker", ("broker", 1883, False, None, None)),
        ("mqtts://broker", ("broker", 8883, True, None, None)),
        ("mqtt://me:a%40b@10.0.0.1:2883", ("10.0.0.1", 2883, False, "me", "a@b")),
    ],
)
def test_a_url_says_where_and_who(url, expected):
    address = Address.parse(url)

    assert (address.host, address.port, address.tls, address.user, address.password) == expected


@pytest.mark.parametrize("url", ["broker:1883", "tcp://broker", "mqtt://", "mqtt://broker:port", ""])
def test_anything_else_is_refused(url):
    with pytest.raises(ValueError, match=r"mqtt://|[Pp]ort"):
        Address.parse(url)


def test_a_refused_password_stays_out_of_the_message():
    with pytest.raises(ValueError, match="mqtt://") as error:
        Address.parse("http://me:secret@broker")

    assert "secret" not in str(error.value)


def test_a_broker_that_is_not_there_is_tried_ever_more_slowly_and_complained_of_once(listener, time, caplog):
    port = listener.getsockname()[1]
    listener.close()
    link = link_to(port, time)

    with caplog.at_level(logging.WARNING):
        for _ in range(200):
            assert link.service(0.5) == []

    assert not link.up
    assert link.send("t", b"", retain=False) is None
    assert len(caplog.records) == 1
    assert f"127.0.0.1:{port} cannot be used, trying again" in caplog.text
    # 0.5 + 1 + 2 + 4 + 8 s, and 10 s each from then on.
    attempts_s = 200 - len(time.slept_s)
    assert attempts_s <= 5 + (time.now_s - 100 - 15.5) / 10 + 2


def test_a_refusal_is_told_by_its_reason(listener, time, caplog):
    link = link_to(listener.getsockname()[1], time, version=3)
    link.service(0.0)
    broker, _ = listener.accept()
    with broker, caplog.at_level(logging.WARNING):
        broker.sendall(b"\x20\x02\x00\x05")
        broker.shutdown(socket.SHUT_WR)
        for _ in range(3):
            link.service(0.2)

    assert not link.up
    assert "refuses the connection: Not authorized" in caplog.text


def test_a_broker_that_accepts_and_never_answers_is_given_up(listener, time, caplog):
    link = link_to(listener.getsockname()[1], time)
    with caplog.at_level(logging.WARNING):
        link.service(0.0)
        time.now_s += 16
        link.service(0.0)

    assert "does not answer" in caplog.text


def connected(listener: socket.socket, time: Time, **options: object) -> tuple[MqttLink, socket.socket]:
    link = link_to(listener.getsockname()[1], time, version=3, **options)
    link.service(0.0)
    broker, _ = listener.accept()
    broker.settimeout(5)
    broker.sendall(b"\x20\x02\x00\x00")
    assert link.service(5.0) == [Up(None)]
    return link, broker


def test_the_last_will_goes_out_with_the_connect(listener, time):
    will = Will("gas/v1/north/A/status", b'{"online":false}')

    _link, broker = connected(listener, time, will=will)

    with broker:
        assert b'gas/v1/north/A/status\x00\x10{"online":false}' in broker.recv(4096)


def test_answers_and_messages_become_events_and_a_lost_connection_one_too(listener, time, caplog):
    link, broker = connected(listener, time)
    packet_id = link.send("gas/v1/north/A/telemetry", b"{}", retain=False)
    assert packet_id is not None
    topic, payload = b"gas/v1/north/A/confirm", b'{"boot":1,"seq":1}'
    publish = len(topic).to_bytes(2, "big") + topic + payload
    broker.sendall(b"\x40\x02" + packet_id.to_bytes(2, "big") + b"\x30" + bytes([len(publish)]) + publish)

    events = link.service(5.0)
    while len(events) < 2:
        events += link.service(5.0)
    assert events == [Acknowledged(packet_id, 0), Received(topic.decode(), payload)]

    broker.close()
    with caplog.at_level(logging.WARNING):
        events = []
        while not events:
            events = link.service(5.0)
    assert events == [Down()]
    assert not link.up
