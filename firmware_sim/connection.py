"""A connection as the rest of the simulator sees it: where it leads, what it tells, what it can do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, Self
from urllib.parse import unquote, urlsplit

_PORTS = {"mqtt": 1883, "mqtts": 8883}


@dataclass(frozen=True, slots=True)
class Up:
    """The broker took the connection; it wants no more than so many unacknowledged messages."""

    receive_maximum: int | None


@dataclass(frozen=True, slots=True)
class Down:
    """The connection is gone; nothing in flight will be acknowledged."""


@dataclass(frozen=True, slots=True)
class Acknowledged:
    """The broker answered a message; reason 0 is success, 16 that nobody subscribes to it."""

    packet_id: int
    reason: int


@dataclass(frozen=True, slots=True)
class Received:
    """A message for a meter."""

    topic: str
    payload: bytes


Event = Up | Down | Acknowledged | Received


@dataclass(frozen=True, slots=True)
class Will:
    """What the broker says for us when we vanish; retained."""

    topic: str
    payload: bytes


class Link(Protocol):
    """What a lane needs of a connection."""

    @property
    def up(self) -> bool:
        """Whether messages can be sent."""

    def service(self, timeout_s: float) -> list[Event]:
        """Let the connection work for up to `timeout_s`; gives what happened."""

    def send(self, topic: str, payload: bytes, *, retain: bool) -> int | None:
        """Send with QoS 1; gives the packet id, None where the connection is down."""

    def close(self) -> None:
        """Take leave of the broker."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """Where a broker is and who we are to it."""

    host: str
    port: int
    tls: bool
    user: str | None
    password: str | None

    @classmethod
    def parse(cls, url: str) -> Self:
        """Read mqtt://user:password@host:port or mqtts://..; raises ValueError with a reason."""
        parts = urlsplit(url)
        if parts.scheme not in _PORTS or not parts.hostname:
            msg = f"{parts.scheme}://{parts.hostname or ''} is no mqtt:// or mqtts:// URL with a host"
            raise ValueError(msg)
        return cls(
            host=parts.hostname,
            port=parts.port or _PORTS[parts.scheme],
            tls=parts.scheme == "mqtts",
            user=unquote(parts.username) if parts.username else None,
            password=unquote(parts.password) if parts.password else None,
        )
