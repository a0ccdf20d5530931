"""Everything at once, and work shared among several."""

from __future__ import annotations

import random
from collections.abc import Callable

from bench.faults.control import Failpoint
from bench.faults.fault import Fault, Need
from bench.faults.stage import Stage
from ingest.service import STEPS

_GROUP = "faults"
_MEMBERS = ("faults-member-a", "faults-member-b")
_STORED_S = 40.0
_BURST = 60


def _power_cut(stage: Stage, rng: random.Random) -> None:
    """Kill ingest in the middle of a batch, broker and server with it, in any order."""
    server = stage.own_server()
    stage.hold(Failpoint(rng.choice(STEPS), pause_s=30))
    stage.load.forgetful.publish(_BURST)
    stage.pause(rng.uniform(0.2, 0.5))
    killers: list[Callable[[], None]] = [
        stage.ingest.kill_for_good,
        stage.broker.kill,
        server.kill_everything,
    ]
    rng.shuffle(killers)
    with stage.broker_may_lose():
        for kill in killers:
            kill()
    stage.pause(rng.uniform(0.0, 1.0))


def _member_lost(stage: Stage, rng: random.Random) -> None:
    """Let two share the work, kill one, and bring it back under its name."""
    stage.ingest.stop()
    members = [
        stage.another_ingest(METERWARDEN_MQTT_SHARE=_GROUP, METERWARDEN_INGEST_IDENTITY=name)
        for name in _MEMBERS
    ]
    try:
        for member, name in zip(members, _MEMBERS, strict=True):
            member.start()
            stage.until(lambda name=name: stage.subscribed(name), _STORED_S, f"{name} subscribes")  # type: ignore[misc]
        lost = rng.choice(members)
        readings = stage.load.forgetful.publish(_BURST)
        lost.kill_for_good()
        readings += stage.load.forgetful.publish(_BURST)
        stage.pause(rng.uniform(1.0, 2.0))
        lost.start()
        stage.until(lambda: stage.is_stored(readings), _STORED_S, "the two store all, what waited included")
    finally:
        for member in members:
            member.stop()
        stage.forget_sessions(_MEMBERS)


FAULTS = (
    Fault(
        name="member_lost",
        rows=(11,),
        does="two ingest processes share the work (`METERWARDEN_MQTT_SHARE`); one is killed and comes back",
        promises="what was meant for it waits at Mosquitto under its name; nothing lost, nothing doubled",
        run=_member_lost,
        needs=frozenset({Need.SHARE}),
    ),
    Fault(
        name="power_cut",
        rows=(28,),
        does="SIGKILL for ingest in mid-batch, the broker and every process of PostgreSQL, in any order",
        promises="what was committed is there; buffered meters lose nothing",
        run=_power_cut,
        needs=frozenset({Need.OWN_SERVER}),
    ),
)
