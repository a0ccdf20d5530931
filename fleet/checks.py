"""The catalogue of checks: code, severity, and the visit a finding asks for."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Severity(StrEnum):
    """How soon somebody has to act; four priorities as ISA-18.2 advises, worst first."""

    CRITICAL = "critical"
    MAJOR = "major"
    MINOR = "minor"
    INFO = "info"


class TaskKind(StrEnum):
    """What a person is sent to do."""

    SAFETY_INSPECTION = "safety_inspection"
    ALARM_VISIT = "alarm_visit"
    BATTERY_REPLACEMENT = "battery_replacement"
    OIL_SERVICE = "oil_service"
    READING_RECHECK = "reading_recheck"
    RECORD_CHECK = "record_check"


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckSpec:
    """What the rest of the system knows of a check."""

    #: Place in the catalogue; written to disk, so it never changes.
    number: int
    code: str
    #: Severity of a finding whose worst flag is SUSPECT.
    suspect: Severity
    #: Severity of a finding whose worst flag is FAIL.
    fail: Severity
    #: The visit that a finding asks for, or None where nobody has to travel.
    visit: TaskKind | None
    #: UCUM unit of the finding's value and limit.
    unit: str


def _spec(
    number: int, code: str, suspect: Severity, fail: Severity, visit: TaskKind | None, unit: str
) -> CheckSpec:
    return CheckSpec(number=number, code=code, suspect=suspect, fail=fail, visit=visit, unit=unit)


_C, _M, _N, _I = Severity.CRITICAL, Severity.MAJOR, Severity.MINOR, Severity.INFO

CATALOGUE: tuple[CheckSpec, ...] = (
    _spec(1, "dropout_frame", _I, _I, None, "m3"),
    _spec(2, "sensor_glitch", _I, _I, None, "Cel"),
    _spec(3, "flow_over_range", _N, _M, TaskKind.ALARM_VISIT, "m3/h"),
    _spec(4, "flow_over_range_sustained", _M, _C, TaskKind.ALARM_VISIT, "m3/h"),
    _spec(5, "flow_under_range", _N, _N, TaskKind.ALARM_VISIT, "m3/h"),
    _spec(6, "register_reversed", _M, _M, TaskKind.ALARM_VISIT, "m3"),
    _spec(7, "register_stalled", _M, _M, TaskKind.ALARM_VISIT, "m3"),
    _spec(8, "idle_or_stuck", _I, _I, None, "d"),
    _spec(9, "balance_low", _N, _N, None, "balance"),
    _spec(10, "balance_exhausted", _M, _M, None, "balance"),
    _spec(11, "battery_low", _N, _N, TaskKind.BATTERY_REPLACEMENT, "V"),
    _spec(12, "battery_overdue", _N, _M, TaskKind.BATTERY_REPLACEMENT, "d"),
    _spec(13, "oil_due_soon", _N, _N, TaskKind.OIL_SERVICE, "1"),
    _spec(14, "oil_overdue", _M, _M, TaskKind.OIL_SERVICE, "1"),
    _spec(15, "meter_silent", _M, _M, TaskKind.ALARM_VISIT, "s"),
    _spec(16, "data_gap", _N, _N, None, "s"),
    _spec(17, "flow_spike", _I, _I, None, "m3/h"),
    _spec(18, "flow_rate_of_change", _I, _I, None, "m3/h/s"),
    _spec(19, "flow_stuck", _N, _N, None, "m3/h"),
    _spec(20, "register_jump", _M, _M, TaskKind.ALARM_VISIT, "m3"),
    _spec(21, "meter_exchanged", _I, _I, None, "m3"),
    # The visit is that of `battery_low`, which a critical battery is as well.
    _spec(22, "battery_critical", _M, _M, None, "V"),
    _spec(23, "flow_with_valve_closed", _C, _C, TaskKind.ALARM_VISIT, "m3/h"),
    _spec(24, "flow_without_balance", _M, _M, TaskKind.ALARM_VISIT, "m3/h"),
    _spec(25, "balance_frozen", _M, _M, TaskKind.ALARM_VISIT, "m3"),
    _spec(26, "balance_mismatch", _N, _M, TaskKind.ALARM_VISIT, "balance"),
    _spec(27, "balance_forecast", _I, _N, None, "d"),
    _spec(28, "correction_mismatch", _N, _M, TaskKind.ALARM_VISIT, "1"),
    _spec(29, "low_reception", _N, _N, None, "1"),
    _spec(30, "clock_skew", _N, _N, None, "s"),
    _spec(31, "status_reported", _N, _M, None, "1"),
    # A pilot flame that was lit looks the same: a visit, and a page only for what none burns.
    _spec(32, "small_continuous_flow", _N, _M, TaskKind.ALARM_VISIT, "m3/h"),
    _spec(33, "night_flow", _N, _N, TaskKind.ALARM_VISIT, "m3/h"),
    _spec(34, "usage_shift", _N, _N, None, "1"),
    _spec(35, "meter_oversized", _I, _I, None, "1"),
    _spec(36, "meter_undersized", _N, _N, None, "1"),
    _spec(37, "battery_forecast", _I, _N, None, "d"),
)

BY_CODE: dict[str, CheckSpec] = {spec.code: spec for spec in CATALOGUE}
BY_NUMBER: dict[int, CheckSpec] = {spec.number: spec for spec in CATALOGUE}
