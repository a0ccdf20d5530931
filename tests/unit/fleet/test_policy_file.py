"""A policy file is read as a whole: everything that is wrong in it, each with where and what to do."""

from __future__ import annotations

import math
from dataclasses import fields

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet.meter_table import MeterTable
from fleet.meters import Meter
from fleet.policies import Origin
from fleet.policy import BATTERIES, DEFAULT_POLICY, Policy
from fleet.policy_file import read_policies
from fleet.policy_pairs import contradictions
from fleet.policy_rules import NUMBERS, pairs


def meter(meter_id: str = "m1", company: str = "north", **fields) -> Meter:
    usual = {
        "customer": "Bakery",
        "customer_kind": "commercial",
        "reading_class": "daily",
        "technology": "roots",
        "g_size": "G65",
        "prepaid": True,
        "battery_type": "lithium_3v6",
    }
    return Meter(meter_id=meter_id, company=company, **(usual | fields))


def errors(text: str) -> list[str]:
    return [str(error) for error in read_policies(text).errors]


def test_every_table_reaches_the_meters_it_speaks_of():
    read = read_policies("""
        [default]
        idle_after_s = 1000
        [battery.lithium_3v6]
        warn_v = 3.4
        [company.north]
        idle_after_s = 2000
        low_balance = { CNY = 500 }
        [company.north.battery.lithium_3v6]
        critical_v = 3.2
        [model.roots]
        stalled_steps = 3
        [model."roots/G65"]
        stalled_steps = 4.5
        [meter.m2]
        overload_ratio = 1.5
    """)
    assert read.errors == ()
    table = MeterTable.build(
        [
            meter(),
            meter("m2", "south", g_size="G100"),
            meter("m3", "south", technology="diaphragm", balance_unit="m3"),
        ],
        policies=read.policies(),
    )
    assert table.limit(lambda p: p.idle_after_s).tolist() == [2000, 1000, 1000]
    assert table.limit(lambda p: p.stalled_steps).tolist() == [4.5, 3, 2]
    assert table.limit(lambda p: p.overload_ratio).tolist() == [1.2, 1.5, 1.2]
    assert table.low_balance.tolist() == [500, 200, 50]
    assert table.battery_warn_v.tolist() == [3.4, 3.4, 3.4]
    assert table.battery_critical_v.tolist() == [3.2, 3.1, 3.1]
    by = {
        name: table.origin_of(name).tolist()
        for name in ("low_balance", "battery_warn_v", "battery_critical_v")
    }
    assert by["low_balance"] == [Origin.COMPANY, Origin.DEFAULT, Origin.DEFAULT]
    assert by["battery_warn_v"] == [Origin.MODEL] * 3
    assert by["battery_critical_v"] == [Origin.COMPANY, Origin.MODEL, Origin.MODEL]


@pytest.mark.parametrize("text", ["", "[default]\n", "[company.north]\n", "# nothing\n"])
def test_a_file_that_changes_nothing_is_the_default(text):
    read = read_policies(text)
    assert read.errors == ()
    assert read.policies().of("m1", "north", "roots", "G65").policy == DEFAULT_POLICY


def test_a_battery_of_unknown_type_keeps_what_every_type_keeps():
    read = read_policies(
        "[company.north.battery.alkaline_6v]\nwarn_v = 3.2\n[battery.lithium_7v2]\nlife_days = 9000\n"
    )
    table = MeterTable.build(
        [meter(battery_type=None), meter("m2", "south", battery_type=None)], policies=read.policies()
    )
    # 3.2 V at an alkaline battery contradicts its critical voltage, but the file can be looked at.
    assert [error.where for error in read.errors] == ["[company.north]"]
    assert table.battery_warn_v.tolist() == [3.2, 3.3]
    assert table.origin_of("battery_warn_v").tolist() == [Origin.COMPANY, Origin.DEFAULT]


WRONG = [
    ("[default]\nidle_aftr_s = 3", "[default] idle_aftr_s: is no limit of a policy; did you mean idle_after_s?"),
    ("idle_after_s = 3", "a limit for everybody belongs under [default]"),
    ("[defalt]", "[defalt]: is unknown: a file has the tables [default], [battery], [company], [model], [meter]; did you mean default?"),
    ("[default]\nmean_window_s = 2.5", "[default] mean_window_s: 2.5 is not a whole number; write a whole number without quotes"),
    ("[default]\noverload_ratio = '1.3'", "'1.3' is not a number; write a number without quotes"),
    ("[default]\nidle_after_s = true", "True is not a whole number"),
    ("[default]\nprice_per_m3 = nan", "nan is no limit; leave the line out where there is none"),
    ("[default]\nstalled_steps = inf", "inf is no limit"),
    ("[default]\nstalled_steps = -1", "-1 makes no sense; it has to be above 0 and at most 1000000000"),
    ("[default]\nidle_after_s = 0", "0 makes no sense; it has to be above 0"),
    ("[default]\noil_due_soon_ratio = 1.5", "it has to be at least 0.01 and at most 1"),
    ("[default]\nleak_fail_days = 15", "15 makes no sense; it has to be at least 3 and at most 14"),
    ("[default]\nidle_after_s = " + "9" * 400, "makes no sense; it has to be above 0 and at most 1000000000"),
    ("[default]\nidle_after_s = " + "9" * 5000, "is not TOML: "),
    ("[default\n", "is not TOML: "),
    ("[default]\nlow_balance = 40", "[default.low_balance]: needs a unit: write { CNY = 40 }"),
    ("[company.north]\nlow_balance = { USD = 1 }", "[company.north.low_balance] USD: is no unit of a balance; one of CNY, m3"),
    ("[battery.lithium_3v7]", "[battery.lithium_3v7]: is no battery type; one of lithium_3v6, lithium_7v2, alkaline_6v; did you mean lithium_3v6?"),
    ("[battery.lithium_3v6]\nwrn_v = 3", "[battery.lithium_3v6] wrn_v: is no limit of a battery; one of warn_v, critical_v, life_days; did you mean warn_v?"),
    ("[default.battery.lithium_3v6]\nwarn_v = 3.4", "[default.battery]: write it as [battery.<type>]; it is the same for everybody"),
    ("battery = 3", "[battery]: has to be a table; write the limits below it"),
    ("[company]\nidle_after_s = 3", "[company] idle_after_s: stands outside of a table; write it under [company.<name>]"),
    ("[company.'a b']", "[company.a b]: 'a b' is not 1 to 64 letters, digits, '_' or '-'"),
    ("[model.rots]", "[model.rots]: 'rots' is no technology; one of roots, diaphragm, turbine, ultrasonic; did you mean roots?"),
    ("[model.roots.G65]", '[model.roots] G65: is no limit of a policy; a size is written [model."roots/G65"]'),
    ("[model.'roots/65']", "[model.\"roots/65\"]: '65' is no meter size like G65; did you mean G65?"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "said"), WRONG, ids=[text[:40] for text, _ in WRONG])
def test_what_cannot_be_taken_is_said_with_where_and_what_to_do(text, said):
    found = errors(text)
    assert len(found) == 1
    assert said in found[0]


def test_every_error_is_said_at_once():
    assert len(errors("[default]\na = 1\nidle_after_s = -1\n[meter.m1]\nb = 1\n[model.x]\n")) == 4


CONTRADICTIONS = [
    (
        "[default]\nimplausible_ratio = 1.1",
        ["[default]: overload_ratio 1.2, the built-in default, is above implausible_ratio 1.1; lower the one or raise the other"],
    ),
    (
        "[company.north.battery.lithium_3v6]\nwarn_v = 3.0",
        ["[company.north]: critical_v 3.1, the built-in default, is above warn_v 3; lower the one or raise the other"],
    ),
    (
        "[model.roots]\noverload_ratio = 4\n[meter.m1]\nimplausible_ratio = 3",
        ["[meter.m1]: overload_ratio 4 of [model.roots] is above implausible_ratio 3; lower the one or raise the other"],
    ),
    (
        "[company.north]\nimplausible_ratio = 3\n[model.roots]\noverload_ratio = 2\n[model.'roots/G65']\noverload_ratio = 4",
        ['[model."roots/G65"]: overload_ratio 4 is above implausible_ratio 3 of [company.north]; lower the one or raise the other'],
    ),
    # A meter that says both for itself is its own master.
    ("[model.roots]\noverload_ratio = 4\n[meter.m1]\nimplausible_ratio = 3\noverload_ratio = 2", []),
]  # fmt: skip


@pytest.mark.parametrize(("text", "said"), CONTRADICTIONS)
def test_limits_that_exclude_each_other_are_found_across_tables(text, said):
    assert errors(text) == said


def test_the_built_in_defaults_contradict_nothing():
    assert contradictions(read_policies("").policies()) == []
    values = {name: getattr(DEFAULT_POLICY, name) for name in NUMBERS}
    assert [
        name
        for name, rule in NUMBERS.items()
        if not math.isnan(values[name]) and rule.objection(values[name])
    ] == []
    assert ("battery.lithium_3v6.critical_v", "battery.lithium_3v6.warn_v") in pairs()


def test_a_tariff_has_days_and_steps():
    text = (
        "[default]\nprice_per_m3 = 2\n[company.c1.tariff]\n2026-10-01 = [3.05, 3.66, 4.58]\n2025-01-01 = 2.83"
    )
    read = read_policies(text)
    assert read.errors == ()
    policy = read.policies().of("m1", "c1", "roots", None).policy
    assert policy.tariff == {"2026-10-01": (3.05, 3.66, 4.58), "2025-01-01": (2.83,)}
    table = MeterTable.build(
        [meter(company="c1"), meter(company="c1", balance_unit="m3"), meter(company="c2")],
        policies=read.policies(),
    )
    assert table.price_per_m3.tolist() == [4.58, 1.0, 2.0]
    assert table.origin_of("price_per_m3").tolist() == [Origin.COMPANY, Origin.METER, Origin.DEFAULT]


@pytest.mark.parametrize(
    ("said", "wrong"),
    [
        ("3.05", ["[default.tariff]: has to be a table; write the limits below it"]),
        ("{ today = 3 }", ['[default.tariff] today: is no day; write one like "2026-10-01"']),
        ("{ 2026-13-01 = 3 }", ['[default.tariff] 2026-13-01: is no day; write one like "2026-10-01"']),
        ("{ 2026-10-01 = [] }", ["[default.tariff] 2026-10-01: has no price; write one, or a list of steps"]),
        ("{ 2026-10-01 = [3, 'x'] }", ["[default.tariff] 2026-10-01: 'x' is not a number; write a number without quotes"]),
    ],
)  # fmt: skip
def test_a_tariff_that_cannot_be_taken(said, wrong):
    assert errors(f"[default]\ntariff = {said}") == wrong


def test_every_field_of_a_policy_can_be_set():
    assert {f.name for f in fields(Policy)} == {
        *NUMBERS,
        "low_balance",
        "battery",
        "gas_composition",
        "tariff",
    }


@given(st.sampled_from(sorted(NUMBERS)), st.floats() | st.integers() | st.text() | st.booleans())
def test_no_number_that_is_taken_is_beyond_reason(name, value):
    rule = NUMBERS[name]
    if rule.objection(value) is None:
        assert rule.smallest <= value <= rule.largest
        assert math.isfinite(value)
        assert not rule.whole or isinstance(value, int)


@given(
    st.text()
    | st.from_regex(
        r"\[(default|company|model|meter|battery)(\.[a-z]{1,3})?\]\n([a-z_]+ = [0-9.]{1,3}\n)*",
        fullmatch=True,
    )
)
def test_no_text_breaks_the_reader(text):
    read = read_policies(text)
    assert all(str(error) for error in read.errors)
    read.policies()


def test_batteries_of_the_catalogue_can_each_be_set():
    text = "".join(f"[battery.{kind}]\nwarn_v = 9\ncritical_v = 8\nlife_days = 77\n" for kind in BATTERIES)
    policy = read_policies(text).policies().default
    assert {(b.warn_v, b.critical_v, b.life_days) for b in policy.battery.values()} == {(9, 8, 77)}
