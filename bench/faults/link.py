"""The simulator's connection, with a ledger that sees what is sent and what the broker says to it."""

from __future__ import annotations

from bench.faults.ledger import Ledger
from firmware_sim.connection import Acknowledged, Address, Down, Event
from firmware_sim.link import MqttLink


class LedgerLink:
    """A connection of meters to the broker."""

    def __init__(
        self, url: str, client_id: str, filters: list[str], ledger: Ledger, *, buffered: bool
    ) -> None:
        self._link = MqttLink(Address.parse(url), client_id, filters)
        self._ledger, self._buffered = ledger, buffered
        self._in_flight: dict[int, tuple[str, bytes]] = {}

    @property
    def up(self) -> bool:
        """Whether messages can be sent."""
        return self._link.up

    def service(self, timeout_s: float) -> list[Event]:
        """Let the connection work; note what the broker acknowledges."""
        events = self._link.service(timeout_s)
        for event in events:
            if isinstance(event, Acknowledged) and event.packet_id in self._in_flight:
                self._ledger.acknowledge(*self._in_flight.pop(event.packet_id), event.reason)
            elif isinstance(event, Down):
                self._in_flight.clear()
        return events

    def send(self, topic: str, payload: bytes, *, retain: bool) -> int | None:
        """Note a message, before the broker can have it, and send it."""
        if not self._link.up:
            return None
        self._ledger.send(topic, payload, buffered=self._buffered)
        packet_id = self._link.send(topic, payload, retain=retain)
        if packet_id is not None:
            self._in_flight[packet_id] = (topic, payload)
        return packet_id

    def close(self) -> None:
        """Take leave of the broker."""
        self._link.close()
