"""Too much at once."""

from __future__ import annotations

import random

from bench.faults.fault import Fault
from bench.faults.stage import Stage

_TIMES = 10.0
_LONGEST_S = 30.0


def _tenfold(stage: Stage, rng: random.Random) -> None:
    stage.load.steady(_TIMES)
    stage.pause(rng.uniform(3.0, 5.0))


def _backlog(stage: Stage, rng: random.Random) -> None:
    """Let ten times the usual come while nobody takes it."""
    stage.ingest.stop()
    stage.load.steady(_TIMES)
    stage.pause(rng.uniform(3.0, 5.0))
    stage.load.steady()
    last = stage.load.forgetful.publish(1)
    stage.ingest.start()
    stage.until(lambda: stage.is_stored(last), _LONGEST_S, "the backlog is stored")


FAULTS = (
    Fault(
        name="tenfold_load",
        rows=(18,),
        does="ten times the usual load for some seconds",
        promises="nothing lost, bounded memory",
        run=_tenfold,
    ),
    Fault(
        name="backlog",
        rows=(18,),
        does="ten times the usual load while ingest is away; then it drains the backlog",
        promises="nothing lost, bounded memory, drained within 30 s",
        run=_backlog,
    ),
)
