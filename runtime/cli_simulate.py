"""The options of `meterwarden simulate`; a file of its own because there are many."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from runtime.parts import broker_url
from runtime.startup import start

_FILES, _FLEET, _PLAY, _REPLAY = "Files", "Fleet", "Playing", "Replaying a file"
_TIMES = ["%Y-%m-%dT%H:%M:%SZ", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%d"]


def simulate(
    meters: Annotated[int, typer.Option(help="How many.", min=1, rich_help_panel=_FLEET)] = 60,
    company: Annotated[
        str | None,
        typer.Option(help="Whose; demo, or by a replay's registry.", rich_help_panel=_FLEET),
    ] = None,
    seed: Annotated[int, typer.Option(help="Same seed, same telemetry.", rich_help_panel=_FLEET)] = 1,
    fault_share: Annotated[
        float, typer.Option(help="Share of meters with a fault.", min=0, max=1, rich_help_panel=_FLEET)
    ] = 0.3,
    days: Annotated[float, typer.Option(help="Length of the history.", min=0, rich_help_panel=_PLAY)] = 14.0,
    end: Annotated[
        datetime | None,
        typer.Option(help="End of the history, UTC; now.", formats=_TIMES, rich_help_panel=_PLAY),
    ] = None,
    speed: Annotated[
        float | None,
        typer.Option(help="Times as fast as it happened; 0: at once.", min=0, rich_help_panel=_PLAY),
    ] = None,
    for_s: Annotated[
        float | None, typer.Option("--for", help="Stop after SECONDS.", min=0, rich_help_panel=_PLAY)
    ] = None,
    rate: Annotated[
        float | None, typer.Option(help="Messages per second at most.", min=0.001, rich_help_panel=_PLAY)
    ] = None,
    window: Annotated[int, typer.Option(help="Unacknowledged at most.", min=1, rich_help_panel=_PLAY)] = 1000,
    drain_timeout: Annotated[
        float, typer.Option(help="Wait so long for confirmations.", min=0, rich_help_panel=_PLAY)
    ] = 30.0,
    mqtt_version: Annotated[
        int | None, typer.Option(help="5, or 3 for 3.1.1.", rich_help_panel=_PLAY)
    ] = None,
    replay: Annotated[
        Path | None, typer.Option(help="Readings to publish.", exists=True, rich_help_panel=_REPLAY)
    ] = None,
    replay_map: Annotated[
        Path | None, typer.Option("--map", help="Names its columns.", exists=True, rich_help_panel=_REPLAY)
    ] = None,
    tz: Annotated[
        str | None, typer.Option(help="Of times without an offset.", rich_help_panel=_REPLAY)
    ] = None,
    align: Annotated[
        float,
        typer.Option(help="Shift by a multiple of SECONDS.", min=0.001, rich_help_panel=_REPLAY),
    ] = 3600.0,
    registry: Annotated[
        Path | None,
        typer.Option(
            "--meters-csv",
            help="Each meter's company; else the database's.",
            exists=True,
            rich_help_panel=_REPLAY,
        ),
    ] = None,
    truth: Annotated[Path | None, typer.Option(help="Faults, as JSON.", rich_help_panel=_FILES)] = None,
    registry_out: Annotated[Path | None, typer.Option(help="Registry CSV.", rich_help_panel=_FILES)] = None,
    report: Annotated[Path | None, typer.Option(help="What was sent, JSON.", rich_help_panel=_FILES)] = None,
    *,
    live: Annotated[bool, typer.Option("--live", help="Go on in real time.", rich_help_panel=_PLAY)] = False,
    each: Annotated[
        bool, typer.Option("--one-connection-per-meter", help="With a last will.", rich_help_panel=_PLAY)
    ] = False,
    files_only: Annotated[
        bool, typer.Option("--files-only", help="Publish nothing.", rich_help_panel=_FILES)
    ] = False,
) -> None:
    """Publish a simulated fleet with labelled faults, or replay a file, over MQTT."""
    from runtime.commands import simulate as command  # noqa: PLC0415 (each command loads its own)
    from runtime.registered import companies_of_database  # noqa: PLC0415

    settings = start()
    command.simulate(
        command.SimulateOptions(
            mqtt_url=broker_url(settings),
            mqtt_version=mqtt_version or settings.mqtt_version,
            company=company,
            meters=meters,
            seed=seed,
            days=days,
            end=None if end is None else end.replace(tzinfo=UTC),
            speed=speed,
            for_s=for_s,
            live=live,
            rate=rate,
            fault_share=fault_share,
            window=window,
            one_connection_per_meter=each,
            drain_timeout_s=drain_timeout,
            truth=truth,
            registry_out=registry_out,
            report=report,
            files_only=files_only,
            replay=replay,
            replay_map=replay_map,
            timezone=tz,
            replay_align_s=align,
            registry=registry,
            find_companies=lambda: companies_of_database(settings),
            reading_max_age_days=settings.reading_max_age_days,
        )
    )
