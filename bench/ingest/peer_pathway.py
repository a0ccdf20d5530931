"""Pathway from MQTT to the table, losing nothing; runs in the environment of the peers.

Lossless: persistence, so that it acknowledges after a checkpoint, and a snapshot table with the
key, so that what comes twice is stored once (a stream of changes doubles it).
"""

from __future__ import annotations

import json
import sys

import pathway as pw

_CHECKPOINT_MS = 200
_SCHEMA = {"key": int, "ts": int, "seq": int, "boot": int, "flow": float, "volume": float, "balance": float,
           "battery": float}  # fmt: skip


def main(port: str, client_id: str, topic: str, database: str, state: str) -> None:
    """Run until told to stop; `database` is libpq's settings as JSON, `state` a directory."""
    table = pw.io.mqtt.read(
        f"mqtt://127.0.0.1:{port}/?client_id={client_id}",
        topic,
        qos=1,
        schema=pw.schema_from_types(**_SCHEMA),
        format="json",
        autocommit_duration_ms=_CHECKPOINT_MS,
        name="readings",
    )
    rows = table.select(
        meter_key=table.key,
        device_time=table.ts.dt.utc_from_timestamp(unit="ms"),
        seq=table.seq,
        boot=table.boot,
        flow_m3h=table.flow,
        volume_m3=table.volume,
        balance=table.balance,
        battery_v=table.battery,
    )
    key = [rows.meter_key, rows.device_time, rows.seq]
    pw.io.postgres.write(
        rows, json.loads(database), "reading", output_table_type="snapshot", primary_key=key, name="stored"
    )
    backend = pw.persistence.Backend.filesystem(state)
    config = pw.persistence.Config(backend, snapshot_interval_ms=_CHECKPOINT_MS)
    pw.run(persistence_config=config, monitoring_level=pw.MonitoringLevel.NONE)


if __name__ == "__main__":
    main(*sys.argv[1:])
