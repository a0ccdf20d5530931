"""Cutting a history anywhere, and carrying the state, gives what one pass gives."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import date

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from analytics import pipeline
from analytics.episodes import Episodes
from analytics.history import newest
from analytics.pipeline import READING_CHECKS, STATE_DTYPE, evaluate, evaluate_clock, initial_state
from fleet.checks import BY_CODE
from fleet.flags import Flag, worst
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


def _batch(histories: list[list[dict]]) -> ReadingBatch:
    parts = [
        ReadingBatch.build(**columns(key, history))
        for key, history in zip((3, 7, 9), histories, strict=True)
        if history
    ]
    return ReadingBatch.concatenate(parts)


def _cut(batch: ReadingBatch, cuts: list[float]) -> list[ReadingBatch]:
    """Cut each meter's readings at its own share of its length, so that pieces hold uneven parts."""
    piece = np.zeros(len(batch), dtype=int)
    for at, key in enumerate(np.unique(batch.meter_key)):
        rows = np.flatnonzero(batch.meter_key == key)
        for cut in cuts:
            share = (cut * (at + 1)) % 1.0
            piece[rows[int(share * (len(rows) + 1)) :]] += 1
    return [batch.take(piece == number) for number in range(len(cuts) + 1)]


def _stream(pieces: list[ReadingBatch], forget: str | None = None):
    """Feed pieces one by one; give final flags by (check, meter, time, seq), episodes, and the state.

    `forget` names a field of the state that is lost between pieces.
    """
    state = initial_state(len(TABLE))
    flags: dict[tuple, int] = {}
    runs = []
    for piece in pieces:
        done = evaluate(piece, TABLE, state)
        state = done.state.copy()
        if forget:
            state[forget] = initial_state(len(TABLE))[forget]
        runs.append(done.episodes)
        for code in READING_CHECKS:
            number = np.full(len(piece), BY_CODE[code].number)
            _say(flags, number, piece.meter_key, piece.device_time_us, piece.seq, done.flags[code])
        late = done.revised
        _say(flags, late.check, late.meter_key, late.device_time_us, late.seq, late.flag)
    return flags, runs, done.state if pieces else state


def _say(flags: dict[tuple, int], *columns: np.ndarray) -> None:
    for *who, flag in zip(*(column.tolist() for column in columns), strict=True):
        both = [np.array([said], np.uint8) for said in (flags.get(tuple(who), Flag.MISSING), flag)]
        flags[tuple(who)] = int(worst(*both)[0])


def _rows(episodes: Episodes) -> Counter[tuple]:
    columns = [getattr(episodes, name).tolist() for name in Episodes.__dataclass_fields__]
    return Counter(tuple(map(repr, row)) for row in zip(*columns, strict=True))


def _last_words(runs: list[Episodes], whole: Episodes) -> Counter[tuple]:
    """List episodes, but for those that begin at one instant in `whole`: they cannot be told apart.

    (Of two readings of one time, one can end an episode and the other begin the next.)
    """
    names = ("meter_key", "check", "part", "started_us")
    twice = Counter(zip(*(getattr(whole, name).tolist() for name in names), strict=True))
    last = newest(runs)
    keys = zip(*(getattr(last, name).tolist() for name in names), strict=True)
    return _rows(last.take(np.array([twice[key] < 2 for key in keys], dtype=bool)))


def _outcomes(
    batch: ReadingBatch, pieces: list[ReadingBatch], forget: str | None = None
) -> tuple[tuple, tuple]:
    """Give the outcome in one pass and the one in pieces."""
    flags, (whole,), state = _stream([batch])
    cut_flags, runs, cut_state = _stream(pieces, forget)
    now_us = START_US + 30 * 86_400_000_000
    return (
        (
            flags,
            _last_words([whole], whole),
            state.tobytes(),
            _rows(evaluate_clock(TABLE, state, now_us, now_us)),
        ),
        (
            cut_flags,
            _last_words(runs, whole),
            cut_state.tobytes(),
            _rows(evaluate_clock(TABLE, cut_state, now_us, now_us)),
        ),
    )


def _singles(batch: ReadingBatch) -> list[ReadingBatch]:
    return [batch.take(np.array([row])) for row in range(len(batch))]


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(HISTORY, min_size=3, max_size=3), st.lists(st.floats(0, 1), max_size=6))
def test_streaming_equals_one_pass(histories, cuts):
    batch = _batch(histories)
    whole, streamed = _outcomes(batch, _cut(batch, cuts))
    assert streamed == whole


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(HISTORY, min_size=3, max_size=3))
def test_one_reading_at_a_time_equals_one_pass(histories):
    batch = _batch(histories)
    whole, streamed = _outcomes(batch, _singles(batch))
    assert streamed == whole


def _eventful_batch(moods: int) -> ReadingBatch:
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
    paid = standing | {"flow": NAN, "has": "volume"}
    history += [paid | {"balance": left} for left in (300, 250, 240, NAN, 230, 230, 100, 300, 200, 100)]
    barred = standing | {"flow": 0, "valve": VALVES.index("closed"), "balance": 0}
    for has in ("volume", "std"):
        history += [standing | {"valve": VALVES.index("open"), "balance": 300}]
        history += [barred | {"has": has, "rise": rise} for rise in (0, 2, 0, 0)]
    # Low oil is carried past readings without a status.
    history += [standing | {"status": status_bits(["low_oil"])}, standing | {"status": ABSENT}]
    batch = _batch([history, [], []])
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


def test_one_long_eventful_history_streams():
    batch = _eventful_batch(60)
    whole, streamed = _outcomes(batch, _singles(batch))
    assert streamed == whole


def test_the_eventful_history_reaches_every_finding():
    done = evaluate(_eventful_batch(14), TABLE, initial_state(len(TABLE)))
    found = set(done.episodes.check.tolist())
    assert [code for code in READING_CHECKS if BY_CODE[code].number not in found] == []


#: Worked out anew at every run from the registry, and carried only for `silence_horizon_us`.
RECOMPUTED = {"silent_limit_us"}


@pytest.mark.parametrize("field", sorted(set(STATE_DTYPE.names) - RECOMPUTED))
def test_forgetting_any_one_field_of_the_state_is_noticed(field):
    batch = _eventful_batch(14)
    whole, streamed = _outcomes(batch, _singles(batch), forget=field)
    assert streamed != whole


def test_a_fleet_larger_than_a_block_is_one_fleet(monkeypatch):
    monkeypatch.setattr(pipeline, "_BLOCK_READINGS", 10_000)
    histories = [_eventful_batch(60)] * 60
    many = ReadingBatch.concatenate(
        [replace(b, meter_key=np.full(len(b), key, np.int32)) for key, b in enumerate(histories)]
    )
    table = MeterTable.build([METERS[0]] * 60, policies=Policies(POLICY))
    done = evaluate(many, table, initial_state(60))
    size = len(histories[0])
    for code in READING_CHECKS:
        np.testing.assert_array_equal(
            done.flags[code].reshape(60, size), np.tile(done.flags[code][:size], (60, 1))
        )
    assert np.bincount(done.episodes.meter_key).tolist() == [int((done.episodes.meter_key == 0).sum())] * 60
    assert len(many) > 30_000
