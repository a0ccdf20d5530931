"""The command line: `meterwarden COMMAND`; exit code 0 done, 1 failed, 2 wrong usage."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from ingest.exceptions import IngestError
from runtime.cli_simulate import simulate
from runtime.exceptions import RuntimeFailure, WrongUsage
from runtime.startup import start
from storage.exceptions import DatabaseUnavailableError, StorageError

app = typer.Typer(
    name="meterwarden",
    help="Watches the gas meters of commercial customers.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
registry = typer.Typer(help="The registry of meters.", no_args_is_help=True)
app.add_typer(registry, name="registry")
app.command()(simulate)

Meters = Annotated[Path, typer.Option("--meters", help="Registry CSV.", exists=True, dir_okay=False)]
FileMap = Annotated[
    Path | None, typer.Option("--map", help="Names the file's columns.", exists=True, dir_okay=False)
]
Zone = Annotated[str | None, typer.Option("--tz", help="Time zone of times without an offset.")]


def main() -> None:
    """Run the command line; what failed is one line on standard error."""
    try:
        app()
    except (RuntimeFailure, StorageError, IngestError) as error:
        hint = "; check METERWARDEN_DATABASE_URL" if isinstance(error, DatabaseUnavailableError) else ""
        typer.echo(f"meterwarden: {error}{hint}", err=True)
        sys.exit(2 if isinstance(error, WrongUsage) else 1)


@app.command()
def migrate() -> None:
    """Bring the database to the newest version; safe to repeat."""
    from runtime.commands.migrate import run_migrate  # noqa: PLC0415 (each command loads its own)

    run_migrate(start())


@app.command()
def ingest() -> None:
    """Take telemetry from MQTT, commit it, and only then acknowledge it."""
    from runtime.commands.ingest import run_ingest  # noqa: PLC0415

    run_ingest(start())


@app.command()
def engine() -> None:
    """Run the checks on what arrives, and turn findings into alarms and tasks."""
    from runtime.commands.engine import run_engine  # noqa: PLC0415

    run_engine(start())


@app.command()
def api() -> None:
    """Serve the HTTP interface and the console."""
    from runtime.commands.api import run_api  # noqa: PLC0415

    run_api(start())


@app.command()
def demo(
    for_s: Annotated[
        float | None, typer.Option("--for", help="Stop by itself after SECONDS.", min=20)
    ] = None,
    report: Annotated[Path | None, typer.Option(help="Write what was found as JSON.")] = None,
    meters: Annotated[int, typer.Option(help="How many meters to simulate.", min=1)] = 60,
    days: Annotated[float, typer.Option(help="How much history to play.", min=1, max=80)] = 14.0,
    seed: Annotated[int, typer.Option(help="Same seed, same fleet and faults.")] = 1,
) -> None:
    """Run the whole system on embedded parts with simulated meters."""
    from runtime.commands.demo import DemoOptions, run_demo  # noqa: PLC0415

    run_demo(start(), DemoOptions(for_s=for_s, report=report, meters=meters, days=days, seed=seed))


@registry.command("import")
def registry_import(
    path: Annotated[Path, typer.Argument(help="Registry CSV.", exists=True, dir_okay=False)],
    *,
    partial: Annotated[bool, typer.Option("--partial", help="Import the good rows of a bad file.")] = False,
) -> None:
    """Import meters; every bad row is reported by line, column and reason."""
    from runtime.commands.registry import run_registry_import  # noqa: PLC0415

    run_registry_import(start(), path, partial=partial)


@app.command("import")
def import_readings(
    path: Annotated[
        Path, typer.Argument(metavar="FILE", help="CSV or Parquet, of any size.", exists=True, dir_okay=False)
    ],
    file_map: FileMap = None,
    tz: Zone = None,
    refusals: Annotated[Path | None, typer.Option(help="Write every refused row as CSV.")] = None,
) -> None:
    """Import readings into the database; what was broken off goes on where it ended."""
    from runtime.commands.import_readings import run_import  # noqa: PLC0415

    run_import(start(), path, file_map, tz, refusals)


@app.command()
def obligations(
    meters: Meters,
    first: Annotated[str, typer.Option("--from", help="First day, YYYY-MM-DD.")],
    to: Annotated[str, typer.Option("--to", help="Day after the last, YYYY-MM-DD.")],
    out: Annotated[Path | None, typer.Option(help="CSV to write; standard output without it.")] = None,
) -> None:
    """List what has to be inspected and checked, from the registry alone."""
    from runtime.commands.obligations import obligations as run  # noqa: PLC0415

    raise typer.Exit(run(meters, first, to, out))


@app.command()
def check(
    readings: Annotated[Path, typer.Argument(help="CSV or Parquet.", exists=True, dir_okay=False)],
    meters: Meters,
    file_map: FileMap = None,
    tz: Zone = None,
    out: Annotated[Path | None, typer.Option(help="Findings CSV; standard output without it.")] = None,
    now: Annotated[str | None, typer.Option(help="Judge due dates as of this time.")] = None,
    rollups: Annotated[
        Path | None, typer.Option(help="Also write volumes of hours, days and months, CSV.", dir_okay=False)
    ] = None,
    policy: Annotated[Path | None, typer.Option(help="Limits as TOML, see docs/policies.md.")] = None,
    policy_before: Annotated[
        Path | None, typer.Option(help="Compare with this policy instead of the defaults.")
    ] = None,
    compare: Annotated[
        Path | None, typer.Option(help="Write what the policy changes, finding by finding, as CSV.")
    ] = None,
) -> None:
    """Run every check on a file, with no database and no broker."""
    from runtime.commands.check import check as run  # noqa: PLC0415
    from runtime.policy_check import PolicyOptions  # noqa: PLC0415

    policies = PolicyOptions(policy=policy, before=policy_before, compare=compare)
    raise typer.Exit(run(readings, meters, file_map, tz, out, now, rollups, policies))


if __name__ == "__main__":
    main()
