"""`meterwarden check --policy`: the findings under it, and what it changes."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import pytest
from typer.testing import CliRunner

from runtime.cli import app
from runtime.commands.check import check
from runtime.policy_check import COLUMNS, PolicyOptions

REGISTRY = """meter_id,company,customer,customer_kind,reading_class,technology,g_size,qmin,interval_s,prepaid,balance_unit
m1,north,Bakery,commercial,daily,roots,G65,2,3600,true,CNY
m2,south,Hotel,commercial,daily,roots,G65,2,3600,true,CNY
"""
#: 110 m³/h is above Qmax 100 and below 1.2 Qmax; 130 is above both. The balances end at 150 and 250 CNY.
READINGS = """meter_id,ts,flow,balance
m1,2024-01-01 08:00,110,400
m1,2024-01-01 09:00,50,150
m1,2024-01-01 10:00,130,150
m1,2024-01-01 11:00,50,150
m2,2024-01-01 08:00,130,250
m2,2024-01-01 09:00,50,250
m2,2024-01-01 11:00,50,250
"""


@pytest.fixture
def files(tmp_path: Path) -> Path:
    (tmp_path / "readings.csv").write_text(READINGS, encoding="utf-8")
    (tmp_path / "meters.csv").write_text(REGISTRY, encoding="utf-8")
    return tmp_path


@pytest.fixture
def run(files: Path, capsys: pytest.CaptureFixture[str]):
    def run(policy: str | None = None, before: str | None = None, compare: Path | None = None):
        paths = []
        for name, text in (("new.toml", policy), ("old.toml", before)):
            path = files / name
            if text is not None:
                path.write_text(text, encoding="utf-8")
            paths.append(None if text is None else path)
        options = PolicyOptions(policy=paths[0], before=paths[1], compare=compare)
        code = check(files / "readings.csv", files / "meters.csv", None, None, None, None, options=options)
        said = capsys.readouterr()
        return code, list(csv.DictReader(io.StringIO(said.out))), said.err

    return run


def rows(path: Path) -> list[tuple]:
    with path.open(encoding="utf-8", newline="") as source:
        found = list(csv.DictReader(source))
    assert {tuple(row) for row in found} <= {COLUMNS}
    return [
        (row["meter_id"], row["check"], row["change"], row["severity"], row["limit_from"]) for row in found
    ]


def test_what_a_policy_changes_is_told_finding_by_finding(run, tmp_path):
    table = tmp_path / "changes.csv"
    code, found, said = run(
        "[company.north]\noverload_ratio = 1.05\nlow_balance = { CNY = 100 }\n"
        "[company.south]\noverload_ratio = 1.35\nlow_balance = { CNY = 300 }\n",
        compare=table,
    )
    assert code == 0
    assert rows(table) == [
        ("m1", "flow_over_range", "worse", "major", "model"),
        ("m1", "balance_low", "gone", "minor", "default"),
        ("m1", "flow_over_range", "kept", "major", "model"),
        ("m2", "flow_over_range", "milder", "minor", "model"),
        ("m2", "balance_low", "new", "minor", "company"),
    ]
    # The findings themselves are those under the new policy.
    assert [(f["meter_id"], f["check"], f["severity"]) for f in found] == [
        ("m1", "flow_over_range", "major"),
        ("m1", "flow_over_range", "major"),
        ("m2", "flow_over_range", "minor"),
        ("m2", "balance_low", "minor"),
    ]
    assert (
        found[-1]["detail"] == "Balance down to 250, at or below the limit of 300 (the limit of its company)."
    )
    lines = said.splitlines()
    assert "new.toml, against the built-in defaults:" in lines[-4]
    assert lines[-3].split() == ["check", "kept", "new", "gone", "worse", "milder", "meters"]
    assert lines[-2].split() == ["flow_over_range", "1", "0", "0", "1", "1", "2"]
    assert lines[-1].split() == ["balance_low", "0", "1", "1", "0", "0", "2"]


def test_it_is_compared_with_another_policy_where_one_is_named(run, tmp_path):
    new = "[default]\nlow_balance = { CNY = 100 }\n"
    table = tmp_path / "changes.csv"
    code, found, said = run(new, new, table)
    assert code == 0
    assert {row[2] for row in rows(table)} == {"kept"}
    assert "old.toml:" in said
    code, found, said = run("", new, table)
    assert ("m1", "balance_low", "new", "minor", "default") in rows(table)
    assert "balance_low" in {f["check"] for f in found}


def test_a_policy_that_says_what_the_defaults_say_changes_nothing(run):
    _, plain, _ = run()
    code, found, said = run("[default]\noverload_ratio = 1.2\nlow_balance = { CNY = 200 }\n")
    assert (code, found) == (0, plain)
    assert [line.split()[-2:] for line in said.splitlines()[-2:]] == [["0", "0"], ["0", "0"]]


def test_a_table_that_speaks_of_nobody_is_told(run):
    _, _, said = run(
        "[company.nroth]\nidle_after_s = 5\n[model.turbine]\nidle_after_s = 5\n[meter.m1]\nidle_after_s = 5\n"
    )
    assert "[company.nroth] speaks of no meter in the registry; did you mean north?" in said
    assert "[model.turbine] speaks of no meter" in said
    assert "m1" not in said.split("speaks of")[0]


def test_one_error_is_one_line_and_several_are_listed(run):
    code, found, said = run("[default]\nidle_aftr_s = 3\n")
    assert (code, found) == (2, [])
    (line,) = said.splitlines()
    assert line.startswith("meterwarden check: ")
    assert line.endswith("[default] idle_aftr_s: is no limit of a policy; did you mean idle_after_s?")
    code, found, said = run("[default]\na = 3\nb = 4\n")
    assert (code, found) == (2, [])
    assert len(said.splitlines()) == 3
    assert said.splitlines()[-1].endswith("new.toml has 2 errors; correct them and try again")


def test_the_former_policy_is_read_as_strictly(run):
    code, found, said = run("", "[default]\na = 3\n")
    assert (code, found) == (2, [])
    assert "old.toml: [default] a: is no limit" in said


@pytest.mark.parametrize("option", ["--compare", "--policy-before"])
def test_what_means_nothing_without_a_policy_is_wrong_usage(files, option):
    arguments = ["check", str(files / "readings.csv"), "--meters", str(files / "meters.csv"), option, "x"]
    done = CliRunner().invoke(app, arguments)
    assert done.exit_code == 2
    assert f"{option} says what a policy would change; name that policy with --policy NEW.toml" in done.output


def test_files_that_cannot_be_read_or_written_are_named(files, run, tmp_path):
    code, _, said = run("", compare=tmp_path / "no" / "such" / "x.csv")
    assert code == 1
    assert f"cannot write {tmp_path / 'no' / 'such' / 'x.csv'}: No such file or directory" in said
    options = PolicyOptions(policy=tmp_path / "none.toml")
    assert check(files / "readings.csv", files / "meters.csv", None, None, None, None, options=options) == 2
    (tmp_path / "latin.toml").write_bytes(b"# \xe9\n")
    options = PolicyOptions(policy=tmp_path / "latin.toml")
    assert check(files / "readings.csv", files / "meters.csv", None, None, None, None, options=options) == 2
