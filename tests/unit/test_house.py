"""The house stands as `docs/architecture.md` draws it: who may import whom, and what lies where."""

from __future__ import annotations

import ast
import re
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

#: Room -> rooms it may import besides itself, ground floor first.
MAY_IMPORT = {
    "fleet": set(),
    "storage": {"fleet"},
    "people": {"fleet", "storage"},
    "ingest": {"fleet", "storage"},
    "analytics": {"fleet"},
    "alerts": {"fleet", "storage", "people", "analytics"},
    "firmware_sim": {"fleet"},
    "api": {"fleet", "storage", "people", "alerts", "analytics"},
    "runtime": {"fleet", "storage", "people", "ingest", "analytics", "alerts", "firmware_sim", "api"},
}

#: Libraries a room may import besides the standard library, where that is part of its promise.
ONLY_LIBRARIES = {"fleet": {"numpy"}, "analytics": {"numpy", "scipy"}}


def imported(source: str) -> set[str]:
    """Top-level names that a module imports, wherever in it."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            found.add(node.module.split(".")[0])
    return found


def wrong_imports(room: str, source: str) -> set[str]:
    names = imported(source) - {room}
    wrong = (names & set(MAY_IMPORT)) - MAY_IMPORT[room]
    if room in ONLY_LIBRARIES:
        wrong |= names - set(MAY_IMPORT) - set(sys.stdlib_module_names) - ONLY_LIBRARIES[room]
    if room != "storage":
        wrong |= names & {"psycopg2", "sqlalchemy"}
    return wrong


@pytest.mark.parametrize("room", MAY_IMPORT)
def test_a_room_imports_only_what_stands_below_it(room: str) -> None:
    modules = sorted((ROOT / room).rglob("*.py"))
    assert modules
    wrong = {str(path.relative_to(ROOT)): wrong_imports(room, path.read_text("utf-8")) for path in modules}
    assert {path: names for path, names in wrong.items() if names} == {}


@pytest.mark.parametrize(
    ("room", "source"),
    [
        ("fleet", "import msgspec"),
        ("analytics", "from storage.database import Database"),
        ("firmware_sim", "def f():\n    import storage.readings"),
        ("api", "import psycopg2"),
        ("ingest", "from alerts import engine"),
    ],
)
def test_the_guard_sees_a_wrong_import(room: str, source: str) -> None:
    assert wrong_imports(room, source)


def test_the_architecture_page_names_every_room_and_only_files_that_exist() -> None:
    page = (ROOT / "docs" / "architecture.md").read_text("utf-8")
    rooms = [row[0] for row in re.findall(r"^\| `(\w+)/` \|(.*)$", page, re.MULTILINE)]
    assert rooms[: len(MAY_IMPORT)] == list(MAY_IMPORT), "rooms in the order of the floors"
    named = re.findall(r"`([\w./-]+(?:/|\.py|\.sql|\.md|\.toml))`", page)
    assert [name for name in named if not (ROOT / name).exists()] == []


def test_the_architecture_page_says_who_may_import_whom() -> None:
    page = (ROOT / "docs" / "architecture.md").read_text("utf-8")
    for room, allowed in MAY_IMPORT.items():
        (row,) = re.findall(rf"^\| `{room}/` \|.*\|([^|]*)\|$", page, re.MULTILINE)
        said = set(re.findall(r"\w+", row)) & set(MAY_IMPORT)
        assert said == allowed or (room == "runtime" and "everything" in row), room


def test_the_architecture_page_is_one_page() -> None:
    assert len((ROOT / "docs" / "architecture.md").read_text("utf-8").splitlines()) <= 120


def test_every_named_query_is_used() -> None:
    code = "\n".join(path.read_text("utf-8") for room in MAY_IMPORT for path in (ROOT / room).rglob("*.py"))
    names = [
        name
        for room in MAY_IMPORT
        for path in (ROOT / room).rglob("queries.sql")
        for name in re.findall(r"^-- ([a-z0-9_]+) --$", path.read_text("utf-8"), re.MULTILINE)
    ]
    assert names
    assert [name for name in names if f'"{name}"' not in code] == []


def test_an_advisory_lock_has_one_meaning() -> None:
    """Two rooms that took the same number would keep each other from work that has nothing to do with theirs."""
    rooms: dict[str, set[str]] = {}
    for room in MAY_IMPORT:
        for path in (ROOT / room).rglob("queries.sql"):
            for number in re.findall(r"advisory\w*\((\d+)", path.read_text("utf-8")):
                rooms.setdefault(number, set()).add(str(path.parent.relative_to(ROOT)))
    assert rooms
    assert {number: where for number, where in rooms.items() if len(where) > 1} == {}


def test_lock_files_pin_by_hash_and_name_no_address() -> None:
    for name in ("requirements.lock", "requirements-dev.lock", "tests/timescale/package-lock.json"):
        text = (ROOT / name).read_text("utf-8")
        assert "://" not in text, name
        assert "sha256:" in text or '"integrity": "sha512-' in text, name
    for name in ("requirements.lock", "requirements-dev.lock"):
        pins = re.findall(
            r"^\S+==.*(?:\n    --hash=sha256:[0-9a-f]{64}(?: \\)?)+", (ROOT / name).read_text(), re.MULTILINE
        )
        assert len(pins) == len(re.findall(r"^\S+==", (ROOT / name).read_text(), re.MULTILINE))
