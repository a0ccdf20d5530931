"""Cutting a history anywhere, and carrying the state, gives what one pass gives."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from analytics import pipeline
from analytics.episodes import Episodes
from analytics.history import newest
from analytics.pipeline import READING_CHECKS, evaluate, evaluate_clock, initial_state
from fleet.checks import BY_CODE
from fleet.flags import Flag, worst
from fleet.meter_table import MeterTable
from fleet.policies import Policies
from fleet.readings import ReadingBatch
from tests.property.histories import HISTORY, METERS, POLICY, START_US, TABLE, batch_of, eventful_batch


def _cut(batch: ReadingBatch, cuts: list[float]) -> list[ReadingBatch]:
    """Cut each meter's readings at its own share of its length, so that pieces hold uneven parts."""
    piece = np.zeros(len(batch), dtype=int)
    for at, key in enumerate(np.unique(batch.meter_key)):
        rows = np.flatnonzero(batch.meter_key == key)
        for cut in cuts:
            share = (cut * (at + 1)) % 1.0
            piece[rows[int(share * (len(rows) + 1)) :]] += 1
    return [batch.take(piece == number) for number in range(len(cuts) + 1)]


def _stream(pieces: list[ReadingBatch]):
    """Feed pieces one by one; give final flags by (check, meter, time, seq), episodes, and the state."""
    state = initial_state(len(TABLE))
    flags: dict[tuple, int] = {}
    runs = []
    for piece in pieces:
        done = evaluate(piece, TABLE, state)
        state = done.state
        runs.append(done.episodes)
        for code in READING_CHECKS:
            number = np.full(len(piece), BY_CODE[code].number)
            _say(flags, number, piece.meter_key, piece.device_time_us, piece.seq, done.flags[code])
        late = done.revised
        _say(flags, late.check, late.meter_key, late.device_time_us, late.seq, late.flag)
    return flags, runs, state


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


def _outcomes(batch: ReadingBatch, pieces: list[ReadingBatch]) -> tuple[tuple, tuple]:
    """Give the outcome in one pass and the one in pieces."""
    flags, (whole,), state = _stream([batch])
    cut_flags, runs, cut_state = _stream(pieces)
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


@settings(max_examples=80)
@given(st.lists(HISTORY, min_size=3, max_size=3), st.lists(st.floats(0, 1), max_size=6))
def test_streaming_equals_one_pass(histories, cuts):
    batch = batch_of(histories)
    whole, streamed = _outcomes(batch, _cut(batch, cuts))
    assert streamed == whole


@settings(max_examples=20)
@given(st.lists(HISTORY, min_size=3, max_size=3))
def test_one_reading_at_a_time_equals_one_pass(histories):
    batch = batch_of(histories)
    whole, streamed = _outcomes(batch, _singles(batch))
    assert streamed == whole


def test_one_long_eventful_history_streams():
    batch = eventful_batch(30)
    whole, streamed = _outcomes(batch, _singles(batch))
    assert streamed == whole


def test_the_eventful_history_reaches_every_finding():
    done = evaluate(eventful_batch(14), TABLE, initial_state(len(TABLE)))
    found = set(done.episodes.check.tolist())
    assert [code for code in READING_CHECKS if BY_CODE[code].number not in found] == []


def test_a_fleet_larger_than_a_block_is_one_fleet(monkeypatch):
    monkeypatch.setattr(pipeline, "_BLOCK_READINGS", 10_000)
    histories = [eventful_batch(60)] * 60
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
