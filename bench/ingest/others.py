"""The wire and what people usually write: (a) mosquitto_sub, (b) paho counting, (c) paho storing."""

from __future__ import annotations

import sys
import time

from bench.ingest import readers
from bench.ingest.broker import Broker, find_program
from bench.ingest.process import watched
from bench.ingest.scratch import check_stored
from bench.ingest.stage import ROOT_DIRECTORY, TELEMETRY, Measured, Stage, environment
from bench.ingest.workload import Workload

_CLIENT = "bench-reader"
#: How mosquitto_sub speaks each version; MQTT 5 forgets a session that has no expiry.
_VERSIONS = {3: ("-V", "mqttv311"), 5: ("-V", "mqttv5", "-x", str(readers.SESSION_S))}


def wire(stage: Stage) -> Measured:
    """Drain with mosquitto_sub to nowhere: as fast as this broker sends."""
    program = find_program("mosquitto_sub", "mosquitto-clients")
    with stage.queued(_CLIENT, Workload(messages=stage.messages)) as broker:
        command = [program, "-h", "127.0.0.1", "-p", str(broker.port), "-i", _CLIENT, "-c", "-q", "1",
                   "-t", TELEMETRY, "-C", str(stage.messages), *_VERSIONS[stage.mqtt]]  # fmt: skip
        before = time.monotonic()
        with watched(command, cwd=stage.directory, discard=True) as child:
            ended = child.ended_at(stage.timeout_s)
            return Measured(stage.messages / (ended - broker.connected_at(_CLIENT, child, after=before)))


def paho(stage: Stage) -> Measured:
    """Count with paho, which acknowledges each message by itself."""
    with stage.queued(_CLIENT, Workload(messages=stage.messages)) as broker:
        return _read(stage, broker, "count")


def usual(stage: Stage) -> Measured:
    """Store with paho, json and execute_values, 1,000 to the commit, acknowledged after it."""
    workload = Workload(messages=stage.messages)
    with stage.scratch.copy() as database, stage.queued(_CLIENT, workload) as broker:
        measured = _read(stage, broker, "store", database.url)
        check_stored(database, workload.readings)
        return measured


def _read(stage: Stage, broker: Broker, kind: str, *more: str) -> Measured:
    """Run one of `bench.ingest.readers` from its connection to its last word."""
    numbers = (str(broker.port), _CLIENT, str(stage.messages), str(stage.mqtt))
    command = [sys.executable, "-m", readers.__name__, kind, *numbers, *more]
    before = time.monotonic()
    with watched(command, cwd=ROOT_DIRECTORY, env=environment()) as child:
        done = child.seen_at(readers.DONE, stage.timeout_s)
        return Measured(stage.messages / (done - broker.connected_at(_CLIENT, child, after=before)))
