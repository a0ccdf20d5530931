"""The demo as a new user runs it: it ends by itself, its report is true, and it leaves nothing behind."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil

from storage.database import Database


def _postgres_runs(data_dir: Path) -> bool:
    return (data_dir / "postgres" / "postmaster.pid").exists()


def test_a_bounded_demo_finds_every_injected_fault_and_nothing_else(
    processes: Any, tmp_path: Path, count: Callable[[str], int], database: Database
) -> None:
    report_file = tmp_path / "report.json"
    arguments = ["demo", "--for", "30", "--report", str(report_file)]
    code = processes.run(*arguments, data_dir=str(tmp_path / "data"), database_url=database.url)
    assert code == 0, processes.log("demo")
    report = json.loads(report_file.read_text("utf-8"))
    assert report["published"] == report["stored"] == count("reading")
    assert report["refused"] == 0
    assert report["duplicates"] >= report["simulator"]["duplicates_injected"] > 0
    assert report["found"] == report["truth"]
    assert sum(report["truth"].values()) > 5
    assert report["false_alarms"] == 0, report["unexpected"]
    assert report["tasks_by_kind"]["safety_inspection"] > 0
    assert sum(report["alarms_by_check"].values()) == count("alarm")
    assert report["obligations"] == count("obligation") > 0
    assert report["console_url"].startswith("http://127.0.0.1:")
    assert report["seconds"] < 90


def test_ctrl_c_stops_everything(processes: Any, tmp_path: Path, until: Callable[..., None]) -> None:
    data_dir = tmp_path / "data"
    demo = processes.start("demo", "--meters", "5", data_dir=str(data_dir))
    until(lambda: "console: http" in processes.log("demo"), 60)
    children = psutil.Process(demo.pid).children(recursive=True)
    assert len(children) >= 4
    assert _postgres_runs(data_dir)
    os.kill(demo.pid, signal.SIGINT)
    assert demo.wait(30) == 0
    assert [child for child in children if child.is_running()] == []
    assert not _postgres_runs(data_dir)


def test_a_killed_demo_takes_its_children_along(
    processes: Any, tmp_path: Path, until: Callable[..., None], database: Database
) -> None:
    settings = {"data_dir": str(tmp_path / "data"), "database_url": database.url}
    demo = processes.start("demo", "--meters", "5", **settings)
    until(lambda: "console: http" in processes.log("demo"), 60)
    children = psutil.Process(demo.pid).children(recursive=True)
    processes.kill(demo)
    until(lambda: not any(child.is_running() for child in children), 30)
