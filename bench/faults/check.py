"""What was published beside what is kept: which readings are lost, doubled or changed; pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from bench.faults.content import Key, Reading
from bench.faults.ledger import Bad, Sent


@dataclass(frozen=True, slots=True)
class Window:
    """A time in which the broker itself loses what it acknowledged, seconds since 1970 UTC."""

    from_s: float
    to_s: float

    def covers(self, at_s: float) -> bool:
        """Tell whether a moment lies inside."""
        return self.from_s <= at_s <= self.to_s


@dataclass(slots=True)
class Verdict:
    """What is wrong, and what only the broker is to blame for."""

    lost: list[str] = field(default_factory=list)
    broker_lost: list[str] = field(default_factory=list)
    #: Stored twice, or with other content than was sent.
    doubled: list[str] = field(default_factory=list)
    #: Refused although it is in order, not refused although it is not, or with another reason.
    misjudged: list[str] = field(default_factory=list)


def check_readings(
    sent: Iterable[Sent],
    stored: Sequence[Reading],
    windows: Sequence[Window],
) -> Verdict:
    """Compare the readings of one boot with its rows.

    A forgetful meter's reading may be missing only where the broker took it inside a window.
    """
    verdict, found = Verdict(), {reading.key: reading for reading in stored}
    sent_by_key = {item.reading.key: item for item in sent}
    verdict.doubled += [f"{key} {times} times" for key, times in _times(stored).items() if times > 1]
    for key, reading in found.items():
        item = sent_by_key.get(key)
        if item is None or item.reading != reading:
            verdict.doubled.append(f"{key} was sent as {item and item.reading} and stored as {reading}")
    for key, item in sent_by_key.items():
        if item.acked_at_s is None or key in found:
            continue
        excused = not item.buffered and _excused(item.acked_at_s, windows)
        (verdict.broker_lost if excused else verdict.lost).append(str(key))
    return verdict


def check_refusals(
    bad: Iterable[Bad],
    refused: Sequence[tuple[bytes, Sequence[Mapping[str, Any]]]],
    windows: Sequence[Window],
) -> Verdict:
    """Compare what had to be refused with what was."""
    verdict, expected = Verdict(), {item.payload: item for item in bad}
    kept = {payload: {reason["field"] for reason in reasons} for payload, reasons in refused}
    verdict.misjudged += [f"refused although in order: {p[:120]!r}" for p in kept if p not in expected]
    for payload, item in expected.items():
        if payload not in kept:
            if item.acked_at_s is not None:
                excused = _excused(item.acked_at_s, windows)
                (verdict.broker_lost if excused else verdict.lost).append(repr(payload[:120]))
        elif item.field not in kept[payload]:
            fields = ", ".join(sorted(kept[payload]))
            verdict.misjudged.append(f"refused for {fields} instead of {item.field}: {payload[:120]!r}")
    return verdict


def _times(stored: Sequence[Reading]) -> Counter[Key]:
    return Counter(reading.key for reading in stored)


def _excused(at_s: float, windows: Sequence[Window]) -> bool:
    return any(window.covers(at_s) for window in windows)
