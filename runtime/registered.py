"""What the registry of the configured database knows, for commands that can do without it."""

from __future__ import annotations

from runtime.parts import open_database
from runtime.settings import Settings
from storage.named_sql import load_queries

_SQL = load_queries("runtime")


def companies_of_database(settings: Settings) -> dict[str, str]:
    """Give each registered meter's company; nothing where no database was ever set up.

    Raises StorageError where it cannot be reached or is not migrated.
    """
    if settings.database_url is None and not settings.data_dir.joinpath("postgres").exists():
        return {}
    with open_database(settings) as database, database.transaction() as transaction:
        rows = transaction.rows(_SQL["meter_companies"])
    return {row["meter_id"]: row["company"] for row in rows}
