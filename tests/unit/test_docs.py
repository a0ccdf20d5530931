"""What the documentation says is what there is."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path

import pytest
import typer.main

from alerts.alarms.lifecycle import LIFECYCLE
from alerts.inspections.tasks import TASK_LIFECYCLE
from analytics.rollups.columns import HourRollups
from api.metrics import FigureCollector, Figures
from fleet.checks import CATALOGUE
from fleet.meters import FIELDS
from fleet.readings import ReadingBatch
from fleet.wire import NUMBER_FIELDS, STATUS_CODES, VALVES
from runtime.cli import app
from runtime.rollups import COLUMNS as VOLUME_COLUMNS
from runtime.settings import Settings

DOCS = Path(__file__).parents[2] / "docs"
README = (DOCS.parent / "README.md").read_text("utf-8")
README_ZH = (DOCS.parent / "README.zh-CN.md").read_text("utf-8")


def _named(page: str) -> set[str]:
    """Names in backticks in the first two cells of any table."""
    cells = re.findall(r"^\| ([^|]*) \|([^|]*)\|", page, re.MULTILINE)
    return {name for pair in cells for cell in pair for name in re.findall(r"`([^`]+)`", cell)}


def test_the_nomenclature_has_every_public_field() -> None:
    named = _named((DOCS / "nomenclature.md").read_text("utf-8"))
    wire = {"ts", "seq", "boot", "valve", "status", *NUMBER_FIELDS}
    findings = {
        "meter_id",
        "check",
        "severity",
        "started_at",
        "ended_at",
        "readings",
        "value",
        "limit",
        "detail",
    }
    missing = (set(ReadingBatch.__dataclass_fields__) | wire | set(FIELDS) | findings) - named
    assert missing == set()


def test_the_nomenclature_has_every_column_of_a_roll_up_and_of_a_volume() -> None:
    named = _named((DOCS / "nomenclature.md").read_text("utf-8"))
    assert (set(HourRollups.__dataclass_fields__) | set(VOLUME_COLUMNS)) - named == set()


def test_the_nomenclature_has_every_code() -> None:
    page = (DOCS / "nomenclature.md").read_text("utf-8")
    assert [code for code in (*VALVES, *STATUS_CODES) if f"`{code}`" not in page] == []


def test_the_operation_page_has_every_metric_and_no_other() -> None:
    nothing = Figures(
        now=datetime.now(UTC), heartbeats=[], meters=[], alarms=[], tasks=[], backlog={"rows": 0, "oldest_at": None}, gaps=0
    )  # fmt: skip
    families = list(FigureCollector(nothing).collect())
    there = {f"{family.name}_total" if family.type == "counter" else family.name for family in families}
    page = (DOCS / "operation.md").read_text("utf-8")
    rows = re.findall(r"^\| (`meterwarden_[^|]*) \|", page, re.MULTILINE)
    assert there == {name for row in rows for name in re.findall(r"meterwarden_\w+", row)}
    named_elsewhere = set(re.findall(r"meterwarden_\w+", page))
    assert named_elsewhere == there


def test_every_check_is_documented_with_its_number_free_code() -> None:
    page = (DOCS / "checks.md").read_text("utf-8")
    assert [spec.code for spec in CATALOGUE if f"`{spec.code}`" not in page] == []


@pytest.mark.parametrize("readme", [README, README_ZH], ids=["en", "zh"])
def test_both_readmes_name_every_command_and_every_setting(readme: str) -> None:
    commands = typer.main.get_command(app).commands  # type: ignore[attr-defined]
    settings = [f"METERWARDEN_{name.upper()}" for name in Settings.model_fields]
    assert [
        name
        for name in (*commands, *settings)
        if f"`{name}" not in readme and f"meterwarden {name}" not in readme
    ] == []


@pytest.mark.parametrize("readme", [README, README_ZH], ids=["en", "zh"])
def test_every_file_a_readme_points_to_exists(readme: str) -> None:
    links = re.findall(r"\]\(([^)#:]+)\)", readme)
    assert links
    assert [link for link in links if not (DOCS.parent / link).exists()] == []


def test_the_drawn_lives_are_those_of_the_transition_tables() -> None:
    page = (DOCS / "lifecycles.md").read_text("utf-8")
    drawn = re.findall(r"```mermaid\n(.*?)\n```", page, re.DOTALL)
    assert drawn == [LIFECYCLE.mermaid().strip(), TASK_LIFECYCLE.mermaid().strip()]
