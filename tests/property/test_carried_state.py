"""Every field that the checks carry is needed: what forgets one of them says something else."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np

from analytics.block import Revisions
from analytics.episodes import Episodes
from analytics.pipeline import STATE_DTYPE, evaluate, evaluate_clock, initial_state
from fleet.meter_table import MeterTable
from fleet.policies import Policies
from fleet.readings import ReadingBatch
from tests.property.histories import METERS, POLICY, eventful_batch

#: Worked out anew at every run from the registry, and carried only for `silence_horizon_us`.
RECOMPUTED = {"silent_limit_us"}
FIELDS = sorted(set(STATE_DTYPE.names) - RECOMPUTED)


def test_forgetting_any_one_field_of_the_state_is_noticed():
    """As many meters as fields read the same; each forgets its own field, the last one forgets nothing."""
    table = MeterTable.build([METERS[0]] * (len(FIELDS) + 1), policies=Policies(POLICY))
    differs = _differing(eventful_batch(60), table)
    assert not differs[-1]
    assert [field for field, seen in zip(FIELDS, differs, strict=False) if not seen] == []


def _differing(history: ReadingBatch, table: MeterTable) -> np.ndarray:
    """Tell at which meters anything was said that the last one did not say, shape (m,)."""
    m = len(table)
    blank, state = initial_state(m), initial_state(m)
    differs = np.zeros(m, dtype=np.bool_)
    runs, late = [], []
    for row in range(len(history)):
        piece = history.take(np.full(m, row))
        done = evaluate(replace(piece, meter_key=table.meter_key), table, state)
        for flags in done.flags.values():
            differs |= flags != flags[-1]
        runs.append(done.episodes)
        late.append(done.revised)
        state = done.state.copy()
        for at, field in enumerate(FIELDS):
            state[field][at] = blank[field][at]
    now_us = int(history.device_time_us[-1]) + 30 * 86_400_000_000
    runs.append(evaluate_clock(table, done.state, now_us, now_us))
    told = [Counter() for _ in range(m)]
    _tell(told, Episodes.concatenate(runs))
    _tell(told, Revisions.concatenate(late))
    carried = [done.state[at].tobytes() for at in range(m)]
    return differs | np.array([told[at] != told[-1] or carried[at] != carried[-1] for at in range(m)])


def _tell(told: list[Counter[tuple]], said: Episodes | Revisions) -> None:
    """Add to what was said of each meter."""
    names = [name for name in said.__dataclass_fields__ if name != "meter_key"]
    columns = [getattr(said, name).tolist() for name in names]
    for key, *row in zip(said.meter_key.tolist(), *columns, strict=True):
        told[key][tuple(map(repr, row))] += 1
