"""The nouns of injected faults: kinds, levels, the history they lie in, and one fault of one meter."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import IntEnum

from firmware_sim.load import LOCAL_OFFSET_US

LOCAL = timedelta(microseconds=LOCAL_OFFSET_US)
#: A history has to hold this much for every fault of the everyday mix to find its place.
SHORTEST_HISTORY = timedelta(days=2)


class Fault(IntEnum):
    """What is wrong with a meter; a meter has one fault at most."""

    NONE = 0
    OVER_RANGE_BURST = 1
    OVER_RANGE_LONG = 2
    UNDER_RANGE = 3
    BATTERY_LOW = 4
    BATTERY_OVERDUE = 5
    OIL_OVERDUE_DAYS = 6
    OIL_OVERDUE_VOLUME = 7
    OIL_DUE_SOON = 8
    BALANCE_LOW = 9
    BALANCE_EXHAUSTED = 10
    SILENCE = 11
    DROPOUT_FRAME = 12
    DUPLICATE = 13
    LATE_BATCH = 14
    REGISTER_STALLED = 15
    REGISTER_REVERSED = 16
    SENSOR_GLITCH = 17
    FLOW_SPIKE = 18
    FLOW_RATE = 19
    FLOW_STUCK = 20
    REGISTER_JUMP = 21
    REGISTER_GLITCH = 22
    METER_EXCHANGED = 23
    METER_EXCHANGED_UNTOLD = 24
    BATTERY_CRITICAL = 25
    BATTERY_DECAY = 26
    VALVE_LEAK = 27
    FLOW_NO_BALANCE = 28
    BALANCE_FROZEN = 29
    PRICE_WRONG = 30
    DAYS_TO_ZERO = 31
    REGISTER_STALLED_PAID = 32
    LOW_RECEPTION = 33
    CLOCK_AHEAD = 34
    CLOCK_BEHIND = 35
    STATUS = 36
    LOW_OIL = 37
    SMALL_LEAK = 38
    NIGHT_FLOW = 39
    USAGE_UP = 40
    USAGE_DOWN = 41
    OVERSIZED = 42
    UNDERSIZED = 43
    PRESSURE_DRIFT = 44
    STUCK = 45
    SMALL_LEAK_RESTLESS = 46


class Level(IntEnum):
    """How strong a fault is; only what is nominal or strong is promised to be found."""

    WEAK = 0
    NOMINAL = 1
    STRONG = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class InjectedFault:
    """One fault of one meter."""

    meter_id: str
    fault: Fault
    level: Level = Level.NOMINAL
    starts_at: datetime
    #: First moment without the fault; the end of the history where it stays.
    ends_at: datetime
    #: The first moment at which the check's own rule, followed to the letter, can tell.
    decidable_at: datetime
    #: Flow over Qmax or Qmin, volts, readings, m³; what it means depends on the fault.
    strength: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """The history in which a fault has to find its place."""

    start: datetime
    end: datetime

    def __post_init__(self) -> None:
        if self.end - self.start < SHORTEST_HISTORY:
            msg = f"a history of {self.end - self.start} is too short for faults: at least 2 days"
            raise ValueError(msg)

    @property
    def span(self) -> timedelta:
        """How long the history is."""
        return self.end - self.start

    @property
    def last_day(self) -> date:
        """The local day on which the history ends."""
        return (self.end + LOCAL).date()
