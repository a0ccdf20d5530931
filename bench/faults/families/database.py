"""The database: stopped, cut off, locked, full."""

from __future__ import annotations

import os
import random
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from bench.faults.control import Failpoint
from bench.faults.fault import Fault, Need
from bench.faults.stage import Stage

_ANSWER_S = 20.0
_BACKENDS = (
    "SELECT pid FROM pg_stat_activity WHERE application_name = 'meterwarden' AND datname = current_database()"
)


def _immediate_stop(stage: Stage, rng: random.Random) -> None:
    server = stage.own_server()
    stage.hold(Failpoint("copied", pause_s=30))
    server.stop_immediately()
    stage.control.release()
    stage.pause(rng.uniform(0.5, 3.0))
    _expect_waiting(stage)
    server.start_if_down()


def _terminate(stage: Stage, rng: random.Random) -> None:
    pids = [row[0] for row in stage.oracle.ask(_BACKENDS)]
    _terminate_all(stage, rng.sample(pids, rng.randint(1, len(pids))))


def _terminate_in_batch(stage: Stage, _rng: random.Random) -> None:
    stage.hold(Failpoint("copied", pause_s=30))
    _terminate_all(stage, [row[0] for row in stage.oracle.ask(_BACKENDS)])
    stage.control.release()


def _terminate_all(stage: Stage, pids: list[int]) -> None:
    stage.oracle.ask("SELECT pg_terminate_backend(pid) FROM unnest(%(pids)s) AS pid", pids=pids)


def _lost_commit(stage: Stage, _rng: random.Random) -> None:
    """Let the server commit, and its answer get lost."""
    before = stage.answers.lost
    stage.hold(Failpoint("copied", pause_s=30))
    stage.answers.lose_next_commit = True
    stage.control.release()
    stage.until(lambda: stage.answers.lost > before, _ANSWER_S, "a commit is answered")


def _disk_full(stage: Stage, rng: random.Random) -> None:
    stage.server_disk.fill()
    stage.load.steady(4)
    stage.pause(rng.uniform(3.0, 5.0))
    stage.load.steady()
    _expect_waiting(stage)
    stage.server_disk.free()
    # A server that cannot write its log ends itself.
    stage.own_server().start_if_down()


def _locked(stage: Stage, rng: random.Random) -> None:
    """Hold a lock that lets readers pass and nobody write."""
    with stage.lock("reading"):
        stage.pause(rng.uniform(3.0, 5.0))
        _expect_waiting(stage)


def _frozen_backends(stage: Stage, rng: random.Random) -> None:
    with _frozen([row[0] for row in stage.oracle.ask(_BACKENDS)]):
        stage.pause(rng.uniform(3.0, 5.0))
        _expect_waiting(stage)


def _expect_waiting(stage: Stage) -> None:
    stage.expect(stage.connection().outstanding > 0, "messages wait for the database")


@contextmanager
def _frozen(pids: list[int]) -> Iterator[None]:
    try:
        _signal(pids, signal.SIGSTOP)
        yield
    finally:
        _signal(pids, signal.SIGCONT)


def _signal(pids: list[int], number: int) -> None:
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, number)


_OWN = frozenset({Need.OWN_SERVER})
FAULTS = (
    Fault(
        name="postgres_immediate_stop",
        rows=(12,),
        does="`pg_ctl stop -m immediate` in the middle of a batch, and a start seconds later",
        promises="nothing acknowledged, nothing lost, nothing doubled; ingest waits and goes on",
        run=_immediate_stop,
        needs=_OWN,
    ),
    Fault(
        name="backends_terminated",
        rows=(13,),
        does="`pg_terminate_backend` for some of ingest's connections",
        promises="nothing lost, nothing doubled",
        run=_terminate,
    ),
    Fault(
        name="backends_terminated_in_batch",
        rows=(13,),
        does="`pg_terminate_backend` for all of ingest's connections between COPY and COMMIT",
        promises="nothing lost, nothing doubled",
        run=_terminate_in_batch,
    ),
    Fault(
        name="commit_answer_lost",
        rows=(13,),
        does="the server commits, and the connection is reset before ingest hears of it",
        promises="written again without a double",
        run=_lost_commit,
    ),
    Fault(
        name="postgres_disk_full",
        rows=(14,),
        does="not a byte is left on the database's disk for some seconds, at four times the load",
        promises="nothing acknowledged meanwhile; it goes on when there is room, by itself",
        run=_disk_full,
        needs=_OWN | {Need.SMALL_DISKS},
    ),
    Fault(
        name="table_locked",
        rows=(15,),
        does="`LOCK TABLE reading` for some seconds",
        promises="nothing acknowledged meanwhile, bounded memory",
        run=_locked,
    ),
    Fault(
        name="backends_frozen",
        rows=(15,),
        does="SIGSTOP for all of ingest's backends for some seconds",
        promises="nothing acknowledged meanwhile, bounded memory",
        run=_frozen_backends,
        needs=_OWN,
    ),
)
