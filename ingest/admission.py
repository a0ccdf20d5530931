"""One message looked at closely: what its payload alone cannot tell, with every reason; pure.

This is the slow way, for messages in which something is wrong or unusual.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from fleet.wire import CLOCK_AHEAD_US, Topic
from ingest.directory import Route
from ingest.native_json import decode
from ingest.refusals import MOST_PAYLOAD_BYTES, Reason, Refusal, limited, unexamined
from ingest.rules import Claims, Decoded, WireReading


@dataclass(frozen=True, slots=True)
class TimeWindow:
    """Device times that are taken, microseconds since 1970 UTC."""

    earliest_us: int
    latest_us: int

    @classmethod
    def around(cls, now_us: int, max_age_days: int) -> TimeWindow:
        """Take readings up to `max_age_days` old and up to 10 minutes ahead."""
        return cls(now_us - max_age_days * 86_400_000_000, now_us + CLOCK_AHEAD_US)


@dataclass(slots=True)
class Admitted:
    """What of one message is taken, and what is not."""

    readings: list[WireReading] = field(default_factory=list)
    times_us: list[int] = field(default_factory=list)
    refusal: Refusal | None = None
    #: (boot, seq) of refused readings of a registered meter.
    refused_sequence: list[tuple[int, int]] = field(default_factory=list)
    unknown_fields: int = 0


def admit(payload: bytes, received_us: int, route: Route, window: TimeWindow) -> Admitted:
    """Decode a message of the topic `telemetry`, and check it against topic, registry and clock."""
    why = why_unexamined(payload)
    if why is None:
        try:
            return admit_decoded(decode(payload), payload, received_us, route, window)
        except Exception as error:  # noqa: BLE001 (whatever one meter sends, all others go on)
            why = f"cannot be examined: {type(error).__name__}"
    return Admitted(refusal=unexamined(route.text, payload, received_us, why))


def why_unexamined(payload: bytes) -> str | None:
    """Say why a payload is not even looked at; None where it is."""
    too_large = len(payload) > MOST_PAYLOAD_BYTES
    return f"has {len(payload)} bytes, more than {MOST_PAYLOAD_BYTES}" if too_large else None


def admit_decoded(
    decoded: Decoded, payload: bytes, received_us: int, route: Route, window: TimeWindow
) -> Admitted:
    """Check what was decoded of a message against topic, registry and clock."""
    refused_sequence = _judge(decoded, route, window)
    refusal = None
    if decoded.refused:
        reasons = limited(decoded.reasons, decoded.more_reasons)
        refusal = Refusal(route.text, payload, received_us, decoded.refused, reasons)
    return Admitted(
        [reading for _, reading in decoded.readings],
        decoded.times_us,
        refusal,
        refused_sequence if route.entry else [],
        decoded.unknown_fields,
    )


def _judge(decoded: Decoded, route: Route, window: TimeWindow) -> list[tuple[int, int]]:
    """Move readings that cannot be taken from `decoded.readings` to its reasons.

    Gives (boot, seq) of refused ones, of this meter as far as they say: they are kept, so they leave no gap.
    """
    refused_sequence: list[tuple[int, int]] = []
    for item, claimed_us, claims in decoded.refused_claims:
        wrong = _disagreements(item, claimed_us, claims, route.topic, window)
        decoded.blame(wrong)
        if claims.sequence is not None and not _is_anothers(wrong):
            refused_sequence.append(claims.sequence)
    kept, times = [], []
    for (item, reading), time_us in zip(decoded.readings, decoded.times_us, strict=True):
        wrong = _disagreements(item, time_us, reading, route.topic, window)
        decoded.blame(wrong)
        if wrong or route.reasons:
            decoded.refused += 1
            if reading.boot is not None and reading.seq is not None and not _is_anothers(wrong):
                refused_sequence.append((reading.boot, reading.seq))
        else:
            kept.append((item, reading))
            times.append(time_us)
    # By reading, and within one in the order found.
    decoded.reasons.sort(key=lambda reason: -1 if reason.item is None else reason.item)
    decoded.reasons[:0] = route.reasons
    decoded.readings, decoded.times_us = kept, times
    return refused_sequence


def _is_anothers(wrong: list[Reason]) -> bool:
    """Tell whether a reading names another meter than its topic: its number is not this meter's."""
    return any(reason.field in ("meter", "meter_id", "company") for reason in wrong)


def _disagreements(
    item: int, time_us: int | None, claims: WireReading | Claims, topic: Topic | None, window: TimeWindow
) -> list[Reason]:
    wrong = []
    if time_us is not None and not window.earliest_us <= time_us <= window.latest_us:
        side = "older than accepted" if time_us < window.earliest_us else "in the future"
        wrong.append(Reason(item, "ts", f"is {side}"))
    if topic is not None:
        names = ("meter", "meter_id")
        other = [name for name in names if getattr(claims, name) not in (None, topic.meter_id)]
        wrong += [Reason(item, name, "disagrees with the topic") for name in other]
        if claims.company not in (None, topic.company):
            wrong.append(Reason(item, "company", "disagrees with the topic"))
    return wrong
