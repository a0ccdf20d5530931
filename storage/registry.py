"""The registry in the database: companies and meters."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from fleet.meters import FIELDS, CustomerKind, Meter, ReadingClass, Technology
from storage.database import Row, Transaction
from storage.named_sql import load_queries

_SQL = load_queries("storage")
_COLUMNS = ", ".join(FIELDS)
_TEMPLATE = "(" + ", ".join(f"%({name})s" for name in FIELDS) + ")"
_UPDATES = ", ".join(f"{name} = excluded.{name}" for name in FIELDS if name != "meter_id")


@dataclass(frozen=True, slots=True)
class RegisteredMeter:
    """A meter of the registry and the number that telemetry knows it by."""

    meter_key: int
    meter: Meter
    #: Time zone of its company.
    timezone: str


def upsert_meters(transaction: Transaction, meters: Sequence[Meter]) -> int:
    """Write meters, and their companies; a known `meter_id` is updated. Gives how many were written."""
    companies = [{"code": code} for code in sorted({meter.company for meter in meters})]
    transaction.execute_many(
        "INSERT INTO company (code) VALUES %s ON CONFLICT DO NOTHING", companies, "(%(code)s)"
    )
    transaction.execute_many(
        f"INSERT INTO meter ({_COLUMNS}) VALUES %s "  # noqa: S608 (column names of our own)
        f"ON CONFLICT (meter_id) DO UPDATE SET {_UPDATES}, updated_at = now()",
        [asdict(meter) for meter in meters],
        _TEMPLATE,
    )
    # A meter that changes hands takes along what is open of it.
    for name in ("alarms_follow_meter", "tasks_follow_meter"):
        transaction.execute(_SQL[name], {"meter_ids": [meter.meter_id for meter in meters]})
    return len(meters)


def load_meters(transaction: Transaction, meter_keys: Sequence[int] | None = None) -> list[RegisteredMeter]:
    """Load meters in the order of their numbers: those named, or all."""
    rows = transaction.rows(
        f"SELECT meter_key, {_COLUMNS}, "  # noqa: S608 (column names of our own)
        "(SELECT timezone FROM company WHERE code = meter.company) AS timezone FROM meter "
        "WHERE %(keys)s::integer[] IS NULL OR meter_key = ANY(%(keys)s) ORDER BY meter_key",
        {"keys": None if meter_keys is None else list(meter_keys)},
    )
    return [RegisteredMeter(row["meter_key"], meter_from_row(row), row["timezone"]) for row in rows]


def meter_from_row(row: Row) -> Meter:
    """Build a meter from a row that has the registry's columns."""
    values: dict[str, Any] = {name: row[name] for name in FIELDS}
    values["customer_kind"] = CustomerKind(values["customer_kind"])
    values["reading_class"] = ReadingClass(values["reading_class"])
    values["technology"] = Technology(values["technology"])
    return Meter(**values)
