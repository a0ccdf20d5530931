"""One file, two ways: what `check` finds in it is what the whole line raises when it is replayed."""

from __future__ import annotations

import csv
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from analytics.usage.evaluate import SLOW_CHECKS
from fleet.checks import BY_CODE
from fleet.meters import CustomerKind, Meter, ReadingClass, Technology
from fleet.registry import write_registry
from runtime.embedded_broker import EmbeddedBroker
from storage.database import Database

HOURS = 24 * 40
START = datetime(2026, 3, 1, tzinfo=UTC)

#: Meter -> the checks that its telemetry has to trip.
EXPECTED = {
    "HEALTHY": set(),
    "BURST": {"flow_over_range", "flow_over_range_sustained"},
    "TRICKLE": {"flow_under_range"},
    "DROPPING": {"dropout_frame"},
    "GLITCHING": {"sensor_glitch"},
    "REVERSING": {"register_reversed"},
    # Ten equal snapshots that the register contradicts.
    "STALLED": {"register_stalled", "flow_stuck"},
    "IDLE": {"idle_or_stuck"},
    # Its gas flows on while the balance falls below 0.
    "EMPTYING": {"balance_low", "balance_exhausted", "flow_without_balance", "balance_forecast"},
    "FADING": {"battery_low", "battery_forecast"},
    "PAUSED": {"meter_silent", "low_reception"},
    "GONE": {"meter_silent", "low_reception"},
}


def _meters() -> list[Meter]:
    return [
        Meter(
            meter_id=name,
            company="north",
            customer=f"Customer {number}",
            customer_kind=CustomerKind.COMMERCIAL,
            reading_class=ReadingClass.DAILY,
            technology=Technology.ROOTS,
            g_size="G100",
            qmin=1.6,
            interval_s=3600,
            register_step=0.1,
            battery_type="lithium_3v6",
            prepaid=name == "EMPTYING",
            balance_unit="m3",
            low_balance=500.0,
        )
        for number, name in enumerate(EXPECTED)
    ]


def _history(name: str) -> list[dict[str, object]]:
    """Hourly readings of one meter: a load by day, nothing at night, and the meter's own fault."""
    hour = np.arange(HOURS)
    flow = np.where((hour % 24 > 8) & (hour % 24 < 21), 40.0 + hour % 7, 0.0)
    moved = flow.copy()
    temperature, pressure, battery = 18.0 + hour % 5, np.full(HOURS, 103.0), np.full(HOURS, 3.6)
    late = slice(400, 403)
    if name == "BURST":
        flow[late] = moved[late] = 250.0
    if name == "TRICKLE":
        flow[400:420] = moved[400:420] = 0.9
    if name == "STALLED":
        flow[400:410], moved[400:410] = 30.0, 0.0
    if name == "IDLE":
        flow[:], moved[:] = 0.0, 0.0
    if name == "GLITCHING":
        temperature[401] = 90.0
    if name == "FADING":
        battery[600:] = 3.2
    volume = 1000.0 + np.cumsum(np.concatenate([[0.0], moved[:-1]]))
    if name == "REVERSING":
        volume[500:] -= 300.0
    if name == "DROPPING":
        volume[401] = pressure[401] = temperature[401] = 0.0
    columns: dict[str, object] = {
        "flow": flow, "volume": volume.round(1), "pressure": pressure, "temperature": temperature, "battery": battery,
    }  # fmt: skip
    if name == "EMPTYING":
        columns["balance"] = (volume[-100] - volume).round(1)
    keep = [
        at for at in hour if not (name == "PAUSED" and 300 <= at < 310) and not (name == "GONE" and at > 700)
    ]
    return [
        {
            "meter_id": name,
            "ts": (START + timedelta(hours=int(at))).isoformat(),
            **{c: v[at] for c, v in columns.items()},
        }  # type: ignore[index]
        for at in keep
    ]


def without_slow(pairs: set[tuple[str, str]]) -> set[tuple[str, str]]:
    """Leave out what is judged by whole local days."""
    return {(name, code) for name, code in pairs if code not in SLOW_CHECKS}


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    readings, meters = tmp_path / "readings.csv", tmp_path / "meters.csv"
    rows = sorted((row for name in EXPECTED for row in _history(name)), key=lambda row: str(row["ts"]))
    with readings.open("w", encoding="utf-8", newline="") as out:
        fields = ["meter_id", "ts", "flow", "volume", "pressure", "temperature", "battery", "balance"]
        writer = csv.DictWriter(out, fields)
        writer.writeheader()
        writer.writerows(rows)
    with meters.open("w", encoding="utf-8", newline="") as out:
        write_registry(_meters(), out)
    return readings, meters


def test_the_alarms_of_a_replay_are_the_findings_of_a_check(
    files: tuple[Path, Path],
    processes: Any,
    tmp_path: Path,
    database: Database,
    embedded_broker: EmbeddedBroker,
    until: Callable[..., None],
    count: Callable[[str], int],
) -> None:
    readings, meters = (str(path) for path in files)
    findings = tmp_path / "findings.csv"
    assert processes.run("check", readings, "--meters", meters, "--out", str(findings)) == 0
    with findings.open(encoding="utf-8") as lines:
        found = {(row["meter_id"], row["check"]) for row in csv.DictReader(lines)}
    assert found == {(name, check) for name, checks in EXPECTED.items() for check in checks}

    settings = {"database_url": database.url, "mqtt_url": embedded_broker.url}
    assert processes.run("registry", "import", meters, **settings) == 0
    for service in ("ingest", "engine"):
        processes.start(service, **settings)
    until(lambda: "connected to broker" in processes.log("ingest"))
    replay = ["simulate", "--replay", readings, "--meters-csv", meters]
    assert processes.run(*replay, **settings) == 0, processes.log("simulate")
    assert count("reading") == sum(len(_history(name)) for name in EXPECTED)
    until(lambda: count("dirty_work") == 0)

    def alarms() -> set[tuple[str, str]]:
        with database.transaction() as transaction:
            rows = transaction.rows("SELECT meter_id, check_code FROM alarm JOIN meter USING (meter_key)")
        return {(row["meter_id"], row["check_code"]) for row in rows}

    # The meter that is gone is found by the engine's clock, which runs every few seconds.
    until(lambda: ("GONE", "meter_silent") in alarms())
    # A replay moves the time of day, and with it the days by which slow checks judge.
    assert without_slow(alarms()) == without_slow(found)
    visits = "task JOIN alarm USING (alarm_id)"
    asking = ", ".join(f"'{code}'" for code, spec in BY_CODE.items() if spec.visit)
    assert count(visits) == count(f"alarm WHERE check_code IN ({asking})")
