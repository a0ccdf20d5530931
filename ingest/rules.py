"""What a reading may hold, whatever format it came in: types, bounds, and every reason why not; pure.

The decoders take their payloads apart and hand each reading to `take`, so that all formats
accept the same and refuse in the same words.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Annotated, Any, Literal

import msgspec

from fleet.times import to_us
from fleet.wire import LARGEST_NUMBER, NUMBER_FIELDS, VALVES
from ingest.refusals import MOST_REASONS, Reason

_INT64_MAX = 2**63 - 1
#: The largest whole number that every JSON reader keeps exact; far beyond any date.
_TS_MAX = 2**53
_LONGEST_QUOTE = 60
#: What may stand between date and time.
_BETWEEN = ("T", "t", " ")

_Counter = Annotated[int, msgspec.Meta(ge=0, le=_INT64_MAX)]
_Ts = Annotated[int, msgspec.Meta(ge=-_TS_MAX, le=_TS_MAX)]
_Number = Annotated[float, msgspec.Meta(ge=-LARGEST_NUMBER, le=LARGEST_NUMBER)]


class WireReading(msgspec.Struct, gc=False, forbid_unknown_fields=True):
    """A reading as it travels; None is "not reported". Units: `docs/nomenclature.md`."""

    ts: _Ts | str
    seq: _Counter | None = None
    boot: _Counter | None = None
    flow: _Number | None = None
    volume: _Number | None = None
    std_flow: _Number | None = None
    std_volume: _Number | None = None
    pressure: _Number | None = None
    temperature: _Number | None = None
    balance: _Number | None = None
    battery: _Number | None = None
    battery2: _Number | None = None
    battery_days: _Number | None = None
    valve: Literal["open", "closed", "moving", "fault"] | None = None
    status: list[str] | None = None
    #: Not needed, because the topic says it; where it is there, it has to agree.
    meter: str | None = None
    meter_id: str | None = None
    company: str | None = None


@dataclass(frozen=True, slots=True)
class Claims:
    """Whose a refused reading says it is, as far as it could be read; None where it does not say."""

    meter: str | None
    meter_id: str | None
    company: str | None
    #: (boot, seq), if both could be read.
    sequence: tuple[int, int] | None


@dataclass(slots=True)
class Decoded:
    """What one payload holds."""

    #: Position in the array, and the reading; time in `times_us`.
    readings: list[tuple[int, WireReading]] = field(default_factory=list)
    times_us: list[int] = field(default_factory=list)
    #: The first ones, and how many there are beside them.
    reasons: list[Reason] = field(default_factory=list)
    more_reasons: int = 0
    #: Readings refused so far.
    refused: int = 0
    #: Position, time and claims of refused readings: what else is wrong with them others can tell.
    refused_claims: list[tuple[int, int | None, Claims]] = field(default_factory=list)
    unknown_fields: int = 0

    def blame(self, reasons: Sequence[Reason]) -> None:
        """Add reasons, as far as there is room for them."""
        room = MOST_REASONS - len(self.reasons)
        self.reasons += reasons[:room]
        self.more_reasons += max(0, len(reasons) - room)


def parse_time_us(ts: int | str) -> int | None:
    """Turn integer milliseconds or RFC 3339 with offset into microseconds since 1970 UTC."""
    if isinstance(ts, int):
        return ts * 1000
    try:
        # `fromisoformat` also takes week dates and dates without dashes, which RFC 3339 does not know.
        if ts[4:5] != "-" or ts[7:8] != "-" or ts[10:11] not in _BETWEEN:
            return None
        moment = datetime.fromisoformat(ts.upper())
        return None if moment.tzinfo is None else to_us(moment)
    except (ValueError, OverflowError):
        return None


def accept(decoded: Decoded, item: int, reading: WireReading) -> None:
    """Take a reading whose types are right, if it says when and anything at all."""
    wrong: list[tuple[str, str]] = []
    time_us = parse_time_us(reading.ts)
    if time_us is None:
        wrong.append(("ts", _no_time(reading.ts)))
    if all(getattr(reading, name) is None for name in MEASUREMENTS):
        wrong.append(("payload", "carries no measurement"))
    if wrong or time_us is None:
        refuse(decoded, item, wrong, msgspec.structs.asdict(reading))
        return
    decoded.readings.append((item, reading))
    decoded.times_us.append(time_us)


def refuse(
    decoded: Decoded, item: int | None, wrong: list[tuple[str, str]], fields: Mapping[str, Any] | None = None
) -> None:
    """Count one refusal with its reasons, (field, reason); `item` None means the whole message."""
    decoded.refused += 1
    decoded.blame([Reason(item, name, reason) for name, reason in wrong])
    if item is not None and fields is not None:
        _remember(decoded, item, fields)


def _remember(decoded: Decoded, item: int, fields: Mapping[str, Any]) -> None:
    """Keep of a refused reading what could be read of its time, its meter and its number."""
    ts: Any = fields.get("ts")
    boot: Any = fields.get("boot")
    seq: Any = fields.get("seq")
    sequence = (boot, seq) if _is_counter(boot) and _is_counter(seq) else None
    names = (fields.get(name) for name in ("meter", "meter_id", "company"))
    meter, meter_id, company = (name if isinstance(name, str) else None for name in names)
    claims = Claims(meter, meter_id, company, sequence)
    decoded.refused_claims.append((item, None if _time(ts) else parse_time_us(ts), claims))


def take(decoded: Decoded, item: int, value: Any, known_wrong: Iterable[tuple[str, str]] = ()) -> None:
    """Take a reading given as wire fields, or refuse it with every reason.

    Adds to `decoded`. `known_wrong` is what the decoder found already, (field, reason): with any
    of it the reading is refused, together with what the rules find. Unknown fields are counted.
    """
    if not isinstance(value, dict):
        refuse(decoded, item, [("payload", "is not an object")])
        return
    known = {name: given for name, given in value.items() if name in RULES}
    decoded.unknown_fields += len(value) - len(known)
    wrong = [*known_wrong] if "ts" in known else [*known_wrong, ("ts", "is missing")]
    for name, given in known.items():
        if name == "ts" or given is not None:
            reason = RULES[name](given)
            wrong += [(name, reason)] if reason else []
    if wrong:
        refuse(decoded, item, wrong, known)
        return
    numbers = {name: float(v) for name, v in known.items() if name in NUMBER_FIELDS and v is not None}
    accept(decoded, item, WireReading(**{**known, **numbers}))


def _is_counter(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= _INT64_MAX


def quote(value: Any) -> str:
    """Show a value that is refused: ASCII, and not all of a long one."""
    try:
        return ascii(value)[:_LONGEST_QUOTE]
    except RecursionError:
        return f"a {type(value).__name__} nested too deeply"


def _number(value: Any) -> str | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return f"{quote(value)} is not a number"
    if not isinstance(value, int) and not math.isfinite(value):
        return f"{value} is not a finite number"
    return None if abs(value) <= LARGEST_NUMBER else f"{quote(value)} is beyond anything measured"


def _counter(value: Any) -> str | None:
    return None if _is_counter(value) else f"{quote(value)} is not a whole number from 0 to 2^63-1"


def _time(value: Any) -> str | None:
    if isinstance(value, str):
        return None if parse_time_us(value) is not None else _no_time(value)
    if isinstance(value, bool) or not isinstance(value, int):
        return f"{quote(value)} is neither integer milliseconds nor an RFC 3339 time"
    return None if -_TS_MAX <= value <= _TS_MAX else f"{quote(value)} is beyond any time"


def _no_time(value: Any) -> str:
    return f"{quote(value)} is no RFC 3339 time with an offset"


def _valve(value: Any) -> str | None:
    return None if value in VALVES else f"{quote(value)} is none of {', '.join(VALVES)}"


def _status(value: Any) -> str | None:
    good = isinstance(value, list) and all(isinstance(code, str) for code in value)
    return None if good else f"{quote(value)} is not a list of codes"


def _text(value: Any) -> str | None:
    return None if isinstance(value, str) else f"{quote(value)} is not text"


#: Fields of which a reading has to carry one.
MEASUREMENTS = (*NUMBER_FIELDS, "valve", "status")
#: Wire field -> what is wrong with a value, None where it is right.
RULES: dict[str, Callable[[Any], str | None]] = {
    **dict.fromkeys(NUMBER_FIELDS, _number),
    "ts": _time,
    "seq": _counter,
    "boot": _counter,
    "valve": _valve,
    "status": _status,
    "meter": _text,
    "meter_id": _text,
    "company": _text,
}
