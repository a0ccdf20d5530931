"""`meterwarden demo`: the whole system on embedded parts, and what it found held against the truth."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import typer

from alerts.engine import Engine
from runtime.commands.registry import load_registry
from runtime.demo_parts import database_url, environment, is_free, is_ready
from runtime.demo_report import alarmed_pairs, arrived_count, database_figures, score, work_left
from runtime.embedded_broker import EmbeddedBroker, free_port
from runtime.exceptions import RuntimeFailure
from runtime.parts import stop_on_signals
from runtime.settings import Settings
from runtime.supervise import Supervisor, wait_until
from storage.database import Database
from storage.migrate import migrate
from storage.registry import upsert_meters

_PROGRESS_S = 2.0
_READY_TIMEOUT_S = 60.0
_SETTLE_TIMEOUT_S = 60.0
#: Without a bound the history is played in this time, and then the present begins.
_HISTORY_S = 40.0
#: Share of a bounded demo in which the history is played; the rest is real time and settling.
_HISTORY_SHARE = 0.6
#: Kept free at the end of a bounded demo: the rest arrives, the last checks run.
_SETTLE_S = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoOptions:
    """What the command line says."""

    for_s: float | None = None
    report: Path | None = None
    meters: int = 60
    days: float = 14.0
    seed: int = 1


@dataclass(slots=True)
class Demo:
    """One run of the demo."""

    settings: Settings
    options: DemoOptions
    directory: Path
    stop: threading.Event
    database: Database
    supervisor: Supervisor
    console_url: str
    #: When the simulated history ends and the present begins, RFC 3339.
    end: str
    began_s: float = field(default_factory=time.monotonic)


def run_demo(settings: Settings, options: DemoOptions) -> None:
    """Run until told to stop, or for as long as the options say; leaves no process behind."""
    stop = stop_on_signals()
    began_s, end = time.monotonic(), time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    directory = settings.data_dir.resolve() / "demo"
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "sent.json").unlink(missing_ok=True)
    with ExitStack() as stack:
        say("1/4", "starting the broker and the database")
        broker = stack.enter_context(EmbeddedBroker(directory))
        database = Database(database_url(settings, stack))
        stack.callback(database.close)
        migrate(database)
        port = settings.http_port if is_free(settings.http_port) else free_port()
        supervisor = Supervisor(environment(broker, database, settings, port), directory)
        stack.callback(supervisor.stop_all)
        console_url = f"http://127.0.0.1:{port}/"
        demo = Demo(settings, options, directory, stop, database, supervisor, console_url, end, began_s)
        _play(demo)


def say(step: str, sentence: str) -> None:
    """Tell the person at the terminal how far the demo is."""
    typer.echo(f"[{step}] {sentence}")


def _play(demo: Demo) -> None:
    say("2/4", f"registering {demo.options.meters} simulated meters")
    _register(demo)
    say("3/4", "starting ingest, engine and api")
    for name in ("ingest", "engine", "api"):
        demo.supervisor.start(name, [name])
    wait_until(lambda: demo.stop.is_set() or is_ready(demo.console_url), _READY_TIMEOUT_S, "readiness")
    if demo.stop.is_set():
        return
    bound_s = _left_s(demo)
    history_s = _HISTORY_S if bound_s is None else bound_s * _HISTORY_SHARE
    say("4/4", f"playing {demo.options.days:g} days of telemetry in {history_s:.0f} s, faults included")
    typer.echo(f"      console: {demo.console_url}   (Ctrl-C stops everything)")
    demo.supervisor.start("simulate", _simulate_arguments(demo, history_s))
    _watch(demo)
    _finish(demo)


def _register(demo: Demo) -> None:
    registry, truth = demo.directory / "meters.csv", demo.directory / "truth.json"
    arguments = ["simulate", "--files-only", "--registry-out", str(registry), "--truth", str(truth)]
    files = demo.supervisor.start("registry", [*arguments, *_fleet_arguments(demo)])
    if files.process.wait(_READY_TIMEOUT_S) != 0:
        msg = f"the simulator cannot make its fleet, see {demo.directory / 'registry.log'}"
        raise RuntimeFailure(msg)
    demo.supervisor.children.pop("registry")
    with demo.database.transaction() as transaction:
        upsert_meters(transaction, load_registry(registry).meters)


def _watch(demo: Demo) -> None:
    """Say every few seconds how far it is, and revive what dies."""
    while not demo.stop.wait(_PROGRESS_S):
        demo.supervisor.revive()
        seconds = time.monotonic() - demo.began_s
        figures = database_figures(demo.database)
        alarms, tasks = sum(figures["alarms_by_check"].values()), sum(figures["tasks_by_kind"].values())
        typer.echo(
            f"      {seconds:4.0f} s  {figures['stored']:>8,} readings  {figures['refused']:>4} refused  "
            f"{alarms:>4} alarms  {tasks:>4} tasks"
        )
        if demo.supervisor.children["simulate"].process.poll() == 0:
            return


def _finish(demo: Demo) -> None:
    """Let what is on its way arrive, then hold the alarms against the truth."""
    typer.echo("      stopping the meters, letting the rest arrive")
    demo.supervisor.stop("simulate")
    if not (demo.directory / "sent.json").exists():
        typer.echo("      stopped before the meters spoke")
        return
    sent = json.loads((demo.directory / "sent.json").read_text("utf-8"))
    _let_arrive(demo, sent["published"])
    wait_until(
        lambda: demo.stop.is_set() or work_left(demo.database) == 0, _SETTLE_TIMEOUT_S, "an empty work list"
    )
    demo.supervisor.stop("engine")
    # The engine looks at the clock every few seconds; the last look may lie before the last reading.
    # Ingest still lives: while it is away nobody counts as silent.
    Engine(demo.database).run_clock(datetime.now(UTC))
    demo.supervisor.stop("ingest")
    report = _report(demo, sent)
    _summarise(demo, report)
    if demo.options.report is not None:
        text = json.dumps(report, indent=2, ensure_ascii=False)
        demo.options.report.write_text(text + "\n", encoding="utf-8")
        typer.echo(f"      report: {demo.options.report}")


def _let_arrive(demo: Demo, published: int) -> None:
    """Wait while the broker still holds readings; it keeps nothing when it stops.

    After Ctrl-C it goes as far as it came: what is missing then shows in the summary.
    """
    deadline_s = time.monotonic() + _SETTLE_TIMEOUT_S
    arrived, before = arrived_count(demo.database), -1
    while before < arrived < published and not demo.stop.is_set() and time.monotonic() < deadline_s:
        before = arrived
        demo.stop.wait(_PROGRESS_S)
        arrived = arrived_count(demo.database)


def _report(demo: Demo, sent: Mapping[str, Any]) -> dict[str, Any]:
    truth = json.loads((demo.directory / "truth.json").read_text("utf-8"))
    return {
        "published": sent["published"],
        **database_figures(demo.database),
        **asdict(score(truth["expected"], alarmed_pairs(demo.database), truth["tolerated"])),
        "simulator": sent,
        "seconds": round(time.monotonic() - demo.began_s, 1),
        "console_url": demo.console_url,
    }


def _summarise(demo: Demo, report: Mapping[str, Any]) -> None:
    said = "{published:,} published, {stored:,} stored, {duplicates:,} came twice".format_map(report)
    if demo.stop.is_set() and report["simulator"]["published"] < report["simulator"]["readings"]:
        typer.echo(f"      {said}; stopped before the history was played to its end")
        return
    found, truth = sum(report["found"].values()), sum(report["truth"].values())
    typer.echo(f"      {said}; {found} of {truth} faults alarmed, {report['false_alarms']} false alarms")


def _fleet_arguments(demo: Demo) -> list[str]:
    options = demo.options
    return [
        *("--meters", str(options.meters), "--days", str(options.days), "--seed", str(options.seed)),
        *("--end", demo.end),
    ]


def _simulate_arguments(demo: Demo, history_s: float) -> list[str]:
    speed = demo.options.days * 86400 / history_s
    report = str(demo.directory / "sent.json")
    bound_s = _left_s(demo)
    return [
        "simulate",
        *_fleet_arguments(demo),
        *("--speed", f"{speed:.3f}", "--live", "--report", report),
        *([] if bound_s is None else ["--for", f"{bound_s:.1f}"]),
    ]


def _left_s(demo: Demo) -> float | None:
    """Give how long the meters may go on, so that the rest can arrive within the demo's time."""
    if demo.options.for_s is None:
        return None
    passed_s = time.monotonic() - demo.began_s
    return max(1.0, demo.options.for_s - passed_s - _SETTLE_S)
