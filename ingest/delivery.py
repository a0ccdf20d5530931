"""Messages as the broker delivered them, in parallel lists: no object per message on the way in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import chain, repeat
from typing import Self

#: What topic, payload, packet id and their places in lists take beside their own bytes.
_OBJECT_BYTES = 200


@dataclass(frozen=True, slots=True, eq=False)
class Delivery:
    """Messages that one connection handed over together, in their order."""

    #: Number of the connection; an acknowledgement must not reach another one.
    epoch: int
    #: When they were read, microseconds since 1970 UTC.
    received_us: int
    topics: list[bytes]
    payloads: list[bytes]
    #: 0 for a message of QoS 0, which nobody acknowledges.
    packet_ids: list[int]
    payload_bytes: int = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "payload_bytes", sum(map(len, self.payloads)))

    @property
    def held_bytes(self) -> int:
        """About how much memory these messages take."""
        return self.payload_bytes + sum(map(len, self.topics)) + _OBJECT_BYTES * len(self.topics)

    def __len__(self) -> int:
        return len(self.packet_ids)


@dataclass(frozen=True, slots=True, eq=False)
class Messages:
    """n messages of any deliveries as parallel lists."""

    topics: Sequence[bytes]
    payloads: Sequence[bytes]
    received_us: Sequence[int]

    @classmethod
    def of(cls, deliveries: Sequence[Delivery]) -> Self:
        """Join deliveries in their order."""
        return cls(
            list(chain.from_iterable(part.topics for part in deliveries)),
            list(chain.from_iterable(part.payloads for part in deliveries)),
            list(chain.from_iterable(repeat(part.received_us, len(part)) for part in deliveries)),
        )

    def __len__(self) -> int:
        return len(self.payloads)

    def take(self, rows: Sequence[int] | range) -> Self:
        """Select messages by position."""
        return type(self)(
            [self.topics[at] for at in rows],
            [self.payloads[at] for at in rows],
            [self.received_us[at] for at in rows],
        )
