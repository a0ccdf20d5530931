"""Store and forward against a visible fake of the connection."""

import json
from collections import deque
from dataclasses import dataclass, field

import numpy as np
import pytest

from firmware_sim.connection import Acknowledged, Down, Event, Received, Up
from firmware_sim.playback import Message
from firmware_sim.publisher import Identity, Publisher
from fleet.readings import ReadingBatch

NOBODY_SUBSCRIBES = 0x10


@dataclass
class FakeLink:
    """A connection whose every step a test decides."""

    up: bool = False
    closed: bool = False
    #: Acknowledge everything at once, as a quick broker does.
    quick: bool = False
    sent: list[tuple[int, str, dict, bool]] = field(default_factory=list)
    events: deque[Event] = field(default_factory=deque)
    waited_s: list[float] = field(default_factory=list)

    def service(self, timeout_s: float) -> list[Event]:
        self.waited_s.append(timeout_s)
        events = list(self.events)
        self.events.clear()
        for event in events:
            if isinstance(event, (Up, Down)):
                self.up = isinstance(event, Up)
        return events

    def send(self, topic: str, payload: bytes, *, retain: bool) -> int | None:
        if not self.up:
            return None
        self.sent.append((len(self.sent) + 1, topic, json.loads(payload), retain))
        if self.quick:
            self.acknowledge(len(self.sent))
        return len(self.sent)

    def close(self) -> None:
        self.closed = True

    def comes_up(self, receive_maximum: int | None = None) -> None:
        self.events.append(Up(receive_maximum))

    def goes_down(self) -> None:
        self.up = False
        self.events.append(Down())

    def acknowledge(self, *packet_ids: int, reason: int = 0) -> None:
        self.events.extend(Acknowledged(packet_id, reason) for packet_id in packet_ids)

    def hear(self, meter: str, leaf: str, payload: object) -> None:
        text = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
        self.events.append(Received(f"gas/v1/north/{meter}/{leaf}", text))

    def telemetry(self) -> list[tuple[str, object]]:
        return [
            (topic.split("/")[3], _seqs(body))
            for _, topic, body, _ in self.sent
            if topic.endswith("telemetry")
        ]

    def last_ids(self, n: int) -> list[int]:
        return [packet_id for packet_id, *_ in self.sent[-n:]]


def _seqs(body: object) -> object:
    return [item["seq"] for item in body] if isinstance(body, list) else body["seq"]


class Clock:
    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def link() -> FakeLink:
    return FakeLink()


def make(link: FakeLink, clock: Clock, per_meter: int = 3, **options: object) -> Publisher:
    """Two meters, A and B, with `per_meter` readings each: rows 0.. are A's, then B's."""
    n = 2 * per_meter
    batch = ReadingBatch.build(
        meter_key=np.repeat([0, 1], per_meter),
        device_time_us=np.arange(n) * 1_000_000,
        boot=np.full(n, 7),
        seq=np.tile(np.arange(per_meter) + 1, 2),
        volume_m3=np.arange(n) * 1.0,
    )
    identities = [Identity("north", "A"), Identity("north", "B")]
    return Publisher(batch, identities, [link], clock=clock, **options)  # type: ignore[arg-type]


def offer(publisher: Publisher, *rows: int, duplicate: bool = False) -> None:
    publisher.offer([Message(np.array([row]), duplicate) for row in rows])


def started(link: FakeLink, clock: Clock, **options: object) -> Publisher:
    """A publisher whose births are acknowledged."""
    publisher = make(link, clock, **options)
    link.comes_up()
    publisher.service(0)
    publisher.service(0)
    link.acknowledge(*link.last_ids(2))
    publisher.service(0)
    return publisher


def test_each_meter_is_born_once_the_connection_is_up(link, clock):
    publisher = make(link, clock)
    offer(publisher, 0)
    publisher.service(0.1)
    assert link.sent == []

    link.comes_up()
    publisher.service(0.1)
    publisher.service(0.1)

    assert [(t, b, r) for _, t, b, r in link.sent[:2]] == [
        ("gas/v1/north/A/status", {"online": True, "boot": 7, "firmware": "sim-1.0"}, True),
        ("gas/v1/north/B/status", {"online": True, "boot": 7, "firmware": "sim-1.0"}, True),
    ]
    assert link.telemetry() == [("A", 1)]


def test_readings_of_one_message_travel_as_one_array(link, clock):
    publisher = started(link, clock)

    publisher.offer([Message(np.array([2, 0]), duplicate=False)])
    publisher.service(0)

    assert link.telemetry() == [("A", [3, 1])]


def test_no_more_is_in_flight_than_the_window_allows(link, clock):
    publisher = started(link, clock, window=2)

    offer(publisher, 0, 1, 2, 3)
    publisher.service(0)
    assert link.telemetry() == [("A", 1), ("A", 2)]
    assert publisher.room == 0

    link.acknowledge(link.last_ids(1)[0])
    publisher.service(0)
    publisher.service(0)

    assert link.telemetry() == [("A", 1), ("A", 2), ("A", 3)]


def test_a_broker_may_want_a_smaller_window(link, clock):
    publisher = make(link, clock, window=100)
    link.comes_up(receive_maximum=1)
    publisher.service(0)
    publisher.service(0)

    assert len(link.sent) == 1


def test_a_reading_counts_as_confirmed_only_by_the_server(link, clock):
    publisher = started(link, clock)
    offer(publisher, 0, 1, 2)
    publisher.service(0)
    link.acknowledge(*link.last_ids(3))
    publisher.service(0)
    counts = publisher.counts()
    assert (counts.published, counts.acknowledged, counts.confirmed, counts.unconfirmed) == (3, 3, 0, 3)

    link.hear("A", "confirm", {"boot": 7, "seq": 2})
    publisher.service(0)

    counts = publisher.counts()
    assert (counts.confirmed, counts.unconfirmed, publisher.unconfirmed) == (2, 1, 1)


def test_nobody_subscribes_means_not_delivered(link, clock):
    publisher = started(link, clock)
    offer(publisher, 0)
    publisher.service(0)
    link.acknowledge(*link.last_ids(1), reason=NOBODY_SUBSCRIBES)
    publisher.service(0)
    publisher.service(0)

    assert publisher.counts().acknowledged == 0
    assert link.telemetry() == [("A", 1)], "it waits before it tries again"

    clock.now_s += 1.0
    publisher.service(0)
    link.acknowledge(*link.last_ids(1))
    publisher.service(0)

    assert link.telemetry() == [("A", 1), ("A", 1)]
    counts = publisher.counts()
    assert (counts.acknowledged, counts.undelivered, counts.resent) == (1, 1, 1)


def test_what_was_in_flight_when_the_connection_broke_is_sent_again_in_order(link, clock):
    publisher = started(link, clock)
    offer(publisher, 0, 1, 2)
    publisher.service(0)

    link.goes_down()
    publisher.service(0)
    link.comes_up()
    publisher.service(0)
    publisher.service(0)

    assert link.telemetry() == [("A", s) for s in (1, 2, 3, 1, 2, 3)]
    assert publisher.counts().resent == 3


def test_what_an_earlier_connection_did_not_see_confirmed_is_sent_again(link, clock):
    publisher = started(link, clock)
    offer(publisher, 0, 1, 3)
    publisher.service(0)
    link.acknowledge(*link.last_ids(3))
    link.hear("A", "confirm", {"boot": 7, "seq": 1})
    publisher.service(0)

    link.goes_down()
    publisher.service(0)
    link.comes_up()
    for _ in range(3):
        publisher.service(0)

    assert link.telemetry()[3:] == [("A", 2), ("B", 1)]


def test_without_any_news_the_unconfirmed_are_sent_again_ever_more_patiently(link, clock):
    publisher = started(link, clock, confirm_timeout_s=10)
    offer(publisher, 0, 1)
    publisher.service(0)
    link.acknowledge(*link.last_ids(2))
    publisher.service(0)

    clock.now_s = 9.9
    publisher.service(0)
    publisher.service(0)
    assert publisher.counts().resent == 0

    clock.now_s = 10.1
    publisher.service(0)
    publisher.service(0)
    assert link.telemetry()[-1] == ("A", [1, 2])
    assert publisher.counts().resent == 2

    link.acknowledge(*link.last_ids(1))
    publisher.service(0)
    clock.now_s = 25
    publisher.service(0)
    publisher.service(0)
    assert publisher.counts().resent == 2, "the second time it waits twice as long"


def test_a_backfill_gives_again_what_is_asked_for_and_was_sent(link, clock):
    publisher = started(link, clock)
    offer(publisher, 0, 1)
    publisher.service(0)
    link.acknowledge(*link.last_ids(2))
    publisher.service(0)

    link.hear("A", "backfill", {"boot": 7, "from": 2, "to": 99})
    publisher.service(0)
    publisher.service(0)

    assert link.telemetry()[2:] == [("A", 2)]


def test_an_injected_duplicate_is_counted_apart(link, clock):
    publisher = started(link, clock)
    offer(publisher, 0)
    offer(publisher, 0, duplicate=True)
    publisher.service(0)

    counts = publisher.counts()
    assert (counts.published, counts.duplicates_injected, counts.resent) == (1, 1, 0)
    assert link.telemetry() == [("A", 1), ("A", 1)]


@pytest.mark.parametrize(
    "payload",
    [b"", b"{", b"\xff\xfe", b"[]", b'{"boot":7}', b'{"boot":"7","seq":1}', b'{"boot":7,"seq":1e99}'],
)
@pytest.mark.parametrize("leaf", ["confirm", "backfill"])
def test_a_message_that_makes_no_sense_is_counted_and_forgotten(link, clock, leaf, payload):
    publisher = started(link, clock)
    offer(publisher, 0)
    publisher.service(0)

    link.hear("A", leaf, payload)
    publisher.service(0)

    counts = publisher.counts()
    assert (counts.not_understood, counts.confirmed) == (1, 0)


def test_messages_for_others_are_left_alone(link, clock):
    publisher = started(link, clock)
    offer(publisher, 0)
    publisher.service(0)

    link.hear("somebody-else", "confirm", {"boot": 7, "seq": 1})
    link.events.append(Received("weather/today", b"rain"))
    publisher.service(0)

    counts = publisher.counts()
    assert (counts.not_understood, counts.confirmed) == (0, 0)


def test_the_end_says_goodbye_for_every_meter(link, clock):
    publisher = started(link, clock)
    births = len(link.sent)
    link.quick = True
    publisher.close()

    assert [(t, b, r) for _, t, b, r in link.sent[births:]] == [
        (f"gas/v1/north/{meter}/status", {"online": False}, True) for meter in "AB"
    ]
    assert link.closed


def test_each_meter_keeps_to_its_own_connection(clock):
    links = [FakeLink(), FakeLink()]
    batch = ReadingBatch.build(
        meter_key=[0, 1], device_time_us=[0, 0], boot=[1, 1], seq=[1, 1], volume_m3=[1.0, 2.0]
    )
    publisher = Publisher(batch, [Identity("north", "A"), Identity("north", "B")], links, clock=clock)
    offer(publisher, 0, 1)
    for each in links:
        each.comes_up()
    publisher.service(0)
    publisher.service(0)

    assert [each.telemetry() for each in links] == [[("A", 1)], [("B", 1)]]
