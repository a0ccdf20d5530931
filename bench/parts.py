"""What measuring speed and breaking parts have in common."""

from __future__ import annotations

import argparse
from pathlib import Path

import psycopg2

from fleet.meters import CustomerKind, Meter, ReadingClass, Technology


def positive(text: str) -> int:
    """Read a command line's number that has to be at least 1."""
    number = int(text)
    if number < 1:
        msg = "has to be at least 1"
        raise argparse.ArgumentTypeError(msg)
    return number


def absolute(text: str) -> str:
    """Name a program so that it is found from any directory, without following a venv's symlink."""
    return str(Path(text).absolute())


def administer(url: str, *statements: str) -> None:
    """Run statements that no transaction may hold."""
    connection = psycopg2.connect(url)
    connection.autocommit = True
    try:
        with connection.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)
    finally:
        connection.close()


def hotel_meter(company: str, meter_id: str, interval_s: int | None = None) -> Meter:
    """Make a registry row of which only the meter's id, and perhaps its interval, matters."""
    return Meter(
        meter_id=meter_id,
        company=company,
        customer=f"Hotel {meter_id}",
        customer_kind=CustomerKind.COMMERCIAL,
        reading_class=ReadingClass.DAILY,
        technology=Technology.ROOTS,
        g_size="G100",
        interval_s=interval_s,
    )
