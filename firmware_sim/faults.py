"""The faults that can be injected, what each must cause, and their placing in a history."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import IntEnum

import numpy as np

from firmware_sim.load import LOCAL_OFFSET_US

_LOCAL = timedelta(microseconds=LOCAL_OFFSET_US)
#: A history has to hold this much for every fault to find its place.
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


@dataclass(frozen=True, slots=True)
class Expectation:
    """What a fault must cause: its own check, and others that cannot help but follow."""

    check: str | None
    side_effects: tuple[str, ...] = ()
    #: "roots" or "prepaid" where only such meters can have the fault.
    needs: str | None = None


EXPECTED: dict[Fault, Expectation] = {
    Fault.OVER_RANGE_BURST: Expectation("flow_over_range"),
    Fault.OVER_RANGE_LONG: Expectation("flow_over_range_sustained", ("flow_over_range",)),
    Fault.UNDER_RANGE: Expectation("flow_under_range"),
    Fault.BATTERY_LOW: Expectation("battery_low", ("status_reported",)),
    Fault.BATTERY_OVERDUE: Expectation("battery_overdue"),
    Fault.OIL_OVERDUE_DAYS: Expectation("oil_overdue", needs="roots"),
    Fault.OIL_OVERDUE_VOLUME: Expectation("oil_overdue", needs="roots"),
    Fault.OIL_DUE_SOON: Expectation("oil_due_soon", needs="roots"),
    Fault.BALANCE_LOW: Expectation("balance_low", needs="prepaid"),
    Fault.BALANCE_EXHAUSTED: Expectation("balance_exhausted", ("balance_low",), needs="prepaid"),
    Fault.SILENCE: Expectation("meter_silent"),
    Fault.DROPOUT_FRAME: Expectation("dropout_frame", needs="roots"),
    Fault.DUPLICATE: Expectation(None),
    Fault.LATE_BATCH: Expectation(None),
    Fault.REGISTER_STALLED: Expectation("register_stalled"),
    Fault.REGISTER_REVERSED: Expectation("register_reversed"),
    Fault.SENSOR_GLITCH: Expectation("sensor_glitch", needs="roots"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class InjectedFault:
    """One fault of one meter, and the alarm that it must cause."""

    meter_id: str
    fault: Fault
    starts_at: datetime
    #: First moment without the fault; the end of the history where it stays.
    ends_at: datetime
    #: Flow over Qmax or Qmin, volts, readings, m³; what it means depends on the fault.
    strength: float

    @property
    def check(self) -> str | None:
        """The check that must find the fault; None where nothing may be found."""
        return EXPECTED[self.fault].check

    @property
    def checks(self) -> tuple[str, ...]:
        """Every check that the fault trips."""
        expected = EXPECTED[self.fault]
        return () if expected.check is None else (expected.check, *expected.side_effects)


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
        return (self.end + _LOCAL).date()


#: Strength of a fault: drawn evenly between two numbers.
_STRENGTH: dict[Fault, tuple[float, float]] = {
    Fault.OVER_RANGE_BURST: (1.05, 1.35),
    Fault.OVER_RANGE_LONG: (1.1, 1.4),
    Fault.UNDER_RANGE: (0.3, 0.7),
    Fault.BATTERY_LOW: (0.0, 1.0),
    Fault.DROPOUT_FRAME: (1.0, 3.0),
    Fault.DUPLICATE: (4.0, 9.0),
    Fault.LATE_BATCH: (3.0, 3.0),
    Fault.REGISTER_STALLED: (0.3, 0.5),
    # More than two intervals can bring back, else it looks like one misread sample.
    Fault.REGISTER_REVERSED: (3.0, 6.0),
    Fault.SENSOR_GLITCH: (55.0, 70.0),
}
_WHOLE = (Fault.DROPOUT_FRAME, Fault.DUPLICATE, Fault.LATE_BATCH)
_LASTING = (
    Fault.BATTERY_LOW,
    Fault.BALANCE_LOW,
    Fault.SILENCE,
    Fault.REGISTER_REVERSED,
)
#: Service is due or not due by today's date and register: what passes within a history could be
#: seen on its way or not, so these are there from the beginning.
_FROM_THE_START = (
    Fault.BATTERY_OVERDUE,
    Fault.OIL_OVERDUE_DAYS,
    Fault.OIL_OVERDUE_VOLUME,
    Fault.OIL_DUE_SOON,
)
_HOURS: dict[Fault, float] = {
    Fault.OVER_RANGE_LONG: 4.0,
    Fault.UNDER_RANGE: 8.0,
    Fault.BALANCE_EXHAUSTED: 9.0,
    Fault.REGISTER_STALLED: 5.0,
}


def plan_fault(
    fault: Fault, meter_id: str, interval_s: int, stage: Stage, rng: np.random.Generator
) -> InjectedFault:
    """Place a fault in a history and choose its strength."""
    low, high = _STRENGTH.get(fault, (1.0, 1.0))
    strength = float(rng.uniform(low, high))
    strength = round(strength) if fault in _WHOLE else round(strength, 3)
    starts_at = stage.start if fault in _FROM_THE_START else _noon(stage, rng)
    if fault in _FROM_THE_START or fault in _LASTING:
        ends_at = stage.end
    elif fault in _HOURS:
        ends_at = starts_at + timedelta(hours=_HOURS[fault])
    else:
        ends_at = starts_at + timedelta(seconds=interval_s) * (strength if fault in _WHOLE else 1)
    return InjectedFault(
        meter_id=meter_id, fault=fault, starts_at=starts_at, ends_at=ends_at, strength=strength
    )


def _noon(stage: Stage, rng: np.random.Generator) -> datetime:
    """Choose a local noon, when everybody burns gas, between 15 and 70 % of the history."""
    wanted = stage.start + stage.span * rng.uniform(0.15, 0.7) + _LOCAL
    noon = wanted.replace(hour=12, minute=0, second=0, microsecond=0) - _LOCAL
    while noon < stage.start + stage.span * 0.15:
        noon += timedelta(days=1)
    while noon > stage.start + stage.span * 0.7:
        noon -= timedelta(days=1)
    return noon


def assign_faults(
    count: int, share: float, can_have: Callable[[int, Fault], bool], rng: np.random.Generator
) -> dict[int, Fault]:
    """Give `share` of the meters one fault each, every kind in turn; meter's place -> fault."""
    waiting = [int(place) for place in rng.permutation(count)]
    given: dict[int, Fault] = {}
    kinds = list(EXPECTED)
    for turn in range(round(count * share)):
        fault = kinds[turn % len(kinds)]
        place = next((at for at in waiting if can_have(at, fault)), None)
        if place is not None:
            waiting.remove(place)
            given[place] = fault
    return given
