"""Who speaks in `meterwarden simulate`, and what: an invented fleet or a recorded one."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from firmware_sim.meter import Telemetry, boot_of, generate
from firmware_sim.population import Population, build_population
from firmware_sim.publisher import Identity
from firmware_sim.replay import as_telemetry, older_than
from firmware_sim.truth import write_truth
from fleet.registry import read_registry, write_registry
from fleet.times import to_datetime
from fleet.wire import CLOCK_AHEAD_US, is_id
from runtime.exceptions import RuntimeFailure, WrongUsage

if TYPE_CHECKING:
    from ingest.files import FileReadings

_DEMO = "demo"
#: How far ahead the present is generated when it is played without a bound.
_LIVE_HORIZON_S = 86_400.0


class SimulationError(RuntimeFailure):
    """The simulation cannot begin; the message says what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulateOptions:
    """What the command line says."""

    mqtt_url: str
    mqtt_version: int = 5
    #: None: `demo`, or in a replay what the file or a registry says.
    company: str | None = None
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
    #: Asked in a replay for whose meters they are, where neither file nor options say.
    find_companies: Callable[[], Mapping[str, str]] = dict
    reading_max_age_days: float = 90.0


@dataclass(slots=True)
class SpeakingFleet:
    """Everything that speaks: who, what, and since when."""

    source: str
    identities: list[Identity]
    telemetry: Telemetry
    begin_us: int
    end_us: int


def invented(options: SimulateOptions, end_us: int) -> SpeakingFleet:
    """Build a simulated fleet, and write its registry and truth where asked to."""
    end = to_datetime(end_us)
    start = end - timedelta(days=options.days)
    try:
        population = build_population(
            options.meters,
            options.seed,
            start=start,
            end=end,
            company=options.company or _DEMO,
            fault_share=options.fault_share,
        )
    except ValueError as error:
        raise SimulationError(str(error)) from error
    _write_files(population, options)
    horizon_s = (options.for_s or _LIVE_HORIZON_S) if options.live else 0.0
    telemetry = generate(population, until=end + timedelta(seconds=horizon_s))
    identities = [Identity(meter.company, meter.meter_id) for meter in population.meters]
    return SpeakingFleet("generated", identities, telemetry, round(start.timestamp() * 1e6), end_us)


def recorded(options: SimulateOptions, path: Path, end_us: int, say: Callable[[str], None]) -> SpeakingFleet:
    """Read a file of readings and shift it so that it ends at `end_us`."""
    # Reading files is heavy (Arrow), and a generated fleet does without.
    from ingest.files import load_map, read_readings  # noqa: PLC0415

    try:
        file_map = load_map(options.replay_map) if options.replay_map else None
        latest_us = time.time_ns() // 1000 + CLOCK_AHEAD_US
        found = read_readings(path, file_map, options.timezone, latest_us=latest_us)
        companies = _companies(options.registry)
    except (OSError, ValueError) as error:
        msg = f"{path} cannot be replayed: {error}"
        raise SimulationError(msg) from error
    if found.refused:
        say(f"{path.name}: {len(found.refused)} values cannot be read, the first in {found.refused[0]}")
    identities = _identities(found, companies, options)
    strange = [who for who in identities if not (is_id(who.meter_id) and is_id(who.company))]
    if strange:
        msg = f"{strange[0].company}/{strange[0].meter_id} cannot stand in a topic; map it to another name"
        raise SimulationError(msg)
    align_us = max(1000, round(options.replay_align_s * 1e6))
    boot = boot_of(to_datetime(end_us))
    telemetry = as_telemetry(found.readings, end_us=end_us, boot=boot, align_us=align_us)
    if not len(telemetry.readings):
        msg = f"{path} holds no readings that can be sent"
        raise SimulationError(msg)
    _warn_of_age(telemetry, options, end_us, say)
    return SpeakingFleet(path.name, identities, telemetry, int(telemetry.sent_us.min()), end_us)


def _identities(
    found: FileReadings, companies: Mapping[str, str], options: SimulateOptions
) -> list[Identity]:
    """Say whose each meter is: by the file, the registry's CSV, the option, or the database.

    Raises WrongUsage where none of them knows.
    """
    known = [
        company or companies.get(meter) or options.company
        for meter, company in zip(found.meter_ids, found.companies, strict=True)
    ]
    if None in known:
        companies = options.find_companies()
        known = [name or companies.get(meter) for name, meter in zip(known, found.meter_ids, strict=True)]
    unknown = [meter for name, meter in zip(known, found.meter_ids, strict=True) if name is None]
    if unknown:
        msg = (
            f"nothing says whose meter {unknown[0]} is ({len(unknown)} such): "
            "name the registry with --meters-csv, or one --company"
        )
        raise WrongUsage(msg)
    return [Identity(name or "", meter) for name, meter in zip(known, found.meter_ids, strict=True)]


def _write_files(population: Population, options: SimulateOptions) -> None:
    try:
        if options.truth is not None:
            write_truth(population, options.truth)
        if options.registry_out is not None:
            with options.registry_out.open("w", encoding="utf-8", newline="") as out:
                write_registry(population.meters, out)
    except OSError as error:
        msg = f"{error.filename} cannot be written: {error.strerror}"
        raise SimulationError(msg) from error


def _companies(registry: Path | None) -> dict[str, str]:
    if registry is None:
        return {}
    with registry.open(encoding="utf-8", newline="") as lines:
        found = read_registry(lines)
    if found.errors:
        msg = f"{registry}: {found.errors[0]}"
        raise ValueError(msg)
    return {meter.meter_id: meter.company for meter in found.meters}


def _warn_of_age(
    telemetry: Telemetry, options: SimulateOptions, end_us: int, say: Callable[[str], None]
) -> None:
    too_old = older_than(telemetry.readings, options.reading_max_age_days, end_us)
    if too_old:
        say(
            f"{too_old} of {len(telemetry.readings)} readings lie more than "
            f"{options.reading_max_age_days:g} days back and will be refused: "
            "raise METERWARDEN_READING_MAX_AGE_DAYS where they are received"
        )
