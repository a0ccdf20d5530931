"""Findings for people: one row per episode, with its severity and a sentence."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from analytics.episodes import ONGOING_US, Episodes
from fleet.checks import BY_NUMBER
from fleet.flags import Flag
from fleet.policies import Origin
from fleet.times import to_datetime
from fleet.wire import status_codes

COLUMNS = ("meter_id", "check", "severity", "started_at", "ended_at", "readings", "value", "limit", "detail")

_S_PER_H = 3600.0

_DETAILS = {
    "dropout_frame": "Frame with register, pressure or battery all zero: a transport fault, not a reading.",
    "sensor_glitch": "A single sample that both its neighbours contradict: temperature {value:g} °C.",
    "flow_over_range": "Flow of {value:g} m³/h, above Qmax {limit:g} m³/h.",
    "flow_over_range_sustained": "The register's mean flow was {value:g} m³/h, above Qmax {limit:g} m³/h.",
    "flow_under_range": "Flow stayed above 0 but below Qmin {limit:g} m³/h, down to {value:g} m³/h.",
    "register_reversed": "The register fell by {value:g} m³ and stayed below its former level.",
    "register_stalled": "The register stood still; the gas shown or paid for would have added {value:g} m³.",
    "idle_or_stuck": "No sign of use for {value:.0f} days: idle or stuck, which telemetry alone cannot tell.",
    "balance_low": "Balance down to {value:g}, at or below the limit of {limit:g}.",
    "balance_exhausted": "Balance used up: {value:g}.",
    "battery_low": "Battery {part} down to {value:g} V, below {limit:g} V.",
    "battery_critical": "Battery {part} down to {value:g} V, below {limit:g} V: it may fail any day.",
    "battery_overdue": "Battery {part} is {value:.0f} days past the end of its life.",
    "oil_due_soon": "{value:.0%} of the oil's interval is used up: service is due soon.",
    "oil_overdue": "{value:.0%} of the oil's interval is used up: service is overdue.",
    "flow_with_valve_closed": "The valve reports closed, and gas passes: {value:.3g} m³/h.",
    "flow_without_balance": "The balance is used up, and gas flows: {value:.3g} m³/h.",
    "flow_spike": "A single flow {value:g} m³/h away from both its neighbours.",
    "flow_rate_of_change": "The flow changed by {value:.3g} m³/h per second, faster than {limit:.3g}.",
    "flow_stuck": "The flow shown stood at exactly {value:g} m³/h, which the register does not confirm.",
    "register_jump": "The register rose by {value:g} m³ at once, more than any gas can, and stayed there.",
    "meter_exchanged": "The register begins anew: most likely another meter. It fell by {value:g} m³.",
    "data_gap": "Readings that the meter numbered have been missing for {hours:.3g} h.",
    "balance_frozen": "The register moved by {value:g} m³, and the balance did not change.",
    "clock_skew": "The meter's clock is {value:.0f} s ahead of its readings' arrival.",
    "status_reported": "The meter reports: {status}.",
    "balance_mismatch": "In a week the balance lost {value:g} more or less than the gas measured costs.",
    "balance_forecast": "At this customer's pace the balance is used up in {value:.1f} days.",
    "correction_mismatch": "The standard volume is {value:.1%} off what pressure and temperature make of it.",
    "low_reception": "Only {value:.0%} of the expected readings of a day came.",
    "small_continuous_flow": (
        "Never at rest, as it used to be: {value:g} m³/h flow day and night. "
        "A leak, or a pilot flame that was lit."
    ),
    "night_flow": "Nights took {value:g} m³/h, far more than the nights before.",
    "usage_shift": "A week took {value:.2g} times what the weeks before lead one to expect.",
    "meter_oversized": "In 30 days the flow never passed {value:.1%} of Qmax: the meter is too large.",
    "meter_undersized": "In 30 days {value:.0%} of the gas was measured above Qmax: the meter is too small.",
    "battery_forecast": "Battery {part} reaches the end of its life in {value:.0f} days.",
    "meter_silent": "Nothing was heard for {hours:.3g} h; silence is counted from {limit_hours:.3g} h on.",
}
_WHOSE = {
    Origin.METER: "the meter's own limit",
    Origin.MODEL: "the limit of its model",
    Origin.COMPANY: "the limit of its company",
    Origin.DEFAULT: "the default limit",
}
_SHOWS_MORE = "The register begins anew: most likely another meter. It shows {more:g} m³ more."
_LOW_OIL = "The meter reports that its oil is low."
_MISREAD_REGISTER = "A single register reading that fell or leapt and was back at the next one."


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One episode of one check at one meter."""

    meter_id: str
    check: str
    severity: str
    started_us: int
    ended_us: int
    readings: int
    value: float
    limit: float
    detail: str

    def row(self) -> list[str]:
        """Write the finding in the order of `COLUMNS`; empty where there is nothing to say."""
        return [
            self.meter_id,
            self.check,
            self.severity,
            rfc3339(self.started_us),
            "" if self.ended_us == ONGOING_US else rfc3339(self.ended_us),
            str(self.readings),
            _number(self.value),
            _number(self.limit),
            self.detail,
        ]


def findings_of(episodes: Episodes, meter_ids: Sequence[str]) -> list[Finding]:
    """Describe episodes; `meter_ids` gives the id of each meter number."""
    rows = zip(*(getattr(episodes, name).tolist() for name in Episodes.__dataclass_fields__), strict=True)
    return [_finding(dict(zip(Episodes.__dataclass_fields__, row, strict=True)), meter_ids) for row in rows]


def _finding(episode: dict[str, int | float], meter_ids: Sequence[str]) -> Finding:
    spec = BY_NUMBER[int(episode["check"])]
    value, limit = float(episode["value"]), float(episode["limit"])
    return Finding(
        meter_id=meter_ids[int(episode["meter_key"])],
        check=spec.code,
        severity=spec.fail if episode["flag"] == Flag.FAIL else spec.suspect,
        started_us=int(episode["started_us"]),
        ended_us=int(episode["ended_us"]),
        readings=int(episode["readings"]),
        value=value,
        limit=limit,
        detail=detail(spec.code, value, limit, int(episode["part"]), Origin(int(episode["origin"]))),
    )


def detail(code: str, value: float, limit: float, part: int, origin: Origin = Origin.NONE) -> str:
    """Say in a sentence what was found, and whose limit it was held against."""
    if code == "sensor_glitch" and math.isnan(value):
        return _MISREAD_REGISTER
    if code == "oil_overdue" and math.isnan(value):
        return _LOW_OIL
    if code == "status_reported":
        return _DETAILS[code].format(status=", ".join(status_codes(int(value))).replace("_", " "))
    template = _SHOWS_MORE if code == "meter_exchanged" and value < 0 else _DETAILS[code]
    hours = {"hours": value / _S_PER_H, "limit_hours": limit / _S_PER_H}
    said = template.format(value=value, more=-value, limit=limit, part=part, **hours)
    return said if origin is Origin.NONE else f"{said.removesuffix('.')} ({_WHOSE[origin]})."


def rfc3339(time_us: int) -> str:
    """Write a time as RFC 3339 in UTC, with as many decimals as it has."""
    return to_datetime(time_us).isoformat().replace("+00:00", "Z")


def _number(value: float) -> str:
    return "" if math.isnan(value) else f"{value:.10g}"
