"""Other programs that take MQTT into PostgreSQL, each in the settings in which it loses nothing.

They write into the same table with the same key. They know no registry, so each message tells
them the meter's number, and `received_at` fills itself: less work than the others have.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import mkdtemp

import psycopg2.extensions
from sqlalchemy.engine import make_url

from bench.ingest.exceptions import BenchError
from bench.ingest.process import watched
from bench.ingest.scratch import check_stored, meter_keys
from bench.ingest.stage import TELEMETRY, Measured, Stage, environment, stored_at, until
from bench.ingest.workload import Workload
from storage.database import Database

_CLIENT = "bench-peer"
#: What a script is told besides the broker.
Arguments = Callable[[Database], list[str]]


def mq_bridge(stage: Stage) -> Measured:
    """Store with mq-bridge: MQTT 3.1.1, a large queue, ON CONFLICT."""
    return _run(stage, "peer_mq_bridge.py", lambda database: [_with_host(database.url), str(stage.messages)])


def pathway(stage: Stage) -> Measured:
    """Store with Pathway: persistence, snapshot, key."""
    state = mkdtemp(prefix="pathway-", dir=stage.directory)

    def arguments(database: Database) -> list[str]:
        return [json.dumps(psycopg2.extensions.parse_dsn(database.url)), state]

    return _run(stage, "peer_pathway.py", arguments)


def _run(stage: Stage, script: str, arguments: Arguments) -> Measured:
    """Run a peer from its connection until every row is there."""
    if stage.peers_python is None:
        msg = "the peers are not installed: make bench-ingest PEERS=1"
        raise BenchError(msg)
    with stage.scratch.copy() as database:
        keys = meter_keys(database)
        workload = Workload(messages=stage.messages, keys=keys)
        with database.transaction() as transaction:
            transaction.execute("ALTER TABLE reading ALTER received_at SET DEFAULT now()")
        with stage.queued(_CLIENT, workload) as broker:
            command = [stage.peers_python, str(Path(__file__).with_name(script)), str(broker.port), _CLIENT,
                       TELEMETRY, *arguments(database)]  # fmt: skip
            before = time.monotonic()
            with watched(command, cwd=stage.directory, env=environment()) as child:
                connected = broker.connected_at(_CLIENT, child, after=before)
                stored_at(database, workload, keys, child, stage.timeout_s)
                done = until(lambda: _stored(database) >= stage.messages, child, stage.timeout_s, "all")
        check_stored(database, stage.messages)
    return Measured(stage.messages / (done - connected))


def _with_host(database_url: str) -> str:
    """Name a host where only the query has one (a Unix socket): mq-bridge's driver refuses an empty one."""
    url = make_url(database_url)
    return url.set(host=url.host or "localhost").render_as_string(hide_password=False)


def _stored(database: Database) -> int:
    with database.transaction() as transaction:
        row = transaction.row("SELECT count(*) AS readings FROM reading")
    return int(row["readings"]) if row else 0
