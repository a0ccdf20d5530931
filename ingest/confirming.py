"""What the server says to meters after a commit, coalesced: a busy meter hears one word a second; pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import msgspec

from fleet.wire import topic
from ingest.sequence import Boot

#: A topic and its payload.
Outgoing = tuple[bytes, bytes]

_EVERY_US = 1_000_000


@dataclass(slots=True)
class Confirmer:
    """Collects confirmations, and lets go of the newest of each boot when it is time."""

    _pending: dict[Boot, int] = field(default_factory=dict)
    _said_us: int = 0

    def note(self, confirmed: Mapping[Boot, int]) -> None:
        """Remember how far boots are committed; a later word on a boot replaces the earlier."""
        self._pending.update(confirmed)

    def take(
        self, now_us: int, addresses: Mapping[int, tuple[str, str]], *, at_once: bool = False
    ) -> list[Outgoing]:
        """Give the messages that are due; nothing within a second of the last ones, unless `at_once`.

        `addresses` tells (company, meter_id) of each meter number; one that is gone hears nothing.
        """
        if not self._pending or (not at_once and 0 <= now_us - self._said_us < _EVERY_US):
            return []
        pending, self._pending, self._said_us = self._pending, {}, now_us
        return [
            (
                topic(*addresses[key], "confirm").encode(),
                msgspec.json.encode({"boot": boot, "seq": seq}),
            )
            for (key, boot), seq in pending.items()
            if key in addresses
        ]
