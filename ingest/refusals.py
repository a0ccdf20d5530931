"""Refused telemetry as values: what was wrong, with every reason."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

#: A larger message is refused without being taken apart, which takes many times its size in memory.
MOST_PAYLOAD_BYTES = 4 * 1024 * 1024
#: Kept for each refusal; a large array of nonsense has as many as it has items.
MOST_REASONS = 100


@dataclass(frozen=True, slots=True)
class Reason:
    """One thing that is wrong with one reading of a message."""

    #: Position in the array; None where the whole message is meant.
    item: int | None
    #: Field of the wire format, or `topic`, `payload`, `meter`, `company`.
    field: str
    reason: str


@dataclass(frozen=True, slots=True)
class Refusal:
    """A message of which at least one reading was not taken; kept whole."""

    topic: str
    payload: bytes
    received_us: int
    #: How many readings were not taken; 1 where the message could not be taken apart.
    readings: int
    reasons: tuple[Reason, ...]


def limited(reasons: Sequence[Reason], left_out: int = 0) -> tuple[Reason, ...]:
    """Give the first reasons, and say where there are more; `left_out` are already missing."""
    if left_out == 0 and len(reasons) <= MOST_REASONS:
        return tuple(reasons)
    return (*reasons[:MOST_REASONS], Reason(None, "payload", "and more reasons"))


def unexamined(topic: str, payload: bytes, received_us: int, why: str) -> Refusal:
    """Refuse a message of which nothing is known but that it cannot be examined."""
    return Refusal(topic, payload, received_us, 1, (Reason(None, "payload", why),))
