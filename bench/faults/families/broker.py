"""The broker: restarted, killed, full."""

from __future__ import annotations

import random

from bench.faults.buffered import Buffered
from bench.faults.control import Failpoint
from bench.faults.fault import Fault, Need
from bench.faults.names import IDENTITY, PATIENT
from bench.faults.stage import Stage

_CONNECT_S = 30.0
_BURST = 60
_QUEUE_LIMIT = 100
_OVERFLOW = 400
_PATIENT_S, _PATIENT_PER_S = 600.0, 20.0
_OF_PATIENT = "^P"
_SHOWS_S = 2.0
_BACKFILLED_S = 60.0


def _restart(stage: Stage, rng: random.Random) -> None:
    stage.pause(rng.uniform(0.2, 1.0))
    stage.broker.stop()
    stage.pause(rng.uniform(0.2, 1.0))
    stage.broker.start()


def _kill(stage: Stage, rng: random.Random) -> None:
    """Kill it while ingest is connected and holds what it has not acknowledged."""
    stage.hold(Failpoint("copied", pause_s=30))
    stage.load.forgetful.publish(_BURST)
    stage.pause(rng.uniform(0.3, 1.0))
    with stage.broker_may_lose():
        stage.broker.kill()
    stage.broker.start()
    stage.control.release()


def _kill_with_ingest(stage: Stage, rng: random.Random) -> None:
    """Kill it, and then ingest before it commits what it holds: nobody has that any more."""
    stage.hold(Failpoint("copied", pause_s=30, then="kill"))
    stage.load.forgetful.publish(_BURST)
    stage.pause(rng.uniform(0.3, 1.0))
    with stage.broker_may_lose():
        stage.broker.kill()
    stage.control.release()


def _kill_before_ingest_is_back(stage: Stage, _rng: random.Random) -> None:
    """Kill it with its sessions, and let meters publish before anybody subscribes again."""
    stage.ingest.kill_for_good()
    with stage.broker_may_lose():
        stage.broker.kill()
        stage.broker.wipe()
    stage.broker.start()
    before = stage.ledger.undelivered
    stage.until(
        lambda: stage.ledger.undelivered > before, _CONNECT_S, "the broker says that nobody subscribes"
    )
    stage.ingest.start()


def _disk_full(stage: Stage, rng: random.Random) -> None:
    """Let it acknowledge what it can write down nowhere, and end it in good order."""
    stage.ingest.kill_for_good()
    with stage.broker_may_lose():
        stage.broker_disk.fill()
        stage.load.forgetful.publish(_OVERFLOW)
        stage.pause(rng.uniform(1.0, 2.0))
        stage.broker.stop()
    stage.broker_disk.free()
    stage.broker.start()
    stage.ingest.start()


def _queue_limit(stage: Stage, _rng: random.Random) -> None:
    """Limit the queue for a while in which ingest is away."""
    with stage.broker_may_lose():
        _limit_queue(stage)
        _overflow(stage)
        stage.broker.stop()


def _backfill(stage: Stage, _rng: random.Random) -> None:
    """Lose readings of meters that send nothing again unless they are asked."""
    load = stage.load
    with stage.broker_may_lose():
        _limit_queue(stage)
        meters = Buffered(
            stage.broker.url, stage.ledger, load.boot, stage.seed, meters=PATIENT, patience_s=_PATIENT_S
        )
        try:
            meters.rate_per_s = _PATIENT_PER_S
            _overflow(stage)
            stage.ingest.start()
            stage.until(lambda: stage.subscribed(IDENTITY), _CONNECT_S, "ingest is back")
            # What comes now shows the hole before it.
            stage.pause(_SHOWS_S)
            stage.expect(stage.oracle.gaps(_OF_PATIENT) > 0, "the hole is seen")
            meters.calm()
            stage.until(lambda: meters.settled, _BACKFILLED_S, "what is missing is asked for, and confirmed")
        finally:
            meters.close()
            stage.broker.stop()


def _limit_queue(stage: Stage) -> None:
    """Start the broker anew with a limit; ingest is away from then on."""
    stage.ingest.kill_for_good()
    stage.broker.stop()
    stage.broker.start(most_queued=_QUEUE_LIMIT)


def _overflow(stage: Stage) -> None:
    """Have more come than the broker may keep."""
    readings = stage.load.forgetful.publish(_OVERFLOW)
    keys = [reading.key for reading in readings]
    stage.until(lambda: stage.ledger.acked(keys), _CONNECT_S, "the broker acknowledges all it drops")
    stage.pause(_SHOWS_S)


FAULTS = (
    Fault(
        name="broker_restart",
        rows=(6,),
        does="SIGTERM for the broker, and a start",
        promises="nothing lost",
        run=_restart,
    ),
    Fault(
        name="broker_kill",
        rows=(7,),
        does="SIGKILL for the broker while ingest holds messages that are not acknowledged",
        promises="nothing lost that ingest holds: it commits that; buffered meters lose nothing at all",
        run=_kill,
    ),
    Fault(
        name="broker_kill_with_ingest",
        rows=(7,),
        does="SIGKILL for the broker, then for ingest before it commits what it holds",
        promises="buffered meters lose nothing",
        run=_kill_with_ingest,
        ends_ingest=True,
    ),
    Fault(
        name="broker_kill_nobody_subscribed",
        rows=(8,),
        does="SIGKILL for the broker, its sessions gone; meters publish before ingest is back",
        promises="the broker answers 0x10, and no meter takes that for delivered",
        run=_kill_before_ingest_is_back,
    ),
    Fault(
        name="broker_disk_full",
        rows=(9,),
        does="the broker's disk is full while ingest is away; then a restart of the broker",
        promises="buffered meters lose nothing",
        run=_disk_full,
        needs=frozenset({Need.SMALL_DISKS}),
    ),
    Fault(
        name="queue_limit",
        rows=(10,),
        does="`max_queued_messages 100` while ingest is away and 400 messages come",
        promises="buffered meters lose nothing",
        run=_queue_limit,
    ),
    Fault(
        name="backfill",
        rows=(7, 10),
        does="the same, with buffered meters that send nothing again unless they are asked",
        promises="the hole is seen, asked for (`backfill`) and closed within 60 s",
        run=_backfill,
    ),
)
