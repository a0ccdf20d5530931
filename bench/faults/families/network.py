"""The network on both sides of ingest: resets, silence, delay, a trickle."""

from __future__ import annotations

import random
from collections.abc import Callable

from bench.faults.fault import Fault
from bench.faults.ingest_process import KEEPALIVE_S
from bench.faults.proxy import Proxy
from bench.faults.stage import Stage

_DELAY_S = 0.2
_TRICKLE_BYTES_PER_S = 1000.0
#: Noticed after one and a half keepalives, and a second to connect again.
_NOTICED_S = 1.5 * KEEPALIVE_S + 5.0

Which = Callable[[Stage], Proxy]


def _to_broker(stage: Stage) -> Proxy:
    return stage.to_broker


def _to_database(stage: Stage) -> Proxy:
    return stage.to_database


def _reset(which: Which) -> Callable[[Stage, random.Random], None]:
    def run(stage: Stage, rng: random.Random) -> None:
        for _ in range(rng.randint(1, 3)):
            stage.pause(rng.uniform(0.3, 1.5))
            which(stage).reset_all()

    return run


def _delay(which: Which) -> Callable[[Stage, random.Random], None]:
    def run(stage: Stage, rng: random.Random) -> None:
        which(stage).delay_s = _DELAY_S
        stage.pause(rng.uniform(3.0, 5.0))

    return run


def _half_open(stage: Stage, _rng: random.Random) -> None:
    """Let the present connection lead nowhere, for ever; a new one would work."""
    connections = stage.connections()
    stage.to_broker.forget_all()
    stage.until(lambda: stage.connections() > connections, _NOTICED_S, "ingest notices a dead connection")


def _trickle(stage: Stage, rng: random.Random) -> None:
    stage.to_broker.bytes_per_s = _TRICKLE_BYTES_PER_S
    stage.pause(rng.uniform(4.0, 6.0))


def _silent_database(stage: Stage, rng: random.Random) -> None:
    """Let nothing pass for a while, and reset what was open."""
    stage.to_database.silent = True
    stage.pause(rng.uniform(3.0, 5.0))
    stage.expect(stage.connection().outstanding > 0, "messages wait while the database is silent")


FAULTS = (
    Fault(
        name="broker_connection_reset",
        rows=(16,),
        does="RST on the connection to the broker, up to three times",
        promises="nothing lost; it connects again",
        run=_reset(_to_broker),
    ),
    Fault(
        name="broker_connection_half_open",
        rows=(16,),
        does="the connection to the broker stays open and leads nowhere",
        promises="noticed by the keepalive (4 s here, 30 s outside), and opened anew; nothing lost",
        run=_half_open,
    ),
    Fault(
        name="broker_slow",
        rows=(16,),
        does="200 ms of delay to and from the broker",
        promises="nothing lost",
        run=_delay(_to_broker),
    ),
    Fault(
        name="broker_trickle",
        rows=(16,),
        does="1 kB/s to and from the broker",
        promises="nothing lost; the backlog is drained afterwards",
        run=_trickle,
    ),
    Fault(
        name="database_connection_reset",
        rows=(16,),
        does="RST on the connections to the database, up to three times",
        promises="nothing lost, nothing doubled",
        run=_reset(_to_database),
    ),
    Fault(
        name="database_silent",
        rows=(16,),
        does="nothing passes to and from the database for some seconds, then RST",
        promises="nothing acknowledged meanwhile; nothing lost",
        run=_silent_database,
    ),
    Fault(
        name="database_slow",
        rows=(16,),
        does="200 ms of delay to and from the database",
        promises="nothing lost",
        run=_delay(_to_database),
    ),
)
