"""`meterwarden check` from file to file, and what it says where it cannot."""

from __future__ import annotations

import csv
import io
import math
from pathlib import Path

import pytest

from fleet.checks import CATALOGUE
from fleet.policies import Origin
from runtime.commands.check import check
from runtime.findings import COLUMNS, detail

REGISTRY = """meter_id,company,customer,customer_kind,reading_class,technology,g_size,qmin,interval_s,battery_type,battery_replaced_on
m1,c1,Bakery,commercial,daily,roots,G65,2,3600,alkaline_6v,2022-01-01
"""
READINGS = """meter_id,ts,flow,volume
m1,2024-01-01 08:00,50,100
m1,2024-01-01 09:00,130,150
m1,2024-01-01 10:00,50,200
m1,2024-01-01 11:00,bad,250
stranger,2024-01-01 08:00,50,1
"""


@pytest.fixture
def run(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    def run(readings: str = READINGS, registry: str = REGISTRY, **options):
        (tmp_path / "readings.csv").write_text(readings, encoding="utf-8")
        (tmp_path / "meters.csv").write_text(registry, encoding="utf-8")
        usual = {"file_map": None, "tz": None, "out": None, "now": None}
        code = check(tmp_path / "readings.csv", tmp_path / "meters.csv", **(usual | options))
        said = capsys.readouterr()
        return code, list(csv.DictReader(io.StringIO(said.out))), said.err

    return run


def test_findings_as_csv_and_everything_left_out_is_said(run):
    code, found, said = run()
    assert code == 0
    assert [tuple(finding) for finding in found] == [COLUMNS] * len(found)
    over, overdue = sorted(found, key=lambda finding: finding["check"], reverse=True)
    assert overdue == {
        "meter_id": "m1",
        "check": "battery_overdue",
        "severity": "major",
        "started_at": "2022-12-31T16:00:00Z",
        "ended_at": "",
        "readings": "0",
        "value": "365.4166667",
        "limit": "0",
        "detail": "Battery 1 is 365 days past the end of its life (the limit of its model).",
    }
    assert (over["check"], over["severity"]) == ("flow_over_range", "major")
    assert (over["started_at"], over["ended_at"]) == ("2024-01-01T01:00:00Z", "2024-01-01T02:00:00Z")
    assert (over["value"], over["limit"], over["readings"]) == ("130", "100", "1")
    assert "line 5, flow: is not a finite number" in said
    assert "meter stranger is not in the registry: 1 reading(s) left out" in said
    assert "3 readings of 1 meter(s) checked, 2 finding(s)" in said


def test_the_time_of_judgement_and_the_zone_are_options(run):
    _, found, _ = run(now="2022-12-31T15:59:59Z")
    assert "battery_overdue" not in {finding["check"] for finding in found}
    _, found, _ = run(tz="UTC", now="2024-01-02")
    assert {finding["started_at"] for finding in found} == {
        "2023-01-01T00:00:00Z",
        "2024-01-01T09:00:00Z",
        "2024-01-01T13:00:00Z",
    }


def test_a_repeated_row_is_one_reading(run):
    header, *rows = READINGS.splitlines()
    numbered = [header + ",seq", *(f"{row},{at}" for at, row in enumerate(rows[:3]))]
    _, once, _ = run("\n".join(numbered) + "\n")
    code, found, said = run("\n".join([*numbered, *numbered[1:]]) + "\n")
    assert (code, found) == (0, once)
    assert "3 readings of 1 meter(s) checked" in said
    assert "3 row(s) left out that repeat a meter's time and seq" in said


def test_a_repeated_row_confirms_nothing(run):
    rows = ["m1,2024-01-01 08:00,50,100", "m1,2024-01-01 09:00,50,40", "m1,2024-01-01 10:00,50,200"]
    _, found, _ = run("meter_id,ts,flow,volume\n" + "\n".join([*rows, *rows]) + "\n")
    assert {finding["check"] for finding in found} == {"sensor_glitch", "battery_overdue"}


def test_a_row_from_the_future_silences_nobody(run):
    code, found, said = run(READINGS + "m1,2099-01-01 08:00,50,300\n")
    assert code == 0
    assert {finding["check"] for finding in found} == {"flow_over_range", "battery_overdue"}
    assert "line 7, ts: is in the future" in said
    # A planned history is checked by saying when.
    _, found, said = run(READINGS + "m1,2099-01-01 08:00,50,300\n", now="2099-01-01T00:00:00Z")
    assert "is in the future" not in said
    assert "meter_silent" in {finding["check"] for finding in found}


def test_findings_go_to_a_file(run, tmp_path):
    out = tmp_path / "findings.csv"
    code, found, said = run(out=out)
    assert (code, found) == (0, [])
    assert "flow_over_range" in out.read_text(encoding="utf-8")
    assert "flow_over_range" in said


def test_volumes_go_to_a_file_to_the_last_digit_in_local_time(run, tmp_path):
    rollups = tmp_path / "rollups.csv"
    rows = [
        "2024-01-31 22:10,100.1",
        "2024-01-31 22:40,110",
        "2024-01-31 23:00:00.5,112.44",
        "2024-02-01 03:05,124.78",
        "2024-02-01 04:05,124.78",
    ]
    readings = "meter_id,ts,volume\n" + "".join(f"m1,{row}\n" for row in rows)
    code, _, said = run(readings, rollups=rollups)
    assert code == 0
    assert "5 volume(s) of hours, days and months written to" in said
    expected = [
        "meter_id,granularity,begin_time,begin_register,end_time,end_register,volume",
        "m1,hour,2024-01-31T22:10:00+08:00,100.1,2024-01-31T23:00:00.500000+08:00,112.44,12.34",
        "m1,hour,2024-01-31T23:00:00.500000+08:00,112.44,2024-02-01T03:05:00+08:00,124.78,12.34",
        "m1,hour,2024-02-01T03:05:00+08:00,124.78,2024-02-01T04:05:00+08:00,124.78,0",
        "m1,day,2024-01-31T22:10:00+08:00,100.1,2024-02-01T03:05:00+08:00,124.78,24.68",
        "m1,month,2024-01-31T22:10:00+08:00,100.1,2024-02-01T03:05:00+08:00,124.78,24.68",
    ]
    assert rollups.read_text(encoding="utf-8").splitlines() == expected
    run(readings, tz="UTC", rollups=rollups)
    assert "2024-01-31T22:10:00+00:00" in rollups.read_text(encoding="utf-8")


def test_late_and_double_rows_give_the_same_volumes(run, tmp_path):
    header, *rows = READINGS.splitlines()[:4]
    texts = []
    for order in (rows, [*reversed(rows), *rows]):
        run("\n".join([header, *order]) + "\n", rollups=tmp_path / "rollups.csv")
        texts.append((tmp_path / "rollups.csv").read_text(encoding="utf-8"))
    assert texts[0] == texts[1]
    assert "m1,hour,2024-01-01T08:00:00+08:00,100,2024-01-01T09:00:00+08:00,150,50" in texts[0]


@pytest.mark.parametrize(
    ("options", "code", "sentence"),
    [
        ({"now": "tomorrow"}, 2, "--now 'tomorrow' is no time"),
        ({"tz": "Mars"}, 2, "'Mars' is no time zone"),
        ({"file_map": Path("nowhere.toml")}, 1, "cannot read the map nowhere.toml"),
        ({"out": Path("no/such/folder/findings.csv")}, 1, "cannot write no/such/folder/findings.csv"),
        ({"rollups": Path("no/such/folder/r.csv")}, 1, "cannot write no/such/folder/r.csv"),
        ({"readings": "a,b\n1,2\n"}, 1, "no column for meter_id, no column for ts"),
        (
            {"readings": "meter_id,ts,flow\nother,1700000000000,1\n"},
            1,
            "no usable reading of a registered meter",
        ),
        ({"readings": "meter_id,ts,flow\n"}, 1, "no usable reading of a registered meter"),
        ({"registry": REGISTRY.replace("G65", "Gx")}, 1, "1 wrong value(s)"),
    ],
)
def test_what_cannot_be_done_is_one_line_that_says_why(run, options, code, sentence):
    given, found, said = run(**options)
    assert (given, found) == (code, [])
    assert said.splitlines()[-1].startswith("meterwarden check: ")
    assert sentence in said.splitlines()[-1]


def test_a_bad_registry_is_told_line_by_line(run):
    _, _, said = run(registry=REGISTRY.replace("G65", "Gx").replace("daily", "never"))
    assert "line 2, g_size:" in said
    assert "line 2, reading_class:" in said


@pytest.mark.parametrize("code", [spec.code for spec in CATALOGUE])
def test_every_check_has_its_sentence(code):
    sentence = detail(code, 7200.0, 3600.0, 1)
    assert sentence.endswith(".")
    assert "{" not in sentence


def test_a_sentence_says_whose_limit_it_was():
    assert detail("balance_low", 40, 50, 0, Origin.COMPANY) == (
        "Balance down to 40, at or below the limit of 50 (the limit of its company)."
    )
    said = {detail("balance_low", 40, 50, 0, origin) for origin in Origin}
    assert len(said) == len(Origin)


def test_an_exchange_to_a_meter_that_shows_more_is_not_told_as_a_fall():
    assert detail("meter_exchanged", -250.0, 0.1, 0).endswith("another meter. It shows 250 m³ more.")
    assert detail("meter_exchanged", 4000.0, 0.1, 0).endswith("another meter. It fell by 4000 m³.")


def test_a_misread_register_is_not_told_as_a_temperature():
    assert "°C" not in detail("sensor_glitch", math.nan, math.nan, 0)


@pytest.mark.parametrize(
    "options",
    [{"rollups": "readings.csv"}, {"out": "meters.csv"}, {"rollups": "new.csv", "out": "./new.csv"}],
)
def test_nothing_that_is_read_or_written_is_written_over(run, tmp_path, options):
    run()
    code, _, said = run(**{name: tmp_path / file for name, file in options.items()})
    assert code == 2
    assert "would be overwritten" in said
    assert (tmp_path / "readings.csv").read_text(encoding="utf-8") == READINGS
    assert (tmp_path / "meters.csv").read_text(encoding="utf-8") == REGISTRY
