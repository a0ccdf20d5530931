"""Volumes of real meters against a recomputation that shares nothing with the product: csv, Decimal, dictionaries."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from datetime import datetime
from decimal import Context, Decimal
from itertools import pairwise
from pathlib import Path

import pytest

from runtime.commands.check import check

pytestmark = pytest.mark.realdata

EXAMPLES = Path(__file__).parents[2] / "docs" / "examples"
#: One export holds numbers like 286287.63300000003: what a double cannot hold was never on the register.
SHOWN = Context(prec=15)
KEYS = {"hour": "%Y-%m-%dT%H", "day": "%Y-%m-%d", "month": "%Y-%m"}

#: File, its column of the register, and how many hours, days and months it holds.
CORRECTORS = [
    ("7048_hourly", "Working_Sum", (2774, 115, 4)),
    ("004180800230671_hourly", "Working_Sum", (2109, 91, 4)),
    ("00418110260064_idle", "Working_Sum", (1871, 159, 6)),
    ("1811039610250374_daily", "Standard_Sum", (119, 119, 4)),
]


def _readings(path: Path, register: str) -> Iterator[tuple[datetime, Decimal]]:
    """Yield time and register of each row that is no all-zero frame."""
    with path.open(encoding="utf-8-sig", newline="") as lines:
        for row in csv.DictReader(lines):
            zero = all(float(row[name]) == 0 for name in ("Working_Sum", "Pressure", "Temperature"))
            if not zero:
                numbers = [int(part) for part in re.findall("[0-9]+", row["Data_Date"])]
                yield datetime(*numbers), Decimal(row[register])


def _volumes(readings: list[tuple[datetime, Decimal]], pattern: str) -> list[tuple]:
    """List (begin, register, end, register, volume) of each period that is followed by another."""
    firsts: dict[str, tuple[datetime, Decimal]] = {}
    for time, register in sorted(readings):
        firsts.setdefault(time.strftime(pattern), (time, register))
    found = list(firsts.values())
    return [
        (begin, one, end, other, SHOWN.plus(other) - SHOWN.plus(one))
        for (begin, one), (end, other) in pairwise(found)
    ]


@pytest.fixture
def written(real_data: Path, tmp_path: Path):
    """Run `meterwarden check --rollups` on a real file, perhaps a changed one; gives its rows."""

    def run(folder: str, name: str, source: Path | None = None) -> list[dict[str, str]]:
        out, rollups = tmp_path / "findings.csv", tmp_path / "rollups.csv"
        source = source or real_data / folder / f"{name}.csv"
        arguments = (source, EXAMPLES / "meters.csv", EXAMPLES / f"{name}.toml", None, out, None, rollups)
        assert check(*arguments) == 0
        with rollups.open(encoding="utf-8") as lines:
            return list(csv.DictReader(lines))

    return run


def _parsed(row: dict[str, str]) -> tuple:
    begin, end = (datetime.fromisoformat(row[name]) for name in ("begin_time", "end_time"))
    assert begin.isoformat().endswith("+08:00")
    numbers = [Decimal(row[name]) for name in ("begin_register", "end_register", "volume")]
    return begin.replace(tzinfo=None), numbers[0], end.replace(tzinfo=None), numbers[1], numbers[2]


@pytest.mark.parametrize(("name", "register", "counts"), CORRECTORS)
def test_volumes_of_correctors_are_exact_to_the_last_digit(
    real_data: Path, written, name: str, register: str, counts: tuple[int, ...]
) -> None:
    rows = written("city_gas_meters", name)
    readings = list(_readings(real_data / "city_gas_meters" / f"{name}.csv", register))
    for (granularity, pattern), count in zip(KEYS.items(), counts, strict=True):
        found = [_parsed(row) for row in rows if row["granularity"] == granularity]
        assert found == _volumes(readings, pattern)
        assert len(found) == count
    assert [row["granularity"] for row in rows] == [
        g for g, n in zip(KEYS, counts, strict=True) for _ in range(n)
    ]


def test_late_and_double_rows_change_nothing(real_data: Path, written, tmp_path: Path) -> None:
    """The same rows turned round, and some of them twice."""
    path = real_data / "city_gas_meters" / "7048_hourly.csv"
    head, *lines = path.read_text("utf-8-sig").splitlines()
    turned = tmp_path / "turned.csv"
    turned.write_text("\n".join([head, *reversed(lines), *lines[::7]]) + "\n", encoding="utf-8")
    assert written("", "7048_hourly", turned) == written("city_gas_meters", "7048_hourly")


@pytest.mark.parametrize("customer", ["customer_1", "customer_2", "customer_3", "customer_9"])
def test_volumes_of_customers_are_those_of_the_hours_that_follow(
    real_data: Path, written, customer: str
) -> None:
    """The register is a running sum of the hours' volumes, so the hour between two rows is the later row's."""
    with (real_data / "hourly_customers" / f"{customer}.csv").open(encoding="utf-8") as lines:
        given = [float(row["y_true"]) for row in csv.DictReader(lines)]
    hours = [row for row in written("hourly_customers", customer) if row["granularity"] == "hour"]
    assert [float(row["volume"]) for row in hours] == pytest.approx(given[1:], abs=1e-8)
