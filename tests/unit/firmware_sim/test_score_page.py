"""The page on the score lists the faults that there are, with their checks and strengths."""

import re
from pathlib import Path

import pytest

from firmware_sim.fault_specs import EXPECTED

PAGE = (Path(__file__).parents[3] / "docs" / "score.md").read_text("utf-8")
TABLE = PAGE.split("## The faults")[1].split("\n## ")[0]
ROWS = {
    name: (check, [cell.strip() for cell in strengths.split("|")])
    for name, check, strengths in re.findall(
        r"^\| `(\w+)` \| `?(\w*)`? \|[^|]*\|(.*)\|$", TABLE, re.MULTILINE
    )
}


def spelt(bounds: tuple[float, float]) -> str:
    low, high = bounds
    return f"{low:g}" if low == high else f"{low:g} to {high:g}"


def test_every_fault_is_on_the_page_and_no_other():
    assert set(ROWS) == {fault.name.lower() for fault in EXPECTED}


@pytest.mark.parametrize("fault", EXPECTED)
def test_its_check_and_its_strengths_are_as_the_page_says(fault):
    check, strengths = ROWS[fault.name.lower()]
    spec = EXPECTED[fault]

    assert check == (spec.check or "")
    if len(set(spec.strength)) > 1:
        assert strengths == [spelt(bounds) for bounds in spec.strength]
    else:
        assert strengths == ["", "", ""]
