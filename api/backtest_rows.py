"""How a back-test is told: findings with the alarms that stand for them, and counts by check."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime
from typing import Any

from pydantic import BaseModel, Field

from analytics.backtest import Comparison, Outcome, count_by_check, severity_of
from analytics.episodes import ONGOING_US
from api.meters import finite
from fleet.checks import BY_NUMBER
from fleet.policies import Origin
from fleet.times import to_datetime
from storage.database import Row

#: (meter's number, check) -> alarms.
Standing = dict[tuple[int, str], list[Row]]
#: Orders findings, and tells one from every other: meter, start, check, part, outcome.
KEY_LENGTH = 5


class CheckOut(BaseModel):
    """One check: its findings under the changed policy against those under the present one."""

    check: str
    kept: int = Field(description="Found by both")
    new: int = Field(description="Found under the changed policy only")
    gone: int = Field(description="Found under the present policy only")
    worse: int = Field(description="Found by both, more severe under the changed policy")
    milder: int = Field(description="Found by both, less severe under the changed policy")
    meters_changed: int = Field(description="Meters at which anything but `kept` happens")
    alarms: int = Field(
        description="Alarms there are now whose present or last occurrence began in the window"
    )


class FindingOut(BaseModel):
    """One finding; of one that is gone the figures are those under the present policy."""

    meter_id: str
    check: str
    change: str = Field(description="kept, new, gone, worse or milder")
    severity: str
    started_at: datetime
    ended_at: datetime | None = Field(description="null where it goes on at `to`")
    readings: int
    value: float | None
    limit: float | None
    unit: str | None
    limit_from: str | None = Field(description="meter, model, company or default")
    part: int = Field(description="Which battery, 1 or 2; 0 where the question does not arise")
    alarm_id: int | None = Field(description="The alarm that was raised for it, if there is one")


def keys_of(comparison: Comparison) -> list[tuple[int, ...]]:
    """Give the key of each finding; they ascend."""
    e = comparison.episodes
    columns = (e.meter_key, e.started_us, e.check, e.part, comparison.outcome)
    return list(zip(*(column.tolist() for column in columns), strict=True))


def checks_told(comparison: Comparison, alarms: dict[str, int]) -> list[CheckOut]:
    """Count findings by check, in the order of the catalogue, beside the alarms of each check."""
    counted = {code: asdict(counts) for code, counts in count_by_check(comparison).items()}
    nothing = dict.fromkeys(CheckOut.model_fields, 0)
    codes = [spec.code for spec in BY_NUMBER.values() if spec.code in counted or spec.code in alarms]
    return [
        CheckOut(**{**nothing, **counted.get(code, {}), "check": code, "alarms": alarms.get(code, 0)})
        for code in codes
    ]


def findings_told(comparison: Comparison, meters: list[Row], standing: Standing) -> list[Row]:
    """Tell findings as rows of `FindingOut`, each with its `key` beside."""
    by_key = {row["meter_key"]: row for row in meters}
    e = comparison.episodes
    names = tuple(e.__dataclass_fields__)
    columns = zip(*(getattr(e, name).tolist() for name in names), comparison.outcome.tolist(), strict=True)
    rows = []
    for *values, outcome in columns:
        found = dict(zip(names, values, strict=True))
        meter = by_key[found["meter_key"]]
        rows.append(_finding(found, Outcome(outcome), meter, standing))
    return [{**row, "key": key} for row, key in zip(rows, keys_of(comparison), strict=True)]


def _finding(found: dict[str, Any], outcome: Outcome, meter: Row, standing: Standing) -> Row:
    spec = BY_NUMBER[found["check"]]
    started_at = to_datetime(found["started_us"])
    ended_at = None if found["ended_us"] == ONGOING_US else to_datetime(found["ended_us"])
    alarms = standing.get((found["meter_key"], spec.code), [])
    return {
        "meter_id": meter["meter_id"],
        "check": spec.code,
        "change": outcome.word,
        "severity": severity_of(found["check"], found["flag"]),
        "started_at": started_at,
        "ended_at": ended_at,
        "readings": found["readings"],
        "value": finite(found["value"]),
        "limit": finite(found["limit"]),
        "unit": meter["balance_unit"] if spec.unit == "balance" else spec.unit,
        "limit_from": Origin(found["origin"]).word,
        "part": found["part"],
        "alarm_id": next((a["alarm_id"] for a in alarms if _overlap(a, started_at, ended_at)), None),
    }


def _overlap(alarm: Row, started_at: datetime, ended_at: datetime | None) -> bool:
    return (ended_at is None or alarm["onset_at"] < ended_at) and (
        alarm["ended_at"] is None or alarm["ended_at"] > started_at
    )
