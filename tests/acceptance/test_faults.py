"""The short form of `make faults`, and the proof that it finds an ingest that loses readings."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import missing_part

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.mosquitto


def _faults(report: Path, *arguments: str) -> tuple[int, dict[str, Any]]:
    if shutil.which("mosquitto", path=f"{os.environ.get('PATH', '')}:/usr/sbin") is None:
        missing_part("mosquitto")
    done = subprocess.run(
        [sys.executable, "-m", "bench.faults", "--seed", "20", "--report", str(report), *arguments],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    print(done.stdout, done.stderr)
    return done.returncode, json.loads(report.read_text("utf-8"))


def test_nothing_is_lost_or_doubled_whatever_is_killed(tmp_path: Path) -> None:
    names = [
        *(f"kill_at_{step}" for step in ("taken", "copied", "committed", "acknowledged")),
        "stale_ack_then_kill",
        "broker_kill_with_ingest",
        "postgres_immediate_stop",
        "malformed",
    ]
    code, found = _faults(tmp_path / "report.json", "--only", *names)
    assert found["violations"] == []
    assert code == 0
    assert set(found["by_fault"]) | set(found["left_out"]) == set(names)
    assert (found["lost"], found["doubled"], found["gaps_open"], found["acked_early"]) == (0, 0, 0, 0)


def test_an_acknowledgement_on_another_connection_is_found_out(tmp_path: Path) -> None:
    arguments = ["--only", "stale_ack_then_kill", "--mutation", "epoch_guard_off"]
    code, found = _faults(tmp_path / "report.json", *arguments)
    assert code == 1
    assert found["acked_early"] > 0
    assert found["lost"] > 0


def test_an_acknowledgement_before_the_commit_is_found_out(tmp_path: Path) -> None:
    arguments = ["--only", "kill_at_copied", "--mutation", "acknowledge_first"]
    code, found = _faults(tmp_path / "report.json", *arguments)
    assert code == 1
    assert found["acked_early"] > 0
