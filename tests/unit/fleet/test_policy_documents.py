"""The group's document and the companies' own: who may say what, and what they say together."""

from __future__ import annotations

import pytest

from fleet.policies import Origin
from fleet.policy_documents import GROUP, combined, read_document

GROUPS = "[default]\nidle_after_s = 10\n[battery.lithium_3v6]\nwarn_v = 3.4\n[model.roots]\nstalled_steps = 3\n[meter.m1]\nidle_after_s = 20\n"
NORTHS = "[company.north]\nidle_after_s = 30\n[company.north.battery.lithium_3v6]\ncritical_v = 3.2\n"


def test_documents_put_together_are_one_file():
    whole = combined({GROUP: read_document(GROUP, GROUPS), "north": read_document("north", NORTHS)})
    assert whole.errors == ()
    resolved = whole.policies().of("m2", "north", "roots", "G65")
    assert (resolved.policy.idle_after_s, resolved.policy.stalled_steps) == (30, 3)
    assert resolved.policy.battery["lithium_3v6"].critical_v == 3.2
    assert resolved.origin["idle_after_s"] == Origin.COMPANY
    assert whole.policies().of("m1", "south", "turbine", None).policy.idle_after_s == 20


@pytest.mark.parametrize(
    ("name", "text", "where"),
    [
        (GROUP, "[company.north]", ["[company.north]"]),
        ("north", "[company.south]", ["[company.south]"]),
        ("north", "[default]\nidle_after_s = 1\n[model.roots]\n[meter.m1]\n[battery.lithium_3v6]\nwarn_v = 4\n", ["[default]", "[battery]", "[model.roots]", "[meter.m1]"]),
    ],
)  # fmt: skip
def test_what_belongs_into_another_document_is_an_error(name, text, where):
    assert [error.where for error in read_document(name, text).errors] == where


def test_documents_that_contradict_each_other_are_found():
    whole = combined(
        {
            GROUP: read_document(GROUP, "[default]\nimplausible_ratio = 3\n"),
            "north": read_document("north", "[company.north]\noverload_ratio = 4\n"),
        }
    )
    assert [str(error) for error in whole.errors] == [
        "[company.north]: overload_ratio 4 is above implausible_ratio 3 of [default]; lower the one or raise the other"
    ]


def test_of_a_document_with_errors_only_the_errors_are_taken_over():
    whole = combined(
        {
            "north": read_document("north", NORTHS + "x = 1\n"),
            "south": read_document("south", "[company.south]\nidle_after_s = 5\n"),
        }
    )
    assert len(whole.errors) == 1
    assert set(whole.companies) == {"south"}
