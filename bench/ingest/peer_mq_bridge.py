"""mq-bridge from MQTT to the table, losing nothing; runs in the environment of the peers.

Lossless: a persistent session, acknowledged after the insert, an internal queue that holds the whole
backlog (with the default one it does not come up again), and ON CONFLICT against what comes twice.
"""

from __future__ import annotations

import sys

from mq_bridge import Route

_QUEUE = 300_000
_BATCH, _CONCURRENCY = 2000, 4
_INSERT = (
    "INSERT INTO reading (meter_key, device_time, seq, boot, flow_m3h, volume_m3, balance, battery_v) "
    "VALUES (${payload:key}::integer, to_timestamp(${payload:ts}::double precision / 1000), "
    "${payload:seq}::bigint, ${payload:boot}::bigint, ${payload:flow}::double precision, "
    "${payload:volume}::double precision, ${payload:balance}::double precision, "
    "${payload:battery}::double precision) ON CONFLICT (meter_key, device_time, seq) DO NOTHING"
)


def main(port: str, client_id: str, topic: str, database_url: str, messages: str) -> None:
    """Run until told to stop."""
    mqtt = {
        "url": f"tcp://127.0.0.1:{port}",
        "topic": topic,
        "client_id": client_id,
        "protocol": "v3",
        "qos": 1,
        "clean_session": False,
        "queue_capacity": max(_QUEUE, int(messages) * 3 // 2),
        "max_inflight": 65535,
    }
    sink = {"url": database_url, "table": "reading", "insert_query": _INSERT}
    ends = {"input": {"mqtt": mqtt}, "output": {"sqlx": sink}}
    Route.from_config({**ends, "batch_size": _BATCH, "concurrency": _CONCURRENCY}).run()


if __name__ == "__main__":
    main(*sys.argv[1:])
