"""Refused telemetry as values: what was wrong, with every reason."""

from __future__ import annotations

from dataclasses import dataclass


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
