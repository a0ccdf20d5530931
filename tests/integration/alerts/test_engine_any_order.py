"""However readings arrive and however work is cut, the alarms say in the end what the readings say."""

from __future__ import annotations

import random
from datetime import timedelta

import numpy as np
import pytest

from alerts.engine import Engine
from fleet.readings import ReadingBatch
from fleet.times import to_us

MINUTE = timedelta(minutes=1)
READINGS = 40


def _last_onset(flows):
    """Index at which the present over-range began; None where the last flow is in range."""
    if flows[-1] <= 160.0:
        return None
    return max((i + 1 for i, flow in enumerate(flows) if flow <= 160.0), default=0)


def _arrivals(chance, keys):
    """Readings of all meters, mostly in order, some late, cut into batches at random."""
    taken = [(i + chance.choice([0, 0, 0, 0, 12]), key, i) for key in keys for i in range(READINGS)]
    taken.sort()
    while taken:
        size = chance.randint(1, 15)
        yield taken[:size]
        taken = taken[size:]


@pytest.mark.parametrize("seed", range(6))
def test_any_order_of_arrival_ends_in_the_truth(seed, story, make_meter, now):
    chance = random.Random(seed)
    keys = list(story.register(*(make_meter(f"M{i}", interval_s=60) for i in range(3))).values())
    flows = {key: [chance.choice([100.0, 100.0, 170.0, 200.0]) for _ in range(READINGS)] for key in keys}
    engine = Engine(story.database, rows_per_cycle=2, readings_per_cycle=0, readings_per_block=25)
    for batch in _arrivals(chance, keys):
        time_us = np.array([to_us(now + at * MINUTE) for _, _, at in batch])
        story.arrive_batch(
            ReadingBatch.build(
                meter_key=[key for _, key, _ in batch],
                device_time_us=time_us,
                seq=[at for _, _, at in batch],
                received_us=[to_us(now + came * MINUTE) for came, _, _ in batch],
                flow_m3h=[flows[key][at] for _, key, at in batch],
            ),
            now,
        )
        if chance.random() < 0.6:
            engine.run_once(now)
    while engine.run_once(now).claimed:
        pass
    open_alarms = {a["meter_key"]: a for a in story.alarms("flow_over_range") if a["ended_at"] is None}
    onsets = {key: _last_onset(flows[key]) for key in keys}
    assert {key: alarm["onset_at"] for key, alarm in open_alarms.items()} == {
        key: now + at * MINUTE for key, at in onsets.items() if at is not None
    }
    _assert_the_whole_history_says_the_same(story, engine, keys, now)


def _assert_the_whole_history_says_the_same(story, engine, keys, now):
    """Evaluated from its beginning, each history gives the state that the pieces left, and no change."""
    before = _what_is_said(story)
    with story.database.transaction() as transaction:
        for key in keys:
            transaction.execute(
                "INSERT INTO dirty_work (created_at, meter_keys, since) VALUES (%(now)s, %(keys)s, %(since)s)",
                {"now": now, "keys": [key], "since": [now]},
            )
    while (cycle := engine.run_once(now)).claimed:
        assert cycle.reevaluated == cycle.meters
    assert _what_is_said(story) == before


def _what_is_said(story):
    """Everything but which earlier states are kept: another way there keeps others."""
    return {name: rows for name, rows in story.everything().items() if name != "meter_checkpoint"}
