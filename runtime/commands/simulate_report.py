"""What a simulation sent, and what became of it."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass

from firmware_sim.connection import Address
from firmware_sim.counts import Counts
from firmware_sim.publisher import Publisher
from fleet.times import to_datetime
from runtime.commands.simulate_fleet import SimulateOptions, SimulationError, SpeakingFleet

_PROGRESS_S = 5.0


@dataclass(slots=True, kw_only=True)
class SimulationReport(Counts):
    """What was sent, in readings where nothing else is said."""

    source: str
    meters: int
    start: str | None
    end: str
    #: How many readings the history holds, without the present that may follow it.
    readings: int = 0
    #: Whether the whole history was sent.
    complete: bool = False
    seconds: float = 0.0


def new_report(fleet: SpeakingFleet) -> SimulationReport:
    """Begin a report of what a fleet is to send."""
    readings = fleet.telemetry.readings
    begin = int(readings.device_time_us.min()) if len(readings) else None
    return SimulationReport(
        source=fleet.source,
        meters=len(fleet.identities),
        start=None if begin is None else _iso(begin),
        end=_iso(fleet.end_us),
        readings=int((readings.device_time_us <= fleet.end_us).sum()),
    )


class Progress:
    """Keeps the report up to date, and says every few seconds how far it is."""

    def __init__(self, report: SimulationReport, publisher: Publisher, say: Callable[[str], None]) -> None:
        """Keep the report of a publisher."""
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


def finish(
    report: SimulationReport, options: SimulateOptions, say: Callable[[str], None]
) -> SimulationReport:
    """Write the report where it is wanted, and say what became of the run."""
    if options.report is not None:
        options.report.write_text(json.dumps(asdict(report), indent=1) + "\n", encoding="utf-8")
    if not options.files_only:
        say(
            f"simulate: {report.published} readings sent in {report.seconds:.1f} s, {report.acknowledged} "
            f"acknowledged, {report.confirmed} confirmed, {report.unconfirmed} not confirmed"
        )
    return report


def demand_success(report: SimulationReport, options: SimulateOptions) -> None:
    """Raise SimulationError for a run that reached nobody, if it waited to know."""
    if not options.drain_timeout_s:
        return
    # Where the broker is there, the meters say at least that they are online.
    if not report.acknowledged and (report.published or not report.messages):
        msg = f"no broker took anything at {Address.parse(options.mqtt_url).host}; is it there?"
        raise SimulationError(msg)
    if options.replay and report.published and not report.confirmed:
        msg = "nothing was confirmed: does ingest run, and are these meters in its registry?"
        raise SimulationError(msg)


def _iso(moment_us: int) -> str:
    return to_datetime(moment_us).isoformat()
