"""What one message of Sparkplug comes to."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from fleet.wire import is_id
from ingest.rules import Decoded, quote, refuse


@dataclass(frozen=True, slots=True)
class RebirthRequest:
    """A message to publish, QoS 0, not retained."""

    topic: str
    payload: bytes


@dataclass(slots=True)
class SparkplugResult:
    """What one message holds; all lists are empty where it is none of ours."""

    #: Meter's id and its readings; with None comes what concerns the message as a whole.
    decoded: list[tuple[str | None, Decoded]] = field(default_factory=list)
    #: Meter's id and whether it is online from now on, in order.
    statuses: list[tuple[str, bool]] = field(default_factory=list)
    rebirths: list[RebirthRequest] = field(default_factory=list)

    def say(self, meters: Iterable[str], *, online: bool) -> None:
        """Add which meters are online or offline from now on."""
        self.statuses += [(meter, online) for meter in meters if is_id(meter)]

    def refuse(self, where: str, reason: str) -> None:
        """Refuse the message as a whole."""
        decoded = Decoded()
        refuse(decoded, None, [(where, reason)])
        self.decoded.append((None, decoded))

    def put(self, meter_id: str, decoded: Decoded) -> None:
        """Add what a message says of a meter, if it says anything."""
        number = len(decoded.readings) + decoded.refused
        if number and is_id(meter_id):
            self.decoded.append((meter_id, decoded))
        elif number:
            self.refuse("meter", f"{quote(meter_id)} is no meter's id")
            self.decoded[-1][1].refused = number
