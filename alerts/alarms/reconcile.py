"""Reconciliation: what the checks found against the alarms there are; pure and level-triggered.

The rule of identity: an episode that overlaps the time from an alarm's first onset to its end,
half-open, is what that alarm already stands for. So the same findings, seen again after a crash
or a re-evaluation, change nothing.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from alerts.alarms.case import Case
from alerts.alarms.findings import Key, group_episodes
from alerts.alarms.model import Alarm, Change
from alerts.alarms.scope import Scope
from alerts.arrivals import Arrivals
from analytics.episodes import Episodes
from fleet.times import to_us


def reconcile(
    episodes: Episodes,
    alarms: Iterable[Alarm],
    decided_at: datetime,
    scope: Scope | None = None,
    arrivals: Arrivals | None = None,
) -> list[Change]:
    """Decide what has to change so that the alarms say what the episodes say.

    Parameters
    ----------
    episodes
        What an evaluation found, in any order.
    alarms
        Open alarms of the meters concerned, and closed ones that ended after the earliest episode.
    decided_at
        The time of the decision; end of a condition that a calendar check no longer shows.
    scope
        For which meters and checks a missing episode means that there is no condition.
    arrivals
        When the readings arrived that decided on the episodes, in their order.

    """
    scope = scope or Scope()
    found = group_episodes(episodes, arrivals)
    known: dict[Key, list[Alarm]] = {}
    for alarm in alarms:
        known.setdefault((alarm.meter_key, alarm.check), []).append(alarm)
    unshown = {
        key
        for key in known
        if key not in found and (scope.covers(key) or scope.refutes_from(key) is not None)
    }
    decided_us = to_us(decided_at)
    changes: list[Change] = []
    for key in sorted(found.keys() | unshown):
        case = Case(key, known.get(key, ()), scope)
        for item in found.get(key, ()):
            case.take(item)
        case.withdraw(found.get(key, ()))
        case.finish(decided_us)
        case.correct(found.get(key, ()))
        changes += case.changes
    return changes
