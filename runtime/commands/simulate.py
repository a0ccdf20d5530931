"""`meterwarden simulate`: a simulated fleet, or a recorded one, speaks to a broker."""

from __future__ import annotations

import json
import signal
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import FrameType
from typing import Any

import typer

from firmware_sim.encode import status_payload
from firmware_sim.link import Address, Link, MqttLink, Will
from firmware_sim.meter import Telemetry, boot_of, generate
from firmware_sim.playback import Playback, Schedule
from firmware_sim.population import Population, build_population
from firmware_sim.publisher import Identity, Publisher
from firmware_sim.replay import as_telemetry, older_than
from firmware_sim.run import Limits, run
from firmware_sim.truth import write_truth
from fleet.meters import Meter
from fleet.registry import read_registry, write_registry
from fleet.wire import is_id, topic
from runtime.exceptions import RuntimeFailure

_PROGRESS_S = 5.0
#: How far ahead the present is generated when it is played without a bound.
_LIVE_HORIZON_S = 86_400.0
#: More connections than this would not fit into select().
_MOST_CONNECTIONS = 500


class SimulationError(RuntimeFailure):
    """The simulation cannot begin; the message says what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulateOptions:
    """What the command line says."""

    mqtt_url: str
    mqtt_version: int = 5
    company: str = "demo"
    meters: int = 60
    seed: int = 1
    days: float = 14.0
    #: End of the history; None for now. Two runs with the same end are the same run.
    end: datetime | None = None
    #: How many times as fast as it happened; 0 for at once. None: by `for_s`, or at once.
    speed: float | None = None
    for_s: float | None = None
    #: Go on in real time after the history, for `for_s` in all or until interrupted.
    live: bool = False
    #: Messages per second at most.
    rate: float | None = None
    fault_share: float = 0.3
    window: int = 1000
    #: One connection for each meter, with a last will, instead of one for all.
    one_connection_per_meter: bool = False
    drain_timeout_s: float = 30.0
    #: After so long without any news from the server, unconfirmed readings are sent again.
    confirm_timeout_s: float = 15.0
    truth: Path | None = None
    registry_out: Path | None = None
    report: Path | None = None
    #: Write the files and publish nothing.
    files_only: bool = False
    replay: Path | None = None
    replay_map: Path | None = None
    #: Shift a replay by a multiple of this.
    replay_align_s: float = 0.001
    #: Zone of times without an offset in the replayed file; None for the map's.
    timezone: str | None = None
    registry: Path | None = None
    reading_max_age_days: float = 90.0


@dataclass(slots=True)
class SimulationReport:
    """What was sent, in readings where nothing else is said."""

    source: str
    meters: int
    start: str | None
    end: str
    #: How many readings the history holds.
    readings: int = 0
    published: int = 0
    acknowledged: int = 0
    confirmed: int = 0
    unconfirmed: int = 0
    duplicates_injected: int = 0
    resent: int = 0
    messages: int = 0
    undelivered: int = 0
    not_understood: int = 0
    #: Whether all that was due was sent.
    complete: bool = False
    seconds: float = 0.0


@dataclass(slots=True)
class _Fleet:
    """Everything that speaks: who, what, and since when."""

    source: str
    identities: list[Identity]
    telemetry: Telemetry
    begin_us: int
    end_us: int


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

    Raises SimulationError for options that do not fit together or a file that cannot be read.
    A broker that is not there is no error: the run goes on trying until its time is over.
    """
    clock = _wall_clock()
    end_us = _whole_second(options.end, clock())
    fleet = _recorded(options, end_us, say) if options.replay else _invented(options, end_us)
    report = _new_report(fleet)
    if options.files_only:
        return _finish(report, options, say)
    publisher = Publisher(
        fleet.telemetry.readings,
        fleet.identities,
        _links(options, fleet),
        window=options.window,
        confirm_timeout_s=options.confirm_timeout_s,
    )
    playback = _playback(options, fleet, clock())
    progress = _Progress(report, publisher, say)
    began = time.monotonic()
    with _interruptible() as interrupt:
        try:
            limits = _limits(options, clock())
            run(playback, publisher, limits, now_us=clock, stop=interrupt.is_set, tick=progress.tick)
        finally:
            publisher.close()
            progress.take_stock()
            report.complete = playback.finished and publisher.idle
            report.seconds = round(time.monotonic() - began, 3)
            _finish(report, options, say)
    return report


def _invented(options: SimulateOptions, end_us: int) -> _Fleet:
    end = datetime.fromtimestamp(end_us / 1e6, UTC)
    start = end - timedelta(days=options.days)
    try:
        population = build_population(
            options.meters,
            options.seed,
            start=start,
            end=end,
            company=options.company,
            fault_share=options.fault_share,
        )
    except ValueError as error:
        raise SimulationError(str(error)) from error
    _write_files(population, options)
    horizon_s = (options.for_s or _LIVE_HORIZON_S) if options.live else 0.0
    telemetry = generate(population, until=end + timedelta(seconds=horizon_s))
    identities = [Identity(meter.company, meter.meter_id) for meter in population.meters]
    return _Fleet("generated", identities, telemetry, round(start.timestamp() * 1e6), end_us)


def _write_files(population: Population, options: SimulateOptions) -> None:
    if options.truth is not None:
        write_truth(population, options.truth)
    if options.registry_out is not None:
        with options.registry_out.open("w", encoding="utf-8", newline="") as out:
            write_registry(population.meters, out)


def _recorded(options: SimulateOptions, end_us: int, say: Callable[[str], None]) -> _Fleet:
    # Reading files is heavy (Arrow), and a generated fleet does without.
    from ingest.files import load_map, read_readings  # noqa: PLC0415

    if options.replay is None:
        msg = "there is no file to replay"
        raise SimulationError(msg)
    try:
        file_map = load_map(options.replay_map) if options.replay_map else None
        found = read_readings(options.replay, file_map, options.timezone)
        companies = _companies(options.registry)
    except (OSError, ValueError) as error:
        msg = f"{options.replay} cannot be replayed: {error}"
        raise SimulationError(msg) from error
    identities = [
        Identity(company or companies.get(meter_id) or options.company, meter_id)
        for meter_id, company in zip(found.meter_ids, found.companies, strict=True)
    ]
    strange = [who for who in identities if not (is_id(who.meter_id) and is_id(who.company))]
    if strange:
        msg = f"{strange[0].company}/{strange[0].meter_id} cannot stand in a topic; map it to another name"
        raise SimulationError(msg)
    align_us = max(1000, round(options.replay_align_s * 1e6))
    boot = boot_of(datetime.fromtimestamp(end_us / 1e6, UTC))
    telemetry = as_telemetry(found.readings, end_us=end_us, boot=boot, align_us=align_us)
    if not len(telemetry.readings):
        msg = f"{options.replay} holds no readings that can be sent"
        raise SimulationError(msg)
    too_old = older_than(telemetry.readings, options.reading_max_age_days, end_us)
    if too_old:
        say(
            f"{too_old} of {len(telemetry.readings)} readings lie more than "
            f"{options.reading_max_age_days:g} days back and will be refused: "
            "raise METERWARDEN_READING_MAX_AGE_DAYS where they are received"
        )
    begin_us = int(telemetry.sent_us.min())
    return _Fleet(str(options.replay.name), identities, telemetry, begin_us, end_us)


def _companies(registry: Path | None) -> dict[str, str]:
    if registry is None:
        return {}
    with registry.open(encoding="utf-8", newline="") as lines:
        found = read_registry(lines)
    if found.errors:
        msg = f"{registry}: {found.errors[0]}"
        raise ValueError(msg)
    return _by_meter(found.meters)


def _by_meter(meters: Sequence[Meter]) -> dict[str, str]:
    return {meter.meter_id: meter.company for meter in meters}


def _links(options: SimulateOptions, fleet: _Fleet) -> list[Link]:
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


def _playback(options: SimulateOptions, fleet: _Fleet, now_us: int) -> Playback:
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


def _new_report(fleet: _Fleet) -> SimulationReport:
    readings = fleet.telemetry.readings
    begin = int(readings.device_time_us.min()) if len(readings) else None
    return SimulationReport(
        source=fleet.source,
        meters=len(fleet.identities),
        start=None if begin is None else _iso(begin),
        end=_iso(fleet.end_us),
        readings=len(readings),
    )


class _Progress:
    """Keeps the report up to date, and says every few seconds how far it is."""

    def __init__(self, report: SimulationReport, publisher: Publisher, say: Callable[[str], None]) -> None:
        self._report, self._publisher, self._say = report, publisher, say
        self._next_s = time.monotonic() + _PROGRESS_S

    def tick(self) -> None:
        """Say something where it is time."""
        if time.monotonic() < self._next_s:
            return
        self._next_s = time.monotonic() + _PROGRESS_S
        self.take_stock()
        r = self._report
        self._say(f"simulate: {r.published} of {r.readings} readings sent, {r.confirmed} confirmed")

    def take_stock(self) -> None:
        """Copy the publisher's figures into the report."""
        for name, value in self._publisher.counts().as_dict().items():
            setattr(self._report, name, value)


def _finish(
    report: SimulationReport, options: SimulateOptions, say: Callable[[str], None]
) -> SimulationReport:
    if options.report is not None:
        options.report.write_text(json.dumps(asdict(report), indent=1) + "\n", encoding="utf-8")
    if not options.files_only:
        say(
            f"simulate: {report.published} readings sent in {report.seconds:.1f} s, {report.acknowledged} "
            f"acknowledged, {report.confirmed} confirmed, {report.unconfirmed} not confirmed"
        )
    return report


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


def _iso(moment_us: int) -> str:
    return datetime.fromtimestamp(moment_us / 1e6, UTC).isoformat()
