"""What a meter is doing now: no flow, no data and invalid data are three different things. Pure."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from analytics.data.dropout import dropout
from api.flow_chart import silent_after_s
from fleet.readings import ReadingBatch

#: While one of these is active, what the meter says cannot be trusted.
INVALIDATING_CHECKS = frozenset({"dropout_frame", "sensor_glitch", "register_reversed"})


class MeterStatus(StrEnum):
    """One word for the meter's present."""

    #: Nothing was ever received.
    NEVER = "never"
    #: Something was, but it is too long ago: the flow is not known, and not zero.
    NO_DATA = "no_data"
    #: Readings come, and they cannot be right.
    INVALID = "invalid"
    #: Readings come without a flow.
    NOT_REPORTED = "not_reported"
    NO_FLOW = "no_flow"
    UNDER_RANGE = "under_range"
    IN_RANGE = "in_range"
    OVER_RANGE = "over_range"
    #: There is flow, and no rated range to hold it against.
    FLOWING = "flowing"


#: Statuses that deserve no colour.
NORMAL = frozenset({MeterStatus.NO_FLOW, MeterStatus.IN_RANGE, MeterStatus.FLOWING, MeterStatus.NOT_REPORTED})


def meter_status(
    last: dict[str, Any] | None,
    rated: dict[str, float | None],
    interval_s: float | None,
    active_checks: Collection[str],
    now: datetime,
) -> MeterStatus:
    """Judge a meter by its newest reading (in the wire's terms) and its active alarms."""
    if last is None:
        return MeterStatus.NEVER
    if now - last["ts"] > timedelta(seconds=silent_after_s(interval_s)):
        return MeterStatus.NO_DATA
    if is_dropout(last) or INVALIDATING_CHECKS & set(active_checks):
        return MeterStatus.INVALID
    return _by_flow(last["flow"], rated)


def is_dropout(reading: dict[str, Any]) -> bool:
    """Tell a transport fault by the rule of the checks."""
    columns = {"volume_m3": "volume", "pressure_kpa": "pressure", "temperature_c": "temperature"}
    columns["battery_v"] = "battery"
    known = {to: [reading[name]] for to, name in columns.items() if reading[name] is not None}
    return bool(dropout(ReadingBatch.build(1, **known))[0])


def _by_flow(flow: float | None, rated: dict[str, float | None]) -> MeterStatus:
    qmin, qmax = rated["qmin"], rated["qmax"]
    if flow is None:
        return MeterStatus.NOT_REPORTED
    if flow == 0:
        return MeterStatus.NO_FLOW
    if qmax is not None and flow > qmax:
        return MeterStatus.OVER_RANGE
    if qmin is not None and flow < qmin:
        return MeterStatus.UNDER_RANGE
    return MeterStatus.FLOWING if qmax is None else MeterStatus.IN_RANGE
