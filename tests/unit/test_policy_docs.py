"""The page on policies tells every limit that there is, with its default, and no other."""

from __future__ import annotations

import math
import re
from pathlib import Path

from fleet.checks import BY_CODE
from fleet.policy import DEFAULT_POLICY
from fleet.policy_file import read_policies
from fleet.policy_rules import BATTERY_NUMBERS, NUMBERS

PAGE = (Path(__file__).parents[2] / "docs" / "policies.md").read_text("utf-8")
ROWS = [
    [cell.strip() for cell in row.split("|")] for row in re.findall(r"^\| (`[a-z].*) \|$", PAGE, re.MULTILINE)
]


def limits() -> dict[str, float]:
    of_battery = {
        f"battery.{kind}.{name}": getattr(battery, name)
        for kind, battery in DEFAULT_POLICY.battery.items()
        for name in BATTERY_NUMBERS
    }
    by_unit = {f"low_balance.{unit}": value for unit, value in DEFAULT_POLICY.low_balance.items()}
    return {**{name: getattr(DEFAULT_POLICY, name) for name in NUMBERS}, **by_unit, **of_battery}


def test_the_page_has_every_limit_with_its_default():
    said = {name.strip("`"): default for name, _unit, default, *_ in ROWS}
    assert said == {
        name: "none" if math.isnan(value) else f"{value:.10g}" for name, value in limits().items()
    }


def test_every_limit_has_a_unit_a_rule_and_checks_that_exist():
    for name, unit, _default, checks, rule in ROWS:
        assert unit, name
        assert rule, name
        assert set(re.findall(r"`(\w+)`", checks)) <= set(BY_CODE), name


def test_the_pages_example_can_be_taken():
    (example,) = re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL)
    read = read_policies(example)
    assert read.errors == ()
    assert read.companies
    assert read.models
    assert read.meters
