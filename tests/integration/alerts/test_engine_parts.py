"""A cycle in parts, and a cycle that reads no further than its claim."""

from __future__ import annotations

import random
from datetime import timedelta

import numpy as np
import pytest

from alerts.cycle import STEPS
from alerts.engine import Engine
from fleet.readings import ReadingBatch
from fleet.times import to_us
from storage.database import Transaction
from storage.exceptions import SerializationError

HOUR = timedelta(hours=1)
MINUTE = timedelta(minutes=1)


def _arrive(story, keys, at, times, flow):
    """One transaction with a reading of each meter; `times` are minutes after `at`."""
    us = [to_us(at + minute * MINUTE) for minute in times]
    story.arrive_batch(
        ReadingBatch.build(
            meter_key=np.array(keys), device_time_us=us, seq=us, received_us=us, flow_m3h=flow
        ),
        at + max(times) * MINUTE,
    )


def _said(story, keys):
    """Alarms, journal and states of some meters, without the numbers that the database gives."""
    questions = {
        "alarm": "SELECT meter_key, check_code, severity, state, onset_at, ended_at, occurrences, readings, "
        "value FROM alarm WHERE meter_key = ANY(%(keys)s) ORDER BY meter_key, check_code, onset_at",
        "journal": "SELECT meter_key, check_code, event, event_at, arrived_at, correction, journal.value "
        "FROM alarm_journal AS journal JOIN alarm USING (alarm_id) WHERE meter_key = ANY(%(keys)s) "
        "ORDER BY meter_key, check_code, journal_id",
        "state": "SELECT * FROM meter_state WHERE meter_key = ANY(%(keys)s) ORDER BY meter_key",
    }
    return {
        name: [row | {"meter_key": keys.index(row["meter_key"])} for row in story.ask(question, keys=keys)]
        for name, question in questions.items()
    }


@pytest.mark.parametrize("seed", range(3))
def test_parts_of_any_size_say_what_one_part_says(seed, story, make_meter, now):
    """The same story twice, on two sets of meters: late readings, new meters and busy cycles among it."""
    chance = random.Random(seed)
    told = []
    plot = [
        [(number, step - (chance.random() < 0.1) * 90, chance.choice([100.0, 100.0, 170.0, 250.0]))
         for number in range(7) if step >= number and chance.random() < 0.7]
        for step in range(12)
    ]  # fmt: skip
    for prefix, size in (("A", 1000), ("B", chance.choice([1, 2, 3]))):
        keys = list(story.register(*(make_meter(f"{prefix}{i}") for i in range(7))).values())
        engine = Engine(story.database, meters_per_part=size)
        for step, scene in enumerate(plot):
            if scene:
                numbers, times, flow = zip(*scene, strict=True)
                _arrive(story, [keys[number] for number in numbers], now + 3 * HOUR, times, list(flow))
            if step % 3 == 2:
                engine.run_once(now + 4 * HOUR)
        while engine.run_once(now + 4 * HOUR).claimed:
            pass
        told.append(keys)
    whole, parts = (_said(story, keys) for keys in told)
    assert parts == whole
    assert whole["alarm"]


@pytest.mark.parametrize("step", STEPS)
def test_a_crash_in_any_part_repeats_the_whole_cycle(step, story, make_meter, now):
    keys = list(story.register(*(make_meter(f"M{i}") for i in range(3))).values())
    _arrive(story, keys, now, [0, 1, 2], [170.0] * 3)
    before, reached = story.everything(), []

    class CrashError(Exception):
        """The process dies here."""

    def crash(at: str) -> None:
        reached.append(at)
        if at == step and (at != "evaluated" or reached.count(at) == len(keys)):
            raise CrashError

    with pytest.raises(CrashError):
        Engine(story.database, meters_per_part=1, failpoint=crash).run_once(now + HOUR)
    assert story.everything() == before
    Engine(story.database, meters_per_part=1).run_once(now + HOUR)
    assert [alarm["meter_key"] for alarm in story.alarms("flow_over_range")] == keys


def test_what_the_database_refuses_in_one_part_ends_the_cycle(story, make_meter, now):
    """Another engine has the second of three meters; what was written of the first one is taken back."""
    keys = list(story.register(*(make_meter(f"M{i}") for i in range(3))).values())
    engine = Engine(story.database, meters_per_part=1)
    _arrive(story, keys, now, [0, 0, 0], [100.0] * 3)
    engine.run_once(now)
    _arrive(story, keys, now, [1, 2, 3], [170.0] * 3)
    before = story.everything()

    def overtake(step: str) -> None:
        if step == "claimed":
            with story.database.transaction() as transaction:
                transaction.execute(
                    "UPDATE meter_state SET layout = layout WHERE meter_key = %(key)s", {"key": keys[1]}
                )

    with pytest.raises(SerializationError):
        Engine(story.database, meters_per_part=1, failpoint=overtake).run_once(now + HOUR)
    assert story.everything() == before
    engine.run_once(now + HOUR)
    assert len(story.alarms("flow_over_range")) == 3


def test_a_cycle_looks_at_no_work_but_its_own_however_much_waits(story, one_meter, now, monkeypatch):
    for i in range(20):
        story.arrive(one_meter, now + i * MINUTE, MINUTE, flow_m3h=[100.0])
    asked = []
    for verb in ("rows", "execute", "copy_out"):
        real = getattr(Transaction, verb)

        def noted(self, sql, *rest, real=real):
            if "dirty_work" in sql:
                asked.append(sql)
            return real(self, sql, *rest)

        monkeypatch.setattr(Transaction, verb, noted)
    cycle = Engine(story.database, rows_per_cycle=2, readings_per_cycle=0).run_once(now + HOUR)
    assert (cycle.claimed, cycle.readings) == (2, 2)
    claims, removal = asked
    assert "LIMIT %(limit)s FOR UPDATE SKIP LOCKED" in claims
    assert claims.count("FROM dirty_work") == removal.count("FROM dirty_work") == 1


def test_what_waits_between_the_claimed_readings_is_evaluated_with_them_and_changes_nothing_later(
    story, one_meter, now
):
    """Two ingest processes: the later row of work holds the reading in the middle."""
    story.arrive(one_meter, now, 2 * MINUTE, flow_m3h=[100.0, 170.0])
    story.arrive(one_meter, now + MINUTE, 2 * MINUTE, flow_m3h=[170.0, 170.0])
    engine = Engine(story.database, rows_per_cycle=1, readings_per_cycle=0)
    first = engine.run_once(now + HOUR)
    assert (first.readings, first.reevaluated) == (3, 0)
    [alarm] = story.alarms("flow_over_range")
    assert (alarm["onset_at"], alarm["readings"]) == (now + MINUTE, 2)
    second = engine.run_once(now + HOUR)
    assert (second.claimed, second.reevaluated) == (1, 1)
    [alarm] = story.alarms("flow_over_range")
    assert (alarm["onset_at"], alarm["readings"]) == (now + MINUTE, 3)
    assert not any(row["correction"] for row in story.ask("SELECT correction FROM alarm_journal"))


def test_work_of_an_older_program_that_does_not_say_how_far_it_reaches_means_all_that_is_there(
    story, one_meter, now
):
    for i in range(4):
        story.arrive(one_meter, now + i * MINUTE, MINUTE, flow_m3h=[170.0])
    story.ask("UPDATE dirty_work SET until = NULL RETURNING dirty_work_id")
    engine = Engine(story.database, rows_per_cycle=1, readings_per_cycle=0)
    assert engine.run_once(now + HOUR).readings == 4
    while engine.run_once(now + HOUR).claimed:
        pass
    [alarm] = story.alarms("flow_over_range")
    assert alarm["readings"] == 4
