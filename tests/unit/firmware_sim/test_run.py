"""The loop around playback and publisher, with a clock that only moves when somebody waits."""

from dataclasses import dataclass, field

import numpy as np

from firmware_sim.connection import Acknowledged, Event, Received, Up
from firmware_sim.meter import Telemetry
from firmware_sim.playback import Playback, Schedule
from firmware_sim.publisher import Identity, Publisher
from firmware_sim.run import Limits, run
from fleet.readings import ReadingBatch

S = 1_000_000


@dataclass
class World:
    """A clock, and a broker with a server behind it that confirms what it is told to confirm."""

    confirms: bool = True
    now_us: int = 1_000 * S
    up: bool = False
    seqs: list[int] = field(default_factory=list)
    sent_at_us: list[int] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)

    def clock_us(self) -> int:
        return self.now_us

    def clock_s(self) -> float:
        return self.now_us / S

    def service(self, timeout_s: float) -> list[Event]:
        if not self.up:
            self.up = True
            return [Up(None)]
        events, self.events = self.events, []
        if not events:
            self.now_us += int(timeout_s * S)
        return events

    def send(self, topic: str, payload: bytes, *, retain: bool) -> int | None:  # noqa: ARG002 (a Link's)
        packet_id = len(self.sent_at_us) + 1
        self.sent_at_us.append(self.now_us)
        self.events.append(Acknowledged(packet_id, 0))
        if topic.endswith("telemetry"):
            self.seqs.append(len(self.seqs) + 1)
            if self.confirms:
                text = b'{"boot":1,"seq":%d}' % self.seqs[-1]
                self.events.append(Received("gas/v1/north/A/confirm", text))
        return packet_id

    def close(self) -> None:
        self.up = False


def parts(world: World, n: int = 5, every_s: int = 10, speed: float = 0.0) -> tuple[Playback, Publisher]:
    begin_us = 500 * S
    times = begin_us + np.arange(n) * every_s * S
    batch = ReadingBatch.build(
        meter_key=np.zeros(n),
        device_time_us=times,
        boot=np.ones(n),
        seq=np.arange(n) + 1,
        volume_m3=np.ones(n),
    )
    nothing = np.empty(0, dtype=np.int64)
    schedule = Schedule.of(Telemetry(batch, times, nothing, nothing))
    played = Playback(
        schedule, begin_us=begin_us, end_us=begin_us + n * every_s * S, started_us=world.now_us, speed=speed
    )
    return played, Publisher(batch, [Identity("north", "A")], [world], clock=world.clock_s)


def test_a_run_ends_when_everything_is_confirmed():
    world = World()
    played, publisher = parts(world)

    run(played, publisher, Limits(), now_us=world.clock_us)

    assert world.seqs == [1, 2, 3, 4, 5]
    assert (publisher.counts().confirmed, publisher.unconfirmed) == (5, 0)


def test_a_run_waits_for_confirmations_only_so_long():
    world = World(confirms=False)
    played, publisher = parts(world)
    began_us = world.now_us

    run(played, publisher, Limits(drain_timeout_s=7), now_us=world.clock_us)

    assert publisher.unconfirmed == 5
    assert 7 * S <= world.now_us - began_us < 8 * S


def test_an_accelerated_history_takes_the_time_it_should():
    world = World()
    played, publisher = parts(world, n=5, every_s=10, speed=10)
    began_us = world.now_us

    run(played, publisher, Limits(), now_us=world.clock_us)

    assert len(world.seqs) == 5
    assert 4 * S <= world.now_us - began_us < 5 * S


def test_a_bound_ends_the_sending_and_what_was_sent_is_still_confirmed():
    world = World()
    played, publisher = parts(world, n=5, every_s=10, speed=10)

    run(played, publisher, Limits(until_us=world.now_us + 2 * S + S // 2), now_us=world.clock_us)

    assert world.seqs == [1, 2, 3]
    assert publisher.unconfirmed == 0
    assert not played.finished


def test_whoever_asks_to_stop_is_heard_at_once():
    world = World(confirms=False)
    played, publisher = parts(world, n=5, every_s=10, speed=10)

    run(played, publisher, Limits(), now_us=world.clock_us, stop=lambda: len(world.seqs) == 2)

    assert world.seqs == [1, 2]
