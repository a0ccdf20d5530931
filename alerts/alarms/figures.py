"""An alarm's figures: worst value, limit and whose that is, number of readings; pure."""

from __future__ import annotations

import math
from dataclasses import replace

from alerts.alarms.findings import Found
from alerts.alarms.model import RANK, Alarm
from fleet.checks import Severity
from fleet.policies import Origin

#: While a condition holds, its figures are written when the worst value moved by a fiftieth, or the
#: readings became a quarter more, and exactly when it ends. So an alarm that lasts costs a few dozen
#: rows of the journal and not one for each cycle.
_VALUE_SHARE, _READINGS_GROWTH = 0.02, 1.25


def with_figures(alarm: Alarm, found: Found) -> Alarm:
    """Give an alarm the figures of an episode; a limit that this evaluation does not know stays.

    Some checks give no limit in figures, but whose it is: only without either is it not known.
    """
    no_limit = math.isnan(found.limit)
    return replace(
        alarm,
        readings=found.readings,
        value=found.value,
        limit=alarm.limit if no_limit else found.limit,
        part=found.part,
        origin=alarm.origin if no_limit and found.origin is Origin.NONE else found.origin,
    )


def without_last(alarm: Alarm) -> Alarm:
    """Fall back on the occurrence before the last one, or leave one of no length."""
    before = alarm.previous
    if before is None:
        return replace(alarm, ended_us=alarm.onset_us)
    return replace(
        alarm,
        onset_us=before.onset_us,
        ended_us=before.ended_us,
        readings=before.readings,
        value=before.value,
        limit=before.limit,
        part=before.part,
        origin=before.origin,
        previous=None,
    )


def same_figures(one: Alarm, other: Alarm) -> bool:
    """Tell whether two alarms have the same figures and the same one's limit, NaN being NaN."""
    if (one.readings, one.part, one.origin) != (other.readings, other.part, other.origin):
        return False
    return not (_differ(one.value, other.value) or _differ(one.limit, other.limit))


def have_moved(old: Alarm, new: Alarm) -> bool:
    """Tell whether the figures of a condition that goes on are far enough from what is written."""
    if same_figures(old, new):
        return False
    if (old.part, old.origin) != (new.part, new.origin) or _differ(old.limit, new.limit):
        return True
    if new.readings < old.readings or (old.readings < new.readings >= _READINGS_GROWTH * old.readings):
        return True
    if math.isnan(old.value) or math.isnan(new.value):
        return math.isnan(old.value) != math.isnan(new.value)
    scale = max(abs(old.value), 0.0 if math.isnan(old.limit) else abs(old.limit))
    return abs(new.value - old.value) > _VALUE_SHARE * scale


def worse(*severities: Severity) -> Severity:
    """Give the most severe one."""
    return min(severities, key=RANK.__getitem__)


def _differ(a: float, b: float) -> bool:
    return a != b and not (math.isnan(a) and math.isnan(b))
