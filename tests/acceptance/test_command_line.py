"""The command line as a person meets it: exit codes, and one line that says what to do."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest


def test_migrate_without_its_database_fails_with_one_clear_line(processes: Any) -> None:
    assert processes.run("migrate", database_url="postgresql://nobody@127.0.0.1:9/none") == 1
    said = processes.log("migrate").strip().splitlines()
    assert len(said) == 1
    assert "Connection refused" in said[0]


def test_a_wrong_setting_is_named_and_its_value_is_not(processes: Any) -> None:
    assert processes.run("migrate", http_port="s3cret") == 1
    assert "http_port" in processes.log("migrate")
    assert "s3cret" not in processes.log("migrate")


@pytest.mark.parametrize(
    "arguments", [["nonsense"], ["migrate", "--nonsense"], ["registry", "import", "absent.csv"]]
)
def test_wrong_usage_is_exit_code_2(processes: Any, arguments: list[str]) -> None:
    assert processes.run(*arguments) == 2


def test_a_bad_registry_row_is_reported_and_nothing_is_imported(
    processes: Any, database_url: str, database: Any, tmp_path: Path
) -> None:
    path = tmp_path / "meters.csv"
    path.write_text(
        "meter_id,company,customer,customer_kind,reading_class,technology,g_size,qmin\n"
        "GOOD,north,Hotel,commercial,daily,roots,G100,1.6\n"
        "BAD,north,Hotel,commercial,hourly,roots,G100,500\n",
        encoding="utf-8",
    )
    assert processes.run("registry", "import", str(path), database_url=database_url) == 1
    said = processes.log("registry")
    assert "line 3, reading_class: 'hourly' is none of daily" in said
    assert "line 3, qmin: 500 is not below qmax 160" in said
    with database.transaction() as transaction:
        assert transaction.rows("SELECT * FROM meter") == []
    assert processes.run("registry", "import", str(path), "--partial", database_url=database_url) == 0
    with database.transaction() as transaction:
        assert transaction.rows("SELECT meter_id FROM meter") == [{"meter_id": "GOOD"}]
