"""Alarms as rows of the table and the journal, and back."""

from __future__ import annotations

import math
from datetime import datetime
from typing import Any

from alerts.alarms.lifecycle import State
from alerts.alarms.model import Alarm, Occurrence
from fleet.checks import Severity
from fleet.policies import Origin
from fleet.times import to_us
from storage.database import Row


def alarm_of(row: Row) -> Alarm:
    """Read an alarm from a row of `alarms_of_meters`."""
    return Alarm(
        alarm_id=row["alarm_id"],
        meter_key=row["meter_key"],
        check=row["check_code"],
        severity=Severity(row["severity"]),
        state=State(row["state"]),
        onset_us=to_us(row["onset_at"]),
        first_onset_us=to_us(row["first_onset_at"]),
        ended_us=_us(row["ended_at"]),
        occurrences=row["occurrences"],
        readings=row["readings"],
        value=_nan_if_null(row["value"]),
        limit=_nan_if_null(row["limit_value"]),
        part=row["part"],
        origin=Origin.of_word(row["limit_origin"]),
        acknowledged_by=row["acknowledged_by"],
        acknowledged_us=_us(row["acknowledged_at"]),
        previous=_previous(row),
    )


def image_of(alarm: Alarm) -> dict[str, Any]:
    """Give what rows of the table and the journal alike keep of an alarm, for JSON; times in microseconds."""
    return {
        "severity": alarm.severity,
        "state": alarm.state,
        "onset_us": alarm.onset_us,
        "ended_us": alarm.ended_us,
        "occurrences": alarm.occurrences,
        "readings": alarm.readings,
        "value": _number(alarm.value),
        "limit_value": _number(alarm.limit),
        "part": alarm.part,
        "limit_origin": alarm.origin.word,
        "acknowledged_by": alarm.acknowledged_by,
        "acknowledged_us": alarm.acknowledged_us,
    }


def _previous(row: Row) -> Occurrence | None:
    if row["previous_onset_at"] is None:
        return None
    return Occurrence(
        onset_us=to_us(row["previous_onset_at"]),
        ended_us=to_us(row["previous_ended_at"]),
        readings=row["previous_readings"],
        value=_nan_if_null(row["previous_value"]),
        limit=_nan_if_null(row["previous_limit"]),
        part=row["previous_part"],
        origin=Origin.of_word(row["previous_limit_origin"]),
    )


def _us(when: datetime | None) -> int | None:
    return None if when is None else to_us(when)


def _nan_if_null(value: float | None) -> float:
    return math.nan if value is None else value


def _number(value: float) -> float | str | None:
    """Write a number as JSON has it: NaN is absent, and infinity is text that the database reads."""
    if math.isfinite(value):
        return value
    return None if math.isnan(value) else str(value)
