"""What only the clock can tell of meters: who is silent, what is missing, which services are due."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from alerts.carried import load_states
from alerts.gaps import open_gaps
from alerts.path_health import alive
from analytics.episodes import Episodes
from analytics.pipeline import CLOCK_CHECKS, evaluate_clock, silence_horizon_us
from fleet.meter_table import MeterTable
from fleet.readings import ABSENT
from fleet.times import to_us
from storage.database import Transaction
from storage.named_sql import load_queries

_SQL = load_queries("alerts")

#: Checks of which `due_now` is the whole present truth. Silence is among them: a history shows
#: the silences that ended, and only the clock shows one that goes on.
DUE_CHECKS = CLOCK_CHECKS | {"meter_silent", "data_gap"}


def due_now(transaction: Transaction, meters: MeterTable, timezone: str, now: datetime) -> Episodes:
    """Run the clock's checks on some meters of one time zone; gives all that is true at `now`."""
    state = load_states(transaction, meters.meter_key).state
    horizon_us = _horizon_us(transaction, state, now)
    offset = now.astimezone(ZoneInfo(timezone)).utcoffset()
    offset_s = np.full(len(meters), int(offset.total_seconds()) if offset else 0, dtype=np.int64)
    by_clock = evaluate_clock(meters, state, to_us(now), horizon_us, offset_s)
    return Episodes.concatenate([by_clock, open_gaps(transaction, meters, now)])


def note_newest(transaction: Transaction, newest_us: int) -> None:
    """Note the newest device time that a cycle evaluated, in its transaction, for the clock of every engine.

    ABSENT is none.

    `fleet_newest` is asked for each block of meters and not once for all of them: in one snapshot with
    the block's states, what waits there cannot have been stored after the question.
    """
    if newest_us != ABSENT:
        transaction.execute(_SQL["newest_note"], {"newest_us": newest_us})


def _horizon_us(transaction: Transaction, state: NDArray[np.void], now: datetime) -> NDArray[np.int64]:
    """Estimate up to which device time each meter's readings must have been evaluated.

    The estimate of the checks, which sees these meters only, is put right by what the database
    knows of the fleet: its newest reading, and work that waits. A meter whose readings are
    stored but not evaluated yet is not silent; the engine is late. Nor is any while ingest or the
    broker is away: then nobody can know.
    """
    row = transaction.row(_SQL["fleet_newest"]) or {"newest_at": None, "waiting_since": None}
    newest_us = ABSENT if row["newest_at"] is None else to_us(row["newest_at"])
    whole = alive(transaction.rows(_SQL["ingest_heartbeats"]), now)
    horizon_us = silence_horizon_us(whole.until_us, state, newest_us, whole.since_us)
    if row["waiting_since"] is not None:
        horizon_us = np.minimum(horizon_us, to_us(row["waiting_since"]))
    return horizon_us
