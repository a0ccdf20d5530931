"""What stands in for the MQTT session and the clock: their state can be seen."""

from __future__ import annotations

import json
from collections.abc import Sequence

from ingest.confirming import Outgoing
from ingest.delivery import Delivery
from ingest.subscriptions import Subscriptions
from storage.database import Database

NOW_US = 1_795_147_200_000_000


class SessionLog:
    """Stands in for the MQTT session: notes in order what it is asked, and what was stored then."""

    backlog, connected, connected_since_us, epoch, expiry_s = 0, True, NOW_US, 1, 604_800

    def __init__(self, database: Database) -> None:
        self._database = database
        self.acknowledged: list[tuple[int, int]] = []
        self.sent: list[tuple[str, bytes]] = []
        self.said: list[tuple[str, dict[str, int]]] = []

    def start(self, _subscriptions: Subscriptions) -> None: ...

    def stop(self) -> None: ...

    def acknowledge(self, deliveries: Sequence[Delivery]) -> int:
        with self._database.transaction() as transaction:
            row = transaction.row("SELECT count(*) AS n FROM reading")
        packets = [packet_id for delivery in deliveries for packet_id in delivery.packet_ids]
        self.acknowledged += [(packet_id, row["n"] if row else 0) for packet_id in packets]
        return len(packets)

    def send(self, topic: str, payload: bytes) -> None:
        self.sent.append((topic, payload))

    def publish(self, messages: Sequence[Outgoing]) -> None:
        self.said += [(topic.decode(), json.loads(payload)) for topic, payload in messages]


class Clock:
    """Moves on by a minute with each look, so that every word is due at once."""

    def __init__(self) -> None:
        self.us = NOW_US

    def __call__(self) -> int:
        self.us += 60_000_000
        return self.us
