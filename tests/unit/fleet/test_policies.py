"""A limit is the meter's own, else its model's, else its company's, else the default; and says which."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from fleet.meter_table import MeterTable, each
from fleet.meters import Meter
from fleet.policies import Origin, Policies


def meter(meter_id: str, company: str = "north", **fields) -> Meter:
    usual = {
        "customer": "Bakery",
        "customer_kind": "commercial",
        "reading_class": "daily",
        "technology": "roots",
        "g_size": "G65",
    }
    return Meter(meter_id=meter_id, company=company, **(usual | fields))


POLICIES = Policies(
    companies={"north": {"idle_after_s": 10, "stalled_for_s": 11}},
    models={"roots": {"idle_after_s": 20, "under_range_for_s": 21}, "roots/G100": {"idle_after_s": 30}},
    meters={"own": {"idle_after_s": 40}},
)


def test_the_nearest_word_counts_and_its_origin_is_kept():
    table = MeterTable.build(
        [
            meter("own"),
            meter("size", g_size="G100"),
            meter("kind"),
            meter("company", technology="diaphragm"),
            meter("stranger", company="south", technology="diaphragm"),
        ],
        policies=POLICIES,
    )

    assert table.limit(lambda p: p.idle_after_s).tolist() == [40, 30, 20, 10, 30 * 86400]
    assert table.origin_of("idle_after_s").tolist() == [
        Origin.METER,
        Origin.MODEL,
        Origin.MODEL,
        Origin.COMPANY,
        Origin.DEFAULT,
    ]
    # What is said nearer does not hide what only the farther one speaks of.
    assert table.limit(lambda p: p.stalled_for_s).tolist() == [11, 11, 11, 11, 3600]


def test_registered_limits_say_where_they_come_from():
    table = MeterTable.build(
        [meter("a", qmax=90, qmin=4, interval_s=60), meter("b"), meter("c", g_size=None)], policies=POLICIES
    )

    assert table.qmax_m3h[:2].tolist() == [90, 100]
    assert table.origin_of("qmax_m3h").tolist() == [Origin.METER, Origin.MODEL, Origin.NONE]
    assert table.origin_of("qmin_m3h").tolist() == [Origin.METER, Origin.MODEL, Origin.NONE]
    assert table.origin_of("interval_s").tolist() == [Origin.METER, Origin.DEFAULT, Origin.DEFAULT]
    with pytest.raises(KeyError):
        table.origin_of("no_such_limit")


def test_what_all_share_is_one_number():
    table = MeterTable.build([meter("a"), meter("b")], policies=POLICIES)

    assert table.limit(lambda p: p.idle_after_s) == 20
    assert each(20, np.array([0, 1])) == 20
    assert each(np.array([1.0, 2.0]), np.array([1, 0, 1])).tolist() == [2.0, 1.0, 2.0]


def test_tables_with_other_policies_can_be_joined():
    left = MeterTable.build([meter("a"), meter("own")], keys=[5, 2], policies=POLICIES)
    right = MeterTable.build([meter("x", company="south")], keys=[3], policies=POLICIES)
    nobody = MeterTable.build([], [], POLICIES)

    whole = nobody.joined(left).joined(right).joined(nobody)

    assert whole.meter_key.tolist() == [2, 3, 5]
    assert whole.limit(lambda p: p.idle_after_s).tolist() == [40, 20, 20]
    assert whole.limit(lambda p: p.stalled_for_s).tolist() == [11, 3600, 11]


def test_a_copy_with_other_limits_resolves_anew():
    asked = ("m", "north", "diaphragm", None)
    assert POLICIES.of(*asked).policy.idle_after_s == 10
    other = replace(POLICIES, companies={"north": {"idle_after_s": 12}})
    assert other.of(*asked).policy.idle_after_s == 12
