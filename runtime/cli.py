"""The command line: `meterwarden COMMAND`; exit code 0 done, 1 failed, 2 wrong usage."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from ingest.exceptions import IngestError
from runtime.exceptions import RuntimeFailure
from runtime.logs import configure_logs
from runtime.settings import Settings, load_settings
from storage.exceptions import StorageError

app = typer.Typer(
    name="meterwarden",
    help="Watches the gas meters of commercial customers.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
registry = typer.Typer(help="The registry of meters.", no_args_is_help=True)
app.add_typer(registry, name="registry")

Meters = Annotated[Path, typer.Option("--meters", help="Registry CSV.", exists=True, dir_okay=False)]


def main() -> None:
    """Run the command line; what failed is one line on standard error."""
    try:
        app()
    except (RuntimeFailure, StorageError, IngestError) as error:
        typer.echo(f"meterwarden: {error}", err=True)
        sys.exit(1)


def _settings() -> Settings:
    settings = load_settings()
    configure_logs(settings.log_format, settings.log_level)
    return settings


@app.command()
def migrate() -> None:
    """Bring the database to the newest version; safe to repeat."""
    from runtime.commands.migrate import run_migrate  # noqa: PLC0415 (each command loads its own)

    run_migrate(_settings())


@app.command()
def ingest() -> None:
    """Take telemetry from MQTT, commit it, and only then acknowledge it."""
    from runtime.commands.ingest import run_ingest  # noqa: PLC0415

    run_ingest(_settings())


@registry.command("import")
def registry_import(
    path: Annotated[Path, typer.Argument(help="Registry CSV.", exists=True, dir_okay=False)],
    *,
    partial: Annotated[bool, typer.Option("--partial", help="Import the good rows of a bad file.")] = False,
) -> None:
    """Import meters; every bad row is reported by line, column and reason."""
    from runtime.commands.registry import run_registry_import  # noqa: PLC0415

    run_registry_import(_settings(), path, partial=partial)


if __name__ == "__main__":
    main()
