"""Missing readings are asked for, again and more rarely, until they come; then nobody asks."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from datetime import datetime, timedelta

import numpy as np
import pytest

from alerts.engine import Engine
from fleet.meters import Meter
from fleet.readings import ReadingBatch
from ingest.backfill import due_requests
from ingest.batch import AssembledBatch
from ingest.delivery import Delivery
from ingest.service import IngestOptions, IngestService
from ingest.writer import BatchWriter
from storage.database import Database
from storage.registry import upsert_meters
from tests.integration.ingest.fakes import Clock, SessionLog

ADDRESSES = {1: ("north", "M1")}


class Silent(SessionLog):
    """A session on which nothing arrives; it wants an end once it has said something."""

    def __init__(self, database: Database) -> None:
        super().__init__(database)
        self.stop_wanted = threading.Event()

    def take(self, _most: int, _timeout_s: float) -> list[Delivery]:
        if self.said:
            self.stop_wanted.set()
        return []


@pytest.fixture
def send(database: Database, make_meter: Callable[..., Meter], now: datetime) -> Callable[..., None]:
    """Commit readings of M1 with these numbers."""
    with database.transaction() as transaction:
        upsert_meters(transaction, [make_meter("M1")])
    writer = BatchWriter(database)

    def run(*seqs: int, at: datetime = now) -> None:
        time_us = int(now.timestamp() * 1e6) + np.array(seqs) * 1000
        columns = {"seq": seqs, "boot": [7] * len(seqs), "flow_m3h": [1.0] * len(seqs)}
        batch = ReadingBatch.build(
            len(seqs), meter_key=[1] * len(seqs), device_time_us=time_us, received_us=time_us, **columns
        )
        writer.write(AssembledBatch(batch), "test", at)

    return run


def _asked(database: Database, now: datetime) -> list[dict[str, int]]:
    words = due_requests(database, ADDRESSES, now)
    assert {topic for topic, _ in words} <= {b"gas/v1/north/M1/backfill"}
    return sorted((json.loads(payload) for _, payload in words), key=lambda word: word["from"])


def test_a_gap_is_asked_for_after_a_grace_and_then_ever_more_rarely(
    send: Callable[..., None], database: Database, now: datetime
) -> None:
    send(1, 2, 6, 9)
    wanted = [{"boot": 7, "from": 3, "to": 5}, {"boot": 7, "from": 7, "to": 8}]
    asked_at = [
        second
        for second in range(0, 4 * 3600, 5)
        if _asked(database, now + timedelta(seconds=second)) == wanted
    ]
    assert asked_at[:4] == [10, 40, 100, 220]
    assert np.diff(asked_at).max() == 3600


def test_a_gap_that_a_wrong_clock_put_off_is_asked_for_all_the_same(
    send: Callable[..., None], database: Database, now: datetime
) -> None:
    send(1, 3, at=now + timedelta(days=400))
    assert _asked(database, now) == [{"boot": 7, "from": 2, "to": 2}]
    assert _asked(database, now + timedelta(seconds=5)) == []


def test_nobody_asks_for_what_came(send: Callable[..., None], database: Database, now: datetime) -> None:
    send(1, 6)
    send(2, 3, 5)
    later = now + timedelta(minutes=1)
    assert _asked(database, later) == [{"boot": 7, "from": 4, "to": 4}]
    send(4)
    assert _asked(database, later + timedelta(hours=2)) == []


def test_nobody_counts_as_asked_whose_address_is_not_known(
    send: Callable[..., None], database: Database, now: datetime
) -> None:
    send(1, 3)
    later = now + timedelta(minutes=1)
    others = {key: ("north", f"M{key}") for key in range(2, 5)}
    assert [due_requests(database, addresses, later) for addresses in ({}, others)] == [[], []]
    assert _asked(database, later) == [{"boot": 7, "from": 2, "to": 2}]


def test_meters_are_asked_for_missing_readings_before_the_first_message_came(
    send: Callable[..., None], database: Database, now: datetime
) -> None:
    send(1, 3, at=now)
    silent = Silent(database)
    service = IngestService(database, silent, IngestOptions(), clock_us=Clock())  # type: ignore[arg-type]
    service.run(silent.stop_wanted)
    assert silent.said[0] == ("gas/v1/north/M1/backfill", {"boot": 7, "from": 2, "to": 2})


def test_a_leap_of_the_counter_is_asked_for_in_pieces(
    send: Callable[..., None], database: Database, now: datetime
) -> None:
    send(1, 2**62)
    assert _asked(database, now + timedelta(minutes=1)) == [{"boot": 7, "from": 2, "to": 10_001}]


def test_what_is_left_of_a_gap_is_asked_for_no_sooner_than_the_gap_would_have_been(
    send: Callable[..., None], database: Database, now: datetime
) -> None:
    send(1, 9)
    assert _asked(database, now + timedelta(seconds=10)) == [{"boot": 7, "from": 2, "to": 8}]
    # From the left, from the middle, from the right; and a new hole beside them.
    send(2, 5, 8, 11, at=now + timedelta(seconds=11))
    assert _asked(database, now + timedelta(seconds=39)) == [{"boot": 7, "from": 10, "to": 10}]
    pieces = [{"boot": 7, "from": 3, "to": 4}, {"boot": 7, "from": 6, "to": 7}]
    assert _asked(database, now + timedelta(seconds=40)) == pieces
    with database.transaction() as transaction:
        rows = transaction.rows("SELECT found_at, asked FROM sequence_gap ORDER BY seq_from")
    assert rows == [
        {"found_at": now, "asked": 2},
        {"found_at": now, "asked": 2},
        {"found_at": now + timedelta(seconds=11), "asked": 1},
    ]


def test_a_hole_that_every_reading_makes_smaller_is_asked_for_ever_more_rarely_and_becomes_an_alarm(
    send: Callable[..., None], database: Database, now: datetime
) -> None:
    engine = Engine(database)
    send(1, 2**63 - 1)
    asked = 0
    for seq in range(2, 32):
        later = now + timedelta(minutes=seq - 1)
        send(seq, at=later)
        asked += len(_asked(database, later))
        engine.run_clock(later)
    with database.transaction() as transaction:
        alarms = transaction.rows("SELECT state FROM alarm WHERE check_code = 'data_gap'")
    # Due again after 30 s, 1, 2, 4, 8 and 16 min.
    assert (asked, alarms) == (6, [{"state": "active_unacked"}])


def test_a_gap_that_stays_open_becomes_an_alarm_and_ends_it_when_filled(
    send: Callable[..., None], database: Database, now: datetime
) -> None:
    engine = Engine(database)
    send(1, 4)

    def alarms(minutes: int) -> list[tuple]:
        engine.run_clock(now + timedelta(minutes=minutes))
        with database.transaction() as transaction:
            rows = transaction.rows("SELECT state, readings FROM alarm WHERE check_code = 'data_gap'")
        return [(row["state"], row["readings"]) for row in rows]

    assert alarms(29) == []
    assert alarms(30) == [("active_unacked", 2)]
    send(2, 3)
    assert alarms(31) == [("cleared_unacked", 2)]
