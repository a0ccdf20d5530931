"""A policy that says what is so anyway changes nothing, whatever the meters send."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from analytics.backtest import Outcome, compare
from analytics.history import evaluate_history
from fleet.meter_table import MeterTable
from fleet.meters import Meter
from fleet.policies import Policies
from fleet.policy import DEFAULT_POLICY
from fleet.policy_file import read_policies
from fleet.policy_rules import NUMBERS
from fleet.readings import ReadingBatch

METERS = [
    Meter(
        meter_id=f"m{at}",
        company=company,
        customer="Bakery",
        customer_kind="commercial",
        reading_class="daily",
        technology="roots",
        g_size="G65",
        prepaid=True,
        battery_type="lithium_3v6",
    )
    for at, company in enumerate(("north", "south"))
]
TABLES = ("default", "company.north", "model.roots", 'model."roots/G65"', "meter.m1")
FIELDS = sorted(name for name in NUMBERS if not math.isnan(getattr(DEFAULT_POLICY, name)))


@st.composite
def repeated_defaults(draw) -> str:
    """A policy file in which every number is the built-in one."""
    text = ""
    for table in draw(st.lists(st.sampled_from(TABLES), unique=True)):
        names = draw(st.lists(st.sampled_from(FIELDS), unique=True))
        text += f"[{table}]\n" + "".join(f"{name} = {getattr(DEFAULT_POLICY, name)!r}\n" for name in names)
    return text


@st.composite
def histories(draw) -> ReadingBatch:
    """Two meters whose values dance around their limits."""
    n = draw(st.integers(1, 60))
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    hours = np.sort(random.integers(0, 24 * 50, n))
    meter_key = np.sort(random.integers(0, 2, n))
    order = np.lexsort((hours, meter_key))
    time_us = 1_699_999_200_000_000 + hours[order] * 3_600_000_000
    return ReadingBatch.build(
        n,
        meter_key=meter_key[order],
        device_time_us=time_us,
        received_us=time_us,
        seq=np.arange(n),
        flow_m3h=random.choice([0, 1, 50, 110, 130], n),
        volume_m3=np.cumsum(random.choice([0, 0, 50, 5000, -40], n)) + 100_000.0,
        temperature_c=random.choice([10, 10, 10, 50], n),
        balance=random.choice([500, 150, 0], n),
        battery_v=random.choice([3.6, 3.2, 3.0], n),
    )


def found(batch: ReadingBatch, policies: Policies) -> Any:
    return evaluate_history(batch, MeterTable.build(METERS, policies=policies)).episodes


@settings(max_examples=60)
@given(histories(), repeated_defaults())
def test_a_policy_equal_to_the_default_changes_nothing(batch, text):
    read = read_policies(text)
    assert read.errors == ()
    plain, same = found(batch, Policies()), found(batch, read.policies())
    for name in (
        "meter_key",
        "check",
        "flag",
        "part",
        "started_us",
        "ended_us",
        "readings",
        "value",
        "limit",
    ):
        np.testing.assert_array_equal(getattr(plain, name), getattr(same, name), err_msg=name)
    assert set(compare(plain, same).outcome.tolist()) <= {Outcome.KEPT}
