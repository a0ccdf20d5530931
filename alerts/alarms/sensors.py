"""One alarm of several sensors, or rules: what an episode of one says of an occurrence of all; pure."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

from alerts.alarms.figures import with_figures, worse
from alerts.alarms.findings import Found
from alerts.alarms.model import Alarm
from alerts.alarms.scope import Scope
from analytics.state import TRACKED
from analytics.usage.episodes import SLOW_PARTS

_TRACKED = Counter([tracked.code for tracked in TRACKED.values()] + [code for code, _ in SLOW_PARTS.values()])

#: Checks of which one alarm stands for several episodes that may overlap.
SEVERAL = frozenset(code for code, fields in _TRACKED.items() if fields > 1)


def onset_us(alarm: Alarm, found: Found, scope: Scope, *, again: bool) -> int:
    """Tell since when an occurrence lasts that an episode is about, or about a part of.

    What is found is what is left of all sensors: an earlier one may have been over by then. So may it
    by the state from which readings were evaluated again, which knows only what it had open: the
    onset of that refutes no earlier one. `again`: readings were evaluated again.
    """
    if alarm.check not in SEVERAL:
        return found.start_us if again else alarm.onset_us
    since_us = scope.since_us.get(alarm.meter_key, found.start_us)
    if again and not alarm.onset_us < found.start_us < since_us:
        return found.start_us
    # What only the calendar says may rest on a registry that was changed.
    calendar = not again and scope.covers((alarm.meter_key, alarm.check))
    return alarm.onset_us if calendar else min(alarm.onset_us, found.start_us)


def joined(alarm: Alarm, found: Found) -> Alarm | None:
    """Join an episode that is over to an alarm's last occurrence, which is over; None: that holds it already.

    One sensor is decided before another, whose next sample comes later: then what is found may reach
    beyond what was told, to either side, and even into the occurrence before it.
    """
    overlaps = alarm.onset_us < found.end_us and found.start_us < alarm.until_us
    within = alarm.onset_us <= found.start_us and found.end_us <= alarm.until_us
    if alarm.check not in SEVERAL or within or not overlaps:
        return None
    first_us = min(alarm.onset_us, found.start_us)
    before = alarm.previous
    if before is not None and found.start_us < before.ended_us:
        first_us = min(first_us, before.onset_us)
    return replace(
        with_figures(alarm, found),
        severity=worse(alarm.severity, found.severity),
        onset_us=first_us,
        first_onset_us=min(alarm.first_onset_us, first_us),
        ended_us=max(alarm.until_us, found.end_us),
    )
