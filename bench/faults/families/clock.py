"""Clocks that are wrong: ingest's own, and those of meters."""

from __future__ import annotations

import random
from collections.abc import Callable

import msgspec

from bench.faults.fault import Fault
from bench.faults.names import FORGETFUL
from bench.faults.stage import Stage

_HOUR_S = 3600.0
_LONG_AGO_MS, _FAR_AHEAD_MS = 86_400_000, 4_080_000_000_000
_MESSAGES = 20
_STORED_S = 20.0
#: By how much the time of arrival is off, at the most and at the least.
_OFF = """
SELECT max(extract(epoch FROM received_at - now())), min(extract(epoch FROM received_at - now()))
FROM reading WHERE boot = %(boot)s
"""
_NEARLY = 0.9


def _jump(offset_s: float) -> Callable[[Stage, random.Random], None]:
    def run(stage: Stage, rng: random.Random) -> None:
        """Jump, work for a while, and jump back."""
        stage.control.set_clock(offset_s)
        stage.pause(rng.uniform(2.0, 4.0))
        readings = stage.load.forgetful.publish(_MESSAGES)
        stage.until(lambda: stage.is_stored(readings), _STORED_S, "readings are stored under the wrong clock")
        off_s = [float(seconds) for seconds in stage.oracle.ask(_OFF, boot=stage.load.boot)[0]]
        stage.expect(max(seconds / offset_s for seconds in off_s) > _NEARLY, "ingest's clock is wrong")

    return run


def _meters_clocks(stage: Stage, rng: random.Random) -> None:
    """Let meters tell times in 1970 and 2099; good readings come in between."""
    *_, partitions = stage.oracle.counts()
    for number in range(_MESSAGES):
        ts_ms = (_LONG_AGO_MS, _FAR_AHEAD_MS)[number % 2] + rng.randrange(10**9)
        payload = msgspec.json.encode({"ts": ts_ms, "flow": rng.uniform(2.0, 9.0)})
        stage.ledger.expect_refusal(payload, "ts")
        stage.load.forgetful.publish_raw(rng.choice(FORGETFUL), payload)
    readings = stage.load.forgetful.publish(1)
    stage.until(lambda: stage.is_stored(readings), _STORED_S, "a good reading behind them is stored")
    stage.expect(stage.oracle.counts()[-1] == partitions, "no partition is made for a time that is refused")


FAULTS = (
    Fault(
        name="clock_ahead",
        rows=(17,),
        does="ingest's clock jumps an hour ahead, and back",
        promises="readings are stored meanwhile; nothing lost, nothing refused that is in order",
        run=_jump(_HOUR_S),
    ),
    Fault(
        name="clock_behind",
        rows=(17,),
        does="ingest's clock jumps an hour back, and ahead",
        promises="readings are stored meanwhile; nothing lost, nothing refused that is in order",
        run=_jump(-_HOUR_S),
    ),
    Fault(
        name="meters_clocks",
        rows=(17,),
        does="meters send readings of 1970 and 2099",
        promises="refused for `ts` and kept; no partition is made for them",
        run=_meters_clocks,
    ),
)
