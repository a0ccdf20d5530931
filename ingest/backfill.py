"""Asking meters for readings that never came: which gaps, and how often."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta

import msgspec
import numpy as np

from fleet.wire import topic
from ingest.confirming import Outgoing
from storage.database import Database
from storage.named_sql import load_queries

_SQL = load_queries("ingest")

#: What overtook its neighbours on the way comes by itself within this time.
GRACE = timedelta(seconds=10)
#: Asked again after this, then after twice that, and so on; in the end once in an hour.
FIRST_WAIT, LONGEST_WAIT = timedelta(seconds=30), timedelta(hours=1)
_MOST_GAPS = 500
#: Readings asked for at once; what is left of a longer gap is asked for when that gap is due again.
_MOST_READINGS = 10_000


def due_requests(
    database: Database, addresses: Mapping[int, tuple[str, str]], now: datetime
) -> list[Outgoing]:
    """Choose the gaps of known meters that are to be asked for now, and note that they were.

    Raises DatabaseUnavailableError. A request that gets lost is repeated when it is due again.
    """
    if not addresses:
        return []
    parameters = {
        "now": now,
        # Of no others: it would be noted that they were asked, and nobody would have asked them.
        "meter_keys": np.fromiter(addresses, dtype=np.int64, count=len(addresses)),
        "most": _MOST_GAPS,
        "first_s": FIRST_WAIT.total_seconds(),
        "longest_s": LONGEST_WAIT.total_seconds(),
    }
    with database.transaction() as transaction:
        rows = transaction.rows(_SQL["ingest_gaps_ask"], parameters)
    return [
        (
            topic(*addresses[row["meter_key"]], "backfill").encode(),
            msgspec.json.encode({"boot": row["boot"], "from": row["seq_from"], "to": _last(row)}),
        )
        for row in rows
    ]


def _last(row: Mapping[str, int]) -> int:
    return min(row["seq_to"], row["seq_from"] + _MOST_READINGS - 1)
