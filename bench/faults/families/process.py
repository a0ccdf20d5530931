"""Ingest itself: killed, frozen, half dead, doubled."""

from __future__ import annotations

import random

from bench.faults.content import Reading
from bench.faults.control import Failpoint
from bench.faults.fault import Fault
from bench.faults.names import IDENTITY
from bench.faults.stage import Stage
from ingest.service import STEPS

#: Longer than one and a half keepalives and than the broker's turn of looking at them.
_MOST_FROZEN_S = 20.0
_EXIT_S = 15.0
_TAKE_OVER_S = 30.0
_BURST = 40
#: Before the commit, time for an acknowledgement to get out that must not; afterwards none, to cut it short.
_PAUSES_S = {"taken": 0.5, "copied": 0.5, "committed": 0.0, "acknowledged": 0.0}
#: An acknowledgement has left ingest, and been looked up, within this time.
_ACKS_S = 0.5


def _kill(stage: Stage, rng: random.Random) -> None:
    stage.pause(rng.uniform(0.0, 1.5))
    stage.ingest.kill()


def _kill_at(step: str) -> Fault:
    def run(stage: Stage, rng: random.Random) -> None:
        before = len(stage.ingest.codes)
        stage.pause(rng.uniform(0.0, 0.5))
        stage.hold(Failpoint(step, pause_s=_PAUSES_S[step], then="kill"))
        stage.until(lambda: len(stage.ingest.codes) > before, _EXIT_S, "ingest dies")

    return Fault(
        name=f"kill_at_{step}",
        rows=(1,),
        does=f"SIGKILL for ingest at the failpoint `{step}`, with messages in hand",
        promises="nothing lost, nothing doubled; ingest is back by itself",
        run=run,
        ends_ingest=True,
    )


def _raise(stage: Stage, rng: random.Random) -> None:
    before = len(stage.ingest.codes)
    stage.hold(Failpoint(rng.choice(STEPS), then="raise"))
    stage.until(lambda: len(stage.ingest.codes) > before, _EXIT_S, "ingest ends")
    _expect_failure(stage, before)


def _freeze(stage: Stage, _rng: random.Random) -> None:
    before = stage.connection()
    stage.ingest.freeze()
    stage.until(lambda: before.over, _MOST_FROZEN_S, "the broker gives up a frozen ingest")
    stage.ingest.thaw()


def _dead_thread(stage: Stage, _rng: random.Random) -> None:
    before = len(stage.ingest.codes)
    stage.control.end_network_thread()
    stage.until(
        lambda: len(stage.ingest.codes) > before, _EXIT_S, "ingest ends when its network thread is dead"
    )
    _expect_failure(stage, before)


def _second_instance(stage: Stage, rng: random.Random) -> None:
    second = stage.another_ingest()
    said = stage.ingest.said().count("standing by")
    second.start()
    try:
        stage.until(
            lambda: stage.ingest.said().count("standing by") > said, _TAKE_OVER_S, "the second stands by"
        )
        connections = stage.connections()
        stage.pause(rng.uniform(1.5, 3.0))
        stage.expect(stage.connections() == connections, "the second does not push the first out")
        stage.ingest.kill_for_good()
        stage.until(lambda: stage.connections() > connections, _TAKE_OVER_S, "the second takes over")
        readings = stage.load.forgetful.publish(_BURST)
        stage.until(lambda: stage.is_stored(readings), _TAKE_OVER_S, "the second stores what comes")
        stage.expect(stage.connections() == connections + 1, "one connection after the take-over")
    finally:
        second.stop()


def _stale_ack(stage: Stage, _rng: random.Random) -> None:
    """Let packet ids of an old connection be used again by a new one, while ingest still holds the old."""
    stage.load.calm()
    _lose_sessions(stage)
    meters = stage.load.forgetful
    meters.publish(3)
    stage.hold(Failpoint("copied", pause_s=60))
    # These wait inside ingest, and are the next to be acknowledged.
    old = _deliver_together(stage, _BURST)
    stage.next_hold(Failpoint("copied", pause_s=60))
    _lose_sessions(stage)
    # These get the packet ids of those in hand, and none is committed when the old are acknowledged.
    _deliver_together(stage, 3 * _BURST)
    while not stage.is_stored(old):
        meters.publish(1)
        stage.next_hold(Failpoint("copied", pause_s=60))
    stage.pause(_ACKS_S)


def _stale_ack_then_kill(stage: Stage, rng: random.Random) -> None:
    _stale_ack(stage, rng)
    stage.ingest.kill()


def _lose_sessions(stage: Stage) -> None:
    """Kill the broker, empty its store, and wait until ingest is subscribed again."""
    connections = stage.connections()
    with stage.broker_may_lose():
        stage.broker.kill()
        stage.broker.wipe()
        stage.broker.start()
        stage.until(lambda: stage.connections() > connections, _TAKE_OVER_S, "ingest connects again")
        stage.until(lambda: stage.subscribed(IDENTITY), _TAKE_OVER_S, "ingest subscribes again")


def _deliver_together(stage: Stage, messages: int) -> list[Reading]:
    """Publish, and let it reach ingest in one piece or nearly so, as one batch."""
    tap = stage.connection()
    wanted = tap.delivered + messages
    stage.to_broker.silent = True
    readings = stage.load.forgetful.publish(messages)
    stage.until(
        lambda: stage.ledger.acked(reading.key for reading in readings), _EXIT_S, "the broker takes it"
    )
    stage.to_broker.silent = False
    stage.until(lambda: tap.delivered >= wanted, _TAKE_OVER_S, "the broker delivers to ingest")
    return readings


def _expect_failure(stage: Stage, before: int) -> None:
    code = stage.ingest.codes[before]
    stage.expect(code > 0, f"ingest ends with a code that says failure, not {code}")


FAULTS = (
    Fault(
        name="kill",
        rows=(1,),
        does="SIGKILL for ingest at a random moment",
        promises="nothing lost, nothing doubled; ingest is back by itself",
        run=_kill,
        ends_ingest=True,
    ),
    *(_kill_at(step) for step in STEPS),
    Fault(
        name="unforeseen_error",
        rows=(1,),
        does="an error that nobody foresaw, raised at a random failpoint",
        promises="the process ends with a code other than 0 and is started again; nothing lost",
        run=_raise,
        ends_ingest=True,
    ),
    Fault(
        name="frozen",
        rows=(2,),
        does="SIGSTOP until the broker gives the connection up, then SIGCONT",
        promises="nothing lost; acknowledgements of the dead connection are dropped",
        run=_freeze,
    ),
    Fault(
        name="dead_thread",
        rows=(3,),
        does="an error on the thread that speaks MQTT",
        promises="the process ends within 15 s with a code other than 0, and is started again",
        run=_dead_thread,
        ends_ingest=True,
    ),
    Fault(
        name="second_instance",
        rows=(4,),
        does="a second ingest of the same identity; then SIGKILL for the first",
        promises="the second stands by without pushing the first out, and takes over when it dies",
        run=_second_instance,
    ),
    Fault(
        name="stale_ack",
        rows=(5,),
        does="ingest is held before a commit; the broker loses its sessions and gives the same packet ids "
        "to new readings; ingest goes on",
        promises="acknowledgements of the old connection do not reach the new one",
        run=_stale_ack,
    ),
    Fault(
        name="stale_ack_then_kill",
        rows=(5,),
        does="the same, and SIGKILL for ingest before it commits the new readings",
        promises="the new readings come again",
        run=_stale_ack_then_kill,
        ends_ingest=True,
    ),
)
