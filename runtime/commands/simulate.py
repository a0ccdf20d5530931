"""`meterwarden simulate`: a simulated fleet, or a recorded one, speaks to a broker."""

from __future__ import annotations

import signal
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from types import FrameType
from typing import Any

import typer

from firmware_sim.connection import Address, Link, Will
from firmware_sim.encode import status_payload
from firmware_sim.link import MqttLink
from firmware_sim.playback import Playback, Schedule
from firmware_sim.publisher import Publisher
from firmware_sim.run import Limits, run
from fleet.wire import topic
from runtime.commands.simulate_fleet import (
    SimulateOptions,
    SimulationError,
    SpeakingFleet,
    invented,
    recorded,
)
from runtime.commands.simulate_report import Progress, SimulationReport, demand_success, finish, new_report

__all__ = ["SimulateOptions", "SimulationError", "SimulationReport", "simulate"]

#: More connections than this would not fit into select().
_MOST_CONNECTIONS = 500


@dataclass(slots=True)
class _Interrupt:
    """Set by SIGTERM and SIGINT."""

    asked: bool = field(default=False)

    def set(self, _number: int = 0, _frame: FrameType | None = None) -> None:
        """Ask the run to end."""
        self.asked = True

    def is_set(self) -> bool:
        """Tell whether the run was asked to end."""
        return self.asked


def simulate(
    options: SimulateOptions, *, say: Callable[[str], None] = lambda text: typer.echo(text, err=True)
) -> SimulationReport:
    """Publish a simulated or recorded history; returns what became of it.

    Raises SimulationError for a file that cannot be read, WrongUsage for options that do not fit
    together. A broker that is not there is waited for until the run's time is over; only then is
    it an error, like a replay of which nothing was confirmed.
    """
    clock = _wall_clock()
    end_us = _whole_second(options.end, clock())
    fleet = recorded(options, options.replay, end_us, say) if options.replay else invented(options, end_us)
    report = new_report(fleet)
    if options.files_only:
        return finish(report, options, say)
    publisher = Publisher(
        fleet.telemetry.readings,
        fleet.identities,
        _links(options, fleet),
        window=options.window,
        confirm_timeout_s=options.confirm_timeout_s,
    )
    playback = _playback(options, fleet, clock())
    progress = Progress(report, publisher, say)
    began = time.monotonic()
    with _interruptible() as interrupt:
        try:
            limits = _limits(options, clock())
            run(playback, publisher, limits, now_us=clock, stop=interrupt.is_set, tick=progress.tick)
        finally:
            publisher.close()
            progress.take_stock()
            report.complete = report.published >= report.readings
            report.seconds = round(time.monotonic() - began, 3)
            finish(report, options, say)
    if not interrupt.is_set():
        demand_success(report, options)
    return report


def _links(options: SimulateOptions, fleet: SpeakingFleet) -> list[Link]:
    try:
        address = Address.parse(options.mqtt_url)
    except ValueError as error:
        raise SimulationError(str(error)) from error
    run_id = uuid.uuid4().hex[:8]
    if not options.one_connection_per_meter:
        filters = [
            topic(company, "+", leaf)
            for company in sorted({who.company for who in fleet.identities})
            for leaf in ("confirm", "backfill")
        ]
        return [MqttLink(address, f"meterwarden-sim-{run_id}", filters, version=options.mqtt_version)]
    if len(fleet.identities) > _MOST_CONNECTIONS:
        msg = (
            f"{len(fleet.identities)} meters are too many for a connection each: {_MOST_CONNECTIONS} at most"
        )
        raise SimulationError(msg)
    return [
        MqttLink(
            address,
            f"sim-{run_id}-{number}",
            [topic(who.company, who.meter_id, leaf) for leaf in ("confirm", "backfill")],
            version=options.mqtt_version,
            will=Will(topic(who.company, who.meter_id, "status"), status_payload(online=False)),
        )
        for number, who in enumerate(fleet.identities)
    ]


def _playback(options: SimulateOptions, fleet: SpeakingFleet, now_us: int) -> Playback:
    speed = options.speed
    if speed is None:
        spread = options.for_s is not None and not options.live
        speed = (fleet.end_us - fleet.begin_us) / 1e6 / options.for_s if spread and options.for_s else 0.0
    return Playback(
        Schedule.of(fleet.telemetry),
        begin_us=fleet.begin_us,
        end_us=fleet.end_us,
        started_us=now_us,
        speed=speed,
        rate=options.rate,
    )


def _limits(options: SimulateOptions, now_us: int) -> Limits:
    """Bound a run: exactly where it goes on in real time, generously where it only has to finish."""
    if options.for_s is None:
        return Limits(drain_timeout_s=options.drain_timeout_s)
    grace_s = 0.0 if options.live else options.drain_timeout_s
    until_us = now_us + round((options.for_s + grace_s) * 1e6)
    return Limits(until_us=until_us, drain_timeout_s=options.drain_timeout_s)


@contextmanager
def _interruptible() -> Iterator[_Interrupt]:
    """Let SIGTERM and SIGINT end the run instead of the process."""
    interrupt = _Interrupt()
    before: dict[signal.Signals, Any] = {}
    for number in (signal.SIGTERM, signal.SIGINT):
        try:
            before[number] = signal.signal(number, interrupt.set)
        except ValueError:  # not the main thread: somebody else looks after signals
            break
    try:
        yield interrupt
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _wall_clock() -> Callable[[], int]:
    """Give microseconds since 1970 UTC that never step back while the run lasts."""
    offset_ns = time.time_ns() - time.monotonic_ns()
    return lambda: (time.monotonic_ns() + offset_ns) // 1000


def _whole_second(end: datetime | None, now_us: int) -> int:
    moment_us = now_us if end is None else round(end.timestamp() * 1e6)
    return moment_us - moment_us % 1_000_000
