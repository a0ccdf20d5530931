"""The registry's CSV: every row checked, every bad value by line, column and reason."""

from __future__ import annotations

import io
from collections.abc import Callable
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet.meters import FIELDS, CustomerKind, Meter, ReadingClass, Technology
from fleet.registry import read_registry, write_registry

HEADER = "meter_id,company,customer,customer_kind,reading_class,technology,g_size,qmin,register_digits,register_step,battery_type,installed_on,prepaid"
GOOD = "M1,north,Hotel,commercial,daily,roots,G100,1.6,8,0.1,lithium_3v6,2024-02-29,true"


def _read(*rows: str, header: str = HEADER) -> tuple[list[Meter], list[str]]:
    found = read_registry(io.StringIO("\n".join([header, *rows]) + "\n"))
    return found.meters, [str(error) for error in found.errors]


def _with(column: str, value: str) -> str:
    cells = dict(zip(HEADER.split(","), GOOD.split(","), strict=True)) | {column: value}
    return ",".join(cells.values())


def test_a_service_in_the_future_was_not_done_and_a_meter_may_be_planned() -> None:
    header = HEADER + ",battery_replaced_on,oil_filled_on"
    row = _with("installed_on", "2027-01-01") + ",2099-01-01,2026-11-25"
    found = read_registry([header, row], date(2026, 11, 24))
    assert [str(error) for error in found.errors] == [
        "line 2, battery_replaced_on: 2099-01-01 lies in the future",
        "line 2, oil_filled_on: 2026-11-25 lies in the future",
    ]
    assert read_registry([header, row], date(2099, 1, 1)).errors == []
    assert read_registry([header, row]).errors == []


def test_a_good_row_becomes_a_meter() -> None:
    (meter,), errors = _read(GOOD)
    assert errors == []
    assert meter == Meter(
        meter_id="M1",
        company="north",
        customer="Hotel",
        customer_kind=CustomerKind.COMMERCIAL,
        reading_class=ReadingClass.DAILY,
        technology=Technology.ROOTS,
        g_size="G100",
        qmin=1.6,
        register_digits=8,
        register_step=0.1,
        battery_type="lithium_3v6",
        installed_on=date(2024, 2, 29),
        prepaid=True,
    )


@pytest.mark.parametrize(
    ("column", "value", "reason"),
    [
        ("meter_id", "M 1", "is not 1 to 64 letters"),
        ("meter_id", "M" * 65, "is not 1 to 64 letters"),
        ("meter_id", "", "is required"),
        ("company", "no/rth", "is not 1 to 64 letters"),
        ("customer", "x" * 201, "longer than 200"),
        ("customer_kind", "shop", "is none of commercial, industrial"),
        ("reading_class", "hourly", "is none of daily, weekly"),
        ("technology", "magic", "is none of roots"),
        ("g_size", "100", "is no meter size"),
        ("qmin", "-1", "is outside"),
        ("qmin", "nan", "is not a number"),
        ("qmin", "1e400", "is outside"),
        ("qmin", "inf", "is not a number"),
        ("qmin", "1_0", "is not a number"),
        ("qmin", "\u0661", "is not a number"),
        ("register_digits", "1_0", "is not a whole number"),
        ("battery_type", "alien", "is none of lithium_3v6"),
        ("battery_type", "13.6V", "is none of lithium_3v6"),
        ("qmin", "160", "160 is not below qmax 160"),
        ("qmin", "lots", "is not a number"),
        ("register_digits", "7.5", "is not a whole number"),
        ("register_digits", "0", "is outside 1 to 15"),
        ("register_step", "0", "is outside"),
        ("battery_type", "nuclear", "is none of lithium_3v6"),
        ("installed_on", "2023-02-29", "is not a date"),
        ("installed_on", "1066-10-14", "outside 1970"),
        ("prepaid", "maybe", "is not true or false"),
    ],
)
def test_an_impossible_value_is_named_by_line_column_and_reason(column: str, value: str, reason: str) -> None:
    meters, errors = _read(GOOD.replace("M1", "M0"), _with(column, value))
    assert [meter.meter_id for meter in meters] == ["M0"]
    assert len(errors) == 1
    assert errors[0].startswith(f"line 3, {column}: ")
    assert reason in errors[0]


def test_every_bad_value_of_a_row_is_reported_at_once() -> None:
    _, errors = _read("M 1,north,,shop,daily,roots,G100,x,8,0.1,,,")
    assert [error.split(":")[0] for error in errors] == [
        f"line 2, {c}" for c in ("meter_id", "customer", "customer_kind", "qmin")
    ]


def test_a_meter_stands_once() -> None:
    meters, errors = _read(GOOD, GOOD)
    assert len(meters) == 1
    assert errors == ["line 3, meter_id: 'M1' stands in line 2 too"]


def test_a_meter_of_unknown_size_needs_its_qmax() -> None:
    _, errors = _read(_with("g_size", "G2500"))
    assert errors == ["line 2, qmax: is required where g_size is empty or in no table"]


@pytest.mark.parametrize(
    ("header", "reason"),
    [
        ("meter_id,company", "line 1, customer: column is missing"),
        (HEADER + ",colour", "line 1, colour: no such column"),
        (HEADER + ",qmin", "line 1, qmin: column stands twice"),
    ],
)
def test_a_wrong_header_is_reported_and_no_row_is_read(header: str, reason: str) -> None:
    meters, errors = _read(GOOD, header=header)
    assert meters == []
    assert reason in errors


def test_an_empty_file_says_so() -> None:
    found = read_registry(io.StringIO(""))
    assert [str(error) for error in found.errors] == ["line 1, header: the file is empty"]


def test_a_row_with_too_many_values_is_refused() -> None:
    meters, errors = _read(GOOD + ",more")
    assert meters == []
    assert errors == ["line 2, (end): more values than columns"]


def test_a_byte_order_mark_is_no_part_of_the_first_column() -> None:
    meters, errors = _read(GOOD, header="\ufeff" + HEADER)
    assert (len(meters), errors) == (1, [])


@pytest.mark.parametrize(("spelling", "kind"), [("Lithium", "lithium_3v6"), ("Li-SOCl2 7.2V", "lithium_7v2"), ("4x alkaline", "alkaline_6v"), ("锂电池", "lithium_3v6"), ("碱性", "alkaline_6v")])  # fmt: skip
def test_battery_types_are_recognised_however_they_are_spelled(spelling: str, kind: str) -> None:
    (meter,), _ = _read(_with("battery_type", spelling))
    assert meter.battery_type == kind


@given(
    st.lists(
        st.builds(
            dict,
            meter_id=st.from_regex(r"\A[A-Za-z0-9_-]{1,64}\Z"),
            customer=st.text("abc,\"'火锅 ", min_size=1, max_size=20).map(str.strip).filter(bool),
            qmax=st.floats(10, 1000).map(lambda x: float(f"{x:.12g}")),
            prepaid=st.booleans(),
            oil_filled_on=st.none() | st.dates(date(1990, 1, 1), date(2030, 1, 1)),
        ),
        unique_by=lambda row: row["meter_id"],
        max_size=5,
    )
)
def test_what_is_written_is_read_again(rows: list[dict]) -> None:
    base = {
        "company": "c",
        "customer_kind": CustomerKind.INDUSTRIAL,
        "reading_class": ReadingClass.WEEKLY,
        "technology": Technology.TURBINE,
    }
    meters = [Meter(**base, **row) for row in rows]
    out = io.StringIO()
    write_registry(meters, out)
    found = read_registry(io.StringIO(out.getvalue(), newline=""))
    assert (found.meters, found.errors) == (meters, [])


def test_the_fields_are_those_of_the_contract() -> None:
    contract = (
        "meter_id company customer customer_kind reading_class technology g_size qmax qmin prepaid balance_unit interval_s "
        "register_digits register_step installed_on battery_type battery_replaced_on battery_life_days battery2_type "
        "battery2_replaced_on battery2_life_days oil_filled_on oil_volume_at_fill oil_interval_days oil_interval_m3 "
        "low_balance manager contact phone"
    )
    assert tuple(contract.split()) == FIELDS


def test_a_factory_row_needs_nothing_else(make_meter: Callable[..., Meter]) -> None:
    assert make_meter("X").meter_id == "X"
