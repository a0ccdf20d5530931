"""The wire format that meters and server share: topics, field names, valve and status codes."""

from __future__ import annotations

import re
from dataclasses import dataclass

ROOT = "gas/v1"
#: What a company's code and a meter's id may look like; nothing here can hold `/`, `+` or `#`.
ID_PATTERN = r"[A-Za-z0-9_-]{1,64}"

_ID = re.compile(ID_PATTERN)
_TOPIC = re.compile(rf"{ROOT}/({ID_PATTERN})/({ID_PATTERN})/(telemetry|status|confirm|backfill)")

#: Wire field -> column of `ReadingBatch`, for the fields that are plain numbers.
NUMBER_FIELDS: dict[str, str] = {
    "flow": "flow_m3h",
    "volume": "volume_m3",
    "std_flow": "std_flow_m3h",
    "std_volume": "std_volume_m3",
    "pressure": "pressure_kpa",
    "temperature": "temperature_c",
    "balance": "balance",
    "battery": "battery_v",
    "battery2": "battery2_v",
    "battery_days": "battery_days",
}

#: A meter's clock may be so much ahead of ours; later readings are refused.
CLOCK_AHEAD_US = 10 * 60 * 1_000_000

#: No number of the contract can be larger, whatever its unit: 13 digits are more than any register has.
LARGEST_NUMBER = 1e13

#: Position is what the database stores.
VALVES = ("open", "closed", "moving", "fault")

#: Position is the bit that the database stores; an unknown code sets the last one.
STATUS_CODES = (
    "tamper_magnetic",
    "case_open",
    "reverse_flow",
    "clock_error",
    "low_oil",
    "battery_low",
    "temperature_out_of_range",
    "flow_above_qmax",
    "sensor_fault",
    "unrecognised",
)


@dataclass(frozen=True, slots=True)
class Topic:
    """A topic of the contract, taken apart."""

    company: str
    meter_id: str
    leaf: str


def is_id(text: str) -> bool:
    """Tell whether a company's code or a meter's id can stand in a topic."""
    return _ID.fullmatch(text) is not None


def topic(company: str, meter_id: str, leaf: str) -> str:
    """Build the topic of one meter."""
    return f"{ROOT}/{company}/{meter_id}/{leaf}"


def parse_topic(text: str) -> Topic | None:
    """Take a topic apart; None where it is none of the contract's."""
    match = _TOPIC.fullmatch(text)
    return Topic(*match.groups()) if match else None


def status_bits(codes: list[str]) -> int:
    """Pack reported status codes into bits; an unknown code sets `unrecognised`."""
    bits = 0
    for code in codes:
        known = code if code in STATUS_CODES else "unrecognised"
        bits |= 1 << STATUS_CODES.index(known)
    return bits


def status_codes(bits: int) -> list[str]:
    """Unpack status bits into codes; a negative number (not reported) gives none."""
    return [code for at, code in enumerate(STATUS_CODES) if bits >= 0 and bits >> at & 1]
