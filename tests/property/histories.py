"""Random and eventful histories of three meters, with limits short enough to reach every finding."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import numpy as np
from hypothesis import strategies as st

from fleet.meter_table import MeterTable
from fleet.meters import Meter
from fleet.policies import Policies
from fleet.policy import Policy
from fleet.readings import ABSENT, ReadingBatch
from fleet.wire import VALVES, status_bits

START_US = 1_700_000_000_000_000
MINUTE_US = 60_000_000
#: Short limits, so that short histories reach every finding.
POLICY = Policy(
    under_range_for_s=1800,
    under_range_over_after_s=3600,
    stalled_for_s=1800,
    idle_after_s=4 * 3600,
    exchange_gap_s=12 * 3600,
    mean_window_s=1800,
    silent_after_intervals=3.0,
    spike_ratio=0.4,
    spike_fail_ratio=0.8,
    rate_qmax_per_s=0.0005,
    rate_fail_qmax_per_s=0.0009,
    stuck_for_s=1800,
    stuck_fail_for_s=3600,
    stuck_after_intervals=2.0,
    stuck_chance=0.3,
    balance_frozen_for_s=2 * 3600,
    balance_frozen_steps=3.0,
    barred_rest_s=1800,
)
METERS = [
    Meter(
        meter_id="a",
        company="c",
        customer="a",
        customer_kind="commercial",
        reading_class="daily",
        technology="roots",
        qmax=16,
        qmin=1.6,
        prepaid=True,
        low_balance=50,
        balance_unit="m3",
        interval_s=900,
        register_digits=4,
        installed_on=date(2023, 11, 17),
        register_step=1,
        battery_type="lithium_3v6",
        battery2_type="alkaline_6v",
        oil_volume_at_fill=0,
        oil_interval_m3=60,
    ),
    Meter(
        meter_id="b",
        company="c",
        customer="b",
        customer_kind="commercial",
        reading_class="daily",
        technology="roots",
        qmax=16,
        qmin=1.6,
        interval_s=3600,
        register_step=0.1,
        battery2_type="alkaline_6v",
    ),
    Meter(
        meter_id="d",
        company="c",
        customer="d",
        customer_kind="commercial",
        reading_class="daily",
        technology="diaphragm",
        qmax=4,
        interval_s=1800,
    ),
]
TABLE = MeterTable.build(METERS, keys=[3, 7, 9], policies=Policies(POLICY))
NAN = float("nan")

#: What one reading does, drawn from few values so that runs, ties and edges are common.
CHOICES = {
    "after_min": [0, 1, 15, 15, 15, 30, 30, 60, 60, 240, 900],
    "rise": [0, 0, 0, 0.5, 1, 1, 4, 8, 30, 2000, -1, -5, -2000, 9900],
    "flow": [NAN, 0, 0, 1, 1, 1, 1.5, 2, 8, 17, 20],
    "temperature": [NAN, 20, 20, 20, 21, 41, 60, -40, 0],
    "balance": [NAN, 300, 50, 10, 0, -1],
    "battery": [NAN, 3.6, 3.6, 3.2, 3.0, 0],
    "battery2": [NAN, 6.0, 4.8, 4.0, 0],
    "valve": [ABSENT, *map(VALVES.index, ("fault", "open", "closed", "closed"))],
    "status": [ABSENT, 0, *map(status_bits, (["low_oil"], ["case_open", "low_oil"], ["battery_low"], []))],
    "ahead_s": [-5, -5, -20_000, 90, 300],
    "has": [
        "both",
        "both",
        "volume",
        "std",
        "none",
        "misread",
        "std_misread",
        "unfilled",
        "dropout",
        "zeros",
    ],
}
READING = st.fixed_dictionaries({name: st.sampled_from(values) for name, values in CHOICES.items()})
HISTORY = st.lists(READING, min_size=0, max_size=40)


def columns(key: int, history: list[dict]) -> dict[str, list]:
    time_us, register = START_US + key * MINUTE_US, 9940.0 if key == 3 else 100.0
    rows = []
    for seq, reading in enumerate(history):
        time_us += reading["after_min"] * MINUTE_US
        misread = reading["has"].endswith("misread")
        value = (register + reading["rise"]) % 10_000
        register = register if misread else value
        zeros = reading["has"] == "zeros"
        blank = zeros or reading["has"] == "dropout"
        rows.append(
            {
                "meter_key": key,
                "device_time_us": time_us,
                "seq": seq,
                "received_us": time_us - int(reading["ahead_s"] * 1e6),
                "flow_m3h": 0.0 if blank else reading["flow"],
                "volume_m3": 0.0
                if blank or reading["has"] == "unfilled"
                else NAN
                if reading["has"] in ("std", "none", "std_misread")
                else value,
                "std_volume_m3": NAN if reading["has"] in ("volume", "none", "zeros") else value * 1.5,
                "pressure_kpa": NAN if zeros else 0.0 if blank else 104.0,
                "temperature_c": 0.0 if blank else reading["temperature"],
                "balance": reading["balance"],
                "battery_v": NAN if zeros else reading["battery"],
                "battery2_v": reading["battery2"],
                "valve": reading["valve"],
                "status_bits": reading["status"],
            }
        )
    return {name: [row[name] for row in rows] for name in rows[0]} if rows else {}


def batch_of(histories: list[list[dict]]) -> ReadingBatch:
    parts = [
        ReadingBatch.build(**columns(key, history))
        for key, history in zip((3, 7, 9), histories, strict=True)
        if history
    ]
    return ReadingBatch.concatenate(parts)


def eventful_batch(moods: int) -> ReadingBatch:
    """Make one long history of meter 3; its moods make runs, which independent draws hardly ever do."""
    random = np.random.default_rng(5)
    history = []
    for _ in range(moods):
        mood = {name: values[random.integers(len(values))] for name, values in CHOICES.items()}
        for _ in range(int(random.integers(1, 20))):
            drawn = {name: values[random.integers(len(values))] for name, values in CHOICES.items()}
            history.append({name: mood[name] if random.random() < 0.8 else drawn[name] for name in CHOICES})
    usual = {name: values[-1] for name, values in CHOICES.items()} | {"after_min": 15, "rise": 1}
    for has, misread in (("both", "misread"), ("std", "std_misread")):
        right, wrong = usual | {"has": has}, usual | {"has": misread}
        # Misread alone, and misread low and high in a row: the second waits while the first is open.
        history += [right] * 3 + [wrong | {"rise": 2000}] + [right] * 3
        history += [wrong | {"rise": -20}, wrong | {"rise": 2000}] + [right] * 3
    history += [step for has in ("both", "std") for step in _upheavals(usual | {"has": has})]
    standing = usual | {"has": "both", "rise": 0}
    history += [standing | {"flow": flow} for flow in (17, 8, 20, 17, 20, 8, 17)] + [usual | {"flow": 8}]
    # Enough is shown by small snapshots only after large ones.
    history += [standing | {"flow": flow} for flow in (17, 17, 17, *[8] * 8)] + [usual | {"flow": 8}]
    paid = standing | {"flow": NAN, "has": "volume"}
    history += [paid | {"balance": left} for left in (300, 250, 240, NAN, 230, 230, 100, 300, 200, 100)]
    # Gas is measured between the balances.
    history += [paid | {"balance": 80}, usual | {"has": "both", "rise": 4, "balance": NAN}]
    history += [standing | {"balance": 80}] * 9
    # A register that is shown late, the longer the more it catches up with.
    late = standing | {"flow": 8}
    for stands, rise in ((6, 14), (8, 34), (11, 46)):
        history += [late] * stands + [late | {"rise": rise}]
    barred = standing | {"flow": 0, "valve": VALVES.index("closed"), "balance": 0}
    for has in ("volume", "std"):
        history += [standing | {"valve": VALVES.index("open"), "balance": 300}]
        history += [barred | {"has": has, "rise": rise} for rise in (0, 2, 0, 0)]
    # A leak that moves the register now and then rests for as long, and longer than it needs to.
    history += [standing | {"valve": VALVES.index("open"), "balance": 300}]
    history += [barred | {"after_min": 30, "rise": rise} for rise in (0, 1, 0, 0, 1, *[0] * 8)]
    # Low oil is carried past readings without a status.
    history += [standing | {"status": status_bits(["low_oil"])}, standing | {"status": ABSENT}]
    batch = batch_of([history, [], []])
    late_us = random.integers(0, 10**12, len(batch)) * random.integers(0, 2, len(batch))
    return replace(batch, received_us=batch.received_us + late_us)


def _upheavals(right: dict) -> list[dict]:
    """Make jumps and exchanges with the next sample in doubt too, and leaps back from misread lows."""
    low = right | {"has": "std_misread" if right["has"] == "std" else "misread", "rise": -3000}
    gap, steps = {"after_min": 900}, []
    for _ in range(5):
        steps += [right | {"rise": 3500}, right | {"rise": 3500}, right, right]
        steps += [low, right, right]
        steps += [right | gap | {"rise": -2000}, right | gap | {"rise": -900}, right, right]
    return steps
