"""`meterwarden obligations`: from a registry's CSV to a CSV of what has to happen."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from alerts.inspections.obligations import obligations as listed
from fleet.registry import write_registry
from runtime.commands.obligations import obligations


@pytest.fixture
def registry(tmp_path):
    def write(*meters) -> Path:
        path = tmp_path / "meters.csv"
        with path.open("w", encoding="utf-8", newline="") as out:
            write_registry(meters, out)
        return path

    return write


def test_a_quarter_of_one_weekly_read_customer(registry, make_meter, tmp_path, capsys):
    path = registry(make_meter(customer="Hotel", reading_class="weekly"))
    assert obligations(path, "2026-01-01", "2026-04-01", tmp_path / "out.csv") == 0
    assert (tmp_path / "out.csv").read_text("utf-8") == (
        "customer,kind,reading_class,period_start,period_end\n"
        "Hotel,reading_recheck,weekly,2026-01-01,2026-01-31\n"
        "Hotel,reading_recheck,weekly,2026-02-01,2026-02-28\n"
        "Hotel,reading_recheck,weekly,2026-03-01,2026-03-31\n"
        "Hotel,record_check,weekly,2026-01-01,2026-01-31\n"
        "Hotel,record_check,weekly,2026-02-01,2026-02-28\n"
        "Hotel,record_check,weekly,2026-03-01,2026-03-31\n"
        "Hotel,safety_inspection,weekly,2026-01-01,2026-03-31\n"
    )
    assert capsys.readouterr() == ("", "")


def test_the_file_has_the_rows_of_the_pure_function_in_its_order(registry, make_meter, capsys):
    meters = [
        make_meter("M1", customer='Hotel "Sun", 海口', reading_class="daily"),
        make_meter("M2", customer="Bakery", reading_class="twice_monthly", installed_on=date(2026, 6, 30)),
        make_meter("M3", customer="Bakery", company="south", reading_class="daily"),
    ]
    assert obligations(registry(*meters), "2026-01-15", "2026-12-31", None) == 0
    printed = capsys.readouterr().out.splitlines()
    found = listed(meters, date(2026, 1, 15), date(2026, 12, 31))
    rows = [
        ",".join(
            (
                f'"{o.customer.replace(chr(34), chr(34) * 2)}"' if '"' in o.customer else o.customer,
                o.kind,
                o.reading_class,
                str(o.period_start),
                str(o.period_end),
            )
        )
        for o in found
    ]
    assert printed[1:] == rows
    assert sorted(set(found), key=found.index) == found


def test_residential_customers_are_left_out_and_counted_aloud(registry, make_meter, capsys):
    path = registry(make_meter(customer_kind="residential"))
    assert obligations(path, "2026-01-01", "2026-02-01", None) == 0
    out, err = capsys.readouterr()
    assert out == "customer,kind,reading_class,period_start,period_end\n"
    assert err == "1 residential customer(s) left out: the rules are not for them\n"


@pytest.mark.parametrize(
    ("first", "last", "says"),
    [
        ("2026-02-01", "2026-02-01", "must be before"),
        ("2026-02-02", "2026-02-01", "must be before"),
        ("2026-13-01", "2027-01-01", "--from '2026-13-01' is not a date"),
        ("2026-01-01", "soon", "--to 'soon' is not a date"),
        ("0001-01-01", "9999-12-31", "from 1970-01-01 to 2200-01-01"),
    ],
)
def test_a_wrong_range_is_wrong_usage_in_one_line(first, last, says, registry, make_meter, tmp_path, capsys):
    out = tmp_path / "out.csv"
    assert obligations(registry(make_meter()), first, last, out) == 2
    err = capsys.readouterr().err
    assert says in err
    assert err.count("\n") == 1
    assert not out.exists()


def test_every_wrong_value_is_listed_and_nothing_is_written(tmp_path, capsys):
    path = tmp_path / "meters.csv"
    path.write_text(
        "meter_id,company,customer,customer_kind,reading_class,technology,qmax,interval_s\n"
        "M1,north,Hotel,commercial,hourly,roots,160,60\n"
        "M2,north,Hotel,commercial,daily,roots,160,0\n",
        "utf-8",
    )
    out = tmp_path / "out.csv"
    assert obligations(path, "2026-01-01", "2026-02-01", out) == 1
    first, second, last = capsys.readouterr().err.splitlines()
    assert first.startswith("line 2, reading_class:")
    assert second.startswith("line 3, interval_s:")
    assert last.endswith("has 2 wrong value(s); correct them and try again")
    assert not out.exists()


def test_a_file_that_is_not_there_or_no_text_is_one_line(tmp_path, capsys):
    assert obligations(tmp_path / "none.csv", "2026-01-01", "2026-02-01", None) == 1
    (tmp_path / "bytes.csv").write_bytes(b"meter_id\n\xff\xfe")
    assert obligations(tmp_path / "bytes.csv", "2026-01-01", "2026-02-01", None) == 1
    first, second = capsys.readouterr().err.splitlines()
    assert first.endswith("No such file or directory")
    assert second.endswith("it is not UTF-8 at byte 9")


def test_a_place_where_nothing_can_be_written_is_one_line(registry, make_meter, tmp_path, capsys):
    assert obligations(registry(make_meter()), "2026-01-01", "2026-02-01", tmp_path / "no" / "out.csv") == 1
    assert capsys.readouterr().err.startswith("meterwarden obligations: cannot write")
