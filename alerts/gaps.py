"""Readings that a meter numbered and that never came, although it was asked for them."""

from __future__ import annotations

from datetime import datetime

import numpy as np

from analytics.block import US_PER_S
from analytics.episodes import ONGOING_US, Episodes
from fleet.checks import BY_CODE
from fleet.flags import Flag
from fleet.meter_table import MeterTable
from fleet.times import to_us
from storage.database import Transaction
from storage.named_sql import load_queries

_SQL = load_queries("alerts")


def open_gaps(transaction: Transaction, meters: MeterTable, now: datetime) -> Episodes:
    """Find meters with gaps in their sequence that are older than `gap_open_after_s`.

    Onset: when the oldest of them was found; readings: how many numbers are missing in all of
    them; value: its age, s.
    """
    open_after = meters.limit(lambda p: p.gap_open_after_s)
    open_after_s = np.full(len(meters), open_after, dtype=np.int64)
    wanted = {"meter_keys": meters.meter_key, "open_after_s": open_after_s, "now": now}
    rows = transaction.rows(_SQL["gaps_open"], wanted)
    keys = np.array([row["meter_key"] for row in rows], dtype=np.int32)
    at = meters.rows_of(keys)
    found_us = np.array([to_us(row["found_at"]) for row in rows], dtype=np.int64)
    return Episodes.build(
        meter_key=keys,
        check=BY_CODE["data_gap"].number,
        flag=np.full(len(rows), Flag.SUSPECT),
        started_us=found_us,
        ended_us=ONGOING_US,
        readings=np.array([row["missing"] for row in rows], dtype=np.int64),
        value=(to_us(now) - found_us) / US_PER_S,
        limit=open_after_s[at],
        origin=meters.origin_of("gap_open_after_s")[at],
        part=0,
    )
