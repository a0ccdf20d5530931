"""Meterwarden itself: the real `meterwarden ingest`, and the bare COPY that it is held against."""

from __future__ import annotations

import sys
import time
from dataclasses import replace
from pathlib import Path

from bench.ingest.broker import Broker
from bench.ingest.process import Watched, watched
from bench.ingest.scratch import check_stored, meter_keys
from bench.ingest.stage import Measured, Stage, environment, stored_at, until
from bench.ingest.workload import METERS, Workload
from storage.database import Database
from storage.readings import READING_COLUMN_LIST, encode_readings

_IDENTITY = "meterwarden-ingest"
_READINGS_PER_ARRAY = 96
#: Four times the readings, because arrays are so much faster that a run would be over at once.
_ARRAY_READINGS_PER_MESSAGE = 4
_ARRAY_INTERVAL_S = 900
_COPY_ROWS = 100_000
#: Ingest leaves its figures in the database every two seconds.
_HEARTBEAT_LIMIT_S = 10.0


def meterwarden(stage: Stage) -> Measured:
    """Store one reading per message."""
    return _ingest(stage, Workload(messages=stage.messages))


def arrays(stage: Stage) -> Measured:
    """Store 96 readings per message; in readings per second."""
    return _ingest(stage, _array_workload(stage))


def bare_copy(stage: Stage) -> Measured:
    """Copy the rows of `arrays` into the same table in one transaction; encoding them is not timed."""
    workload, spent_s = _array_workload(stage), 0.0
    with stage.scratch.copy() as database:
        batches = [encode_readings(batch) for batch in workload.batches(meter_keys(database), _COPY_ROWS)]
        start = time.monotonic()
        with database.transaction() as transaction:
            for data in batches:
                transaction.copy_in(f"COPY reading ({READING_COLUMN_LIST}) FROM STDIN (FORMAT binary)", data)
        spent_s = time.monotonic() - start
        check_stored(database, workload.readings)
    return Measured(workload.readings / spent_s)


def backlog(stage: Stage, messages: int) -> Measured:
    """Store a backlog of so many messages; what matters is the memory."""
    larger = replace(stage, messages=messages)
    return _ingest(larger, Workload(messages=messages))


def _array_workload(stage: Stage) -> Workload:
    messages = max(1, stage.messages * _ARRAY_READINGS_PER_MESSAGE // _READINGS_PER_ARRAY)
    return Workload(messages=messages, readings_per_message=_READINGS_PER_ARRAY, interval_s=_ARRAY_INTERVAL_S)


def _ingest(stage: Stage, workload: Workload) -> Measured:
    """Run `meterwarden ingest` from its connection to the commit of the last row."""
    with stage.scratch.copy() as database, stage.queued(_IDENTITY, workload) as broker:
        keys, before = meter_keys(database), time.monotonic()
        command = [str(Path(sys.executable).with_name("meterwarden")), "ingest"]
        with watched(command, cwd=stage.directory, env=_settings(stage, database, broker)) as child:
            connected = broker.connected_at(_IDENTITY, child, after=before)
            stored_at(database, workload, keys, child, stage.timeout_s)
            done = until(lambda: _committed(database) >= workload.readings, child, stage.timeout_s, "all")
            rss_mb = _peak_mb(child)
            _check_confirmed(database, workload, child)
        check_stored(database, workload.readings)
    return Measured(workload.readings / (done - connected), rss_mb)


def _settings(stage: Stage, database: Database, broker: Broker) -> dict[str, str]:
    return environment(
        METERWARDEN_DATABASE_URL=database.url,
        METERWARDEN_MQTT_URL=broker.url,
        METERWARDEN_MQTT_VERSION=str(stage.mqtt),
        METERWARDEN_INGEST_IDENTITY=_IDENTITY,
    )


def _committed(database: Database) -> int:
    """Count the readings that are committed without a hole, over all meters."""
    with database.transaction() as transaction:
        row = transaction.row("SELECT coalesce(sum(committed_through), 0) AS readings FROM meter_sequence")
    return int(row["readings"]) if row else 0


def _check_confirmed(database: Database, workload: Workload, child: Watched) -> None:
    """Wait until ingest says that it has published confirmations for every meter."""
    meters = min(METERS, workload.messages)
    sql = (
        "SELECT (figures ->> 'confirms')::bigint AS confirms FROM service_heartbeat WHERE service = 'ingest'"
    )

    def confirmed() -> bool:
        with database.transaction() as transaction:
            row = transaction.row(sql)
        return bool(row and (row["confirms"] or 0) >= meters)

    until(confirmed, child, _HEARTBEAT_LIMIT_S, "that it has confirmed what it stored")


def _peak_mb(child: Watched) -> float:
    """Read the peak of resident memory, VmHWM, in MB of 10^6 bytes."""
    lines = Path(f"/proc/{child.pid}/status").read_text("utf-8").splitlines()
    (kib,) = (int(line.split()[1]) for line in lines if line.startswith("VmHWM:"))
    return kib * 1024 / 1e6
