"""For what an evaluation speaks, and so for what its silence is a statement; pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from alerts.alarms.findings import Key
from alerts.alarms.model import Alarm


@dataclass(frozen=True, slots=True)
class Scope:
    """For what the absence of an episode is a statement.

    Readings evaluated in order only speak of what they touch, so their scope is empty. Readings
    evaluated again from an earlier state speak of everything since that state, a whole history and
    the calendar checks of everything: what they do not show is not so.
    """

    meters: frozenset[int] = frozenset()
    checks: frozenset[str] = frozenset()
    #: True: not shown means that it never was (a history); False: that it is over by now.
    history: bool = False
    #: Checks of which a history shows every occurrence that is over, if not what goes on now.
    refutable: frozenset[str] = frozenset()
    #: Meter number -> where its history begins, microseconds since 1970; before, nothing is refuted.
    since_us: Mapping[int, int] = field(default_factory=dict)
    #: Meter number -> its newest alarm that readings before its history can stand for. An alarm
    #: raised later stands only for readings since, even where a rule over time put its onset before.
    last_alarm_id: Mapping[int, int] = field(default_factory=dict)
    #: Meter number -> up to where it had been evaluated before, microseconds since 1970.
    known_us: Mapping[int, int] = field(default_factory=dict)
    #: Meter number -> when its newest reading arrived, microseconds since 1970.
    arrived_us: Mapping[int, int] = field(default_factory=dict)

    #: The history began with all that was open: what reaches into it and is not shown never was.
    whole: bool = False

    def covers(self, key: Key) -> bool:
        """Tell whether absence means something for this meter and check."""
        return key[0] in self.meters and key[1] in self.checks

    def refutes_from(self, key: Key) -> int | None:
        """Give the moment from which on alarms that no episode supports never were; None for never."""
        known = key[0] in self.meters and key[1] in self.refutable
        return self.since_us.get(key[0]) if known else None

    def refutes(self, alarm: Alarm) -> bool:
        """Tell whether an alarm that no episode supports never was, as a whole."""
        from_us = self.refutes_from((alarm.meter_key, alarm.check))
        if from_us is None:
            return False
        if alarm.first_onset_us >= from_us:
            return True
        if self.whole:
            # An earlier occurrence stands for itself.
            return alarm.until_us > from_us and alarm.first_onset_us == alarm.onset_us
        newest = self.last_alarm_id.get(alarm.meter_key)
        # The clock raises silences, too, whatever has been evaluated; their onset says where they belong.
        known = newest is not None and alarm.alarm_id is not None and alarm.check != "meter_silent"
        return known and alarm.alarm_id > newest  # type: ignore[operator] # neither is None where `known`

    def refutes_last(self, alarm: Alarm) -> bool:
        """Tell whether an alarm's last occurrence, where no episode supports it, never was."""
        from_us = self.refutes_from((alarm.meter_key, alarm.check))
        if from_us is None:
            return False
        # One of no length was cleared because nothing showed it.
        reaches = self.whole and (alarm.until_us > from_us or alarm.until_us == alarm.onset_us)
        return alarm.onset_us >= from_us or reaches or self.refutes(alarm)

    def was_known(self, meter_key: int, event_us: int) -> bool:
        """Tell whether a moment of a meter's time had been evaluated before."""
        return event_us <= self.known_us.get(meter_key, event_us - 1)
