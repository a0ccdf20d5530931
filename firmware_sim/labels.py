"""What is really there, and since when: the faults, what follows from them, and what looks like one."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from firmware_sim.delivery import Stretch, bad_days
from firmware_sim.fault_specs import EXPECTED, Spec
from firmware_sim.faults import Fault, InjectedFault, Level
from firmware_sim.population import Population
from fleet.meters import Meter

_DAY_US = 86_400_000_000
_HOUR_US = 3_600_000_000
#: What a fault causes may begin before it (a balance is low before it is gone) and be seen long
#: after it, where a week's use is held against the weeks before.
_BEFORE_US, _AFTER_US, _AFTER_SLOW_US = 2 * _DAY_US, 2 * _DAY_US, 60 * _DAY_US
#: Checks of days and weeks.
_SLOW_CHECKS = frozenset(
    {
        *("usage_shift", "night_flow", "balance_forecast", "battery_forecast", "balance_mismatch"),
        *("meter_oversized", "meter_undersized", "correction_mismatch", "small_continuous_flow"),
        "low_reception",
    }
)
#: A price cannot be wrong before it is known: where nobody states it, the meter's own past has to tell.
_PRICE_KNOWN_AFTER_US = 15 * _DAY_US
#: What is missing for so long is a gap.
_HOLE_OPEN_US = _HOUR_US // 2


class Word(StrEnum):
    """What a label says of findings that overlap it."""

    FAULT = "fault"
    EFFECT = "effect"
    TOLERATED = "tolerated"
    UNDECIDED = "undecided"


@dataclass(frozen=True, slots=True, kw_only=True)
class Label:
    """One stretch of time of one meter; times in microseconds since 1970 UTC."""

    meter_key: int
    check: str
    word: Word
    level: Level = Level.NOMINAL
    from_us: int
    until_us: int
    decidable_us: int
    #: A finding this far outside of [from, until) still speaks of it.
    slack_us: int
    #: The kind of fault, or what else it is.
    cause: str


def labels(population: Population) -> list[Label]:
    """Label everything that a check may rightly speak of; `meter_key` is the place in the population."""
    places = {meter.meter_id: place for place, meter in enumerate(population.meters)}
    found = [
        label
        for fault in population.faults
        for label in _of_fault(
            places[fault.meter_id], population.meters[places[fault.meter_id]], fault, population
        )
    ]
    for place in range(len(population.meters)):
        found += _of_disturbances(place, population)
    return found


def _of_fault(place: int, meter: Meter, fault: InjectedFault, population: Population) -> Iterator[Label]:
    spec = EXPECTED[fault.fault]
    from_us, until_us, decidable_us = (
        round(moment.timestamp() * 1e6) for moment in (fault.starts_at, fault.ends_at, fault.decidable_at)
    )
    if spec.check is not None:
        yield Label(
            meter_key=place,
            check=spec.check,
            word=Word.UNDECIDED if _undecided(fault, spec, meter, population) else Word.FAULT,
            level=fault.level,
            from_us=from_us,
            until_us=until_us,
            decidable_us=decidable_us,
            slack_us=_slack_us(spec, meter),
            cause=fault.fault.name.lower(),
        )
    for word, checks in ((Word.EFFECT, spec.side_effects), (Word.TOLERATED, spec.may)):
        for check in checks:
            after_us = _AFTER_SLOW_US if check in _SLOW_CHECKS else _AFTER_US
            yield Label(
                meter_key=place,
                check=check,
                word=word,
                level=fault.level,
                from_us=from_us - (_AFTER_SLOW_US if check == "balance_forecast" else _BEFORE_US),
                until_us=until_us + after_us,
                decidable_us=from_us,
                slack_us=0,
                cause=fault.fault.name.lower(),
            )


def _slack_us(spec: Spec, meter: Meter) -> int:
    """Give two readings, or two days to a check that judges days."""
    return 2 * _DAY_US if spec.slow else 2 * (meter.interval_s or 0) * 1_000_000 + 60_000_000


def _undecided(fault: InjectedFault, spec: Spec, meter: Meter, population: Population) -> bool:
    """Tell whether nobody can know from telemetry."""
    if fault.fault is Fault.PRICE_WRONG and meter.balance_unit != "m3":
        return (fault.starts_at - population.start).total_seconds() * 1e6 < _PRICE_KNOWN_AFTER_US
    return spec.undecided


def _of_disturbances(place: int, population: Population) -> Iterator[Label]:
    """Label silences of the line and what they swallow, idle seasons, and pilot flames that are lit."""
    device = {name: column[place] for name, column in population.devices.columns.items()}
    start_us, end_us = (round(t.timestamp() * 1e6) for t in (population.start, population.end))
    outages, late = bad_days(population.seed, place, device, start_us, end_us)
    for from_us, until_us in (*outages, *late):
        for check in ("meter_silent", "low_reception"):
            yield _aside(place, check, Word.TOLERATED, from_us, until_us + _DAY_US, "line")
    yield from _of_holes(place, population.meters[place], outages, late, (start_us, end_us))
    if device["loss_share"]:
        yield _aside(place, "data_gap", Word.TOLERATED, start_us, end_us, "line")
    idle_from_us, idle_until_us = int(device["idle_start_us"]), int(device["idle_end_us"])
    if idle_until_us > idle_from_us:
        for check in ("usage_shift", "night_flow", "idle_or_stuck"):
            after_us = 2 * _DAY_US if check == "idle_or_stuck" else _AFTER_SLOW_US
            yield _aside(place, check, Word.UNDECIDED, idle_from_us, idle_until_us + after_us, "idle season")
    if lit_us := int(device["pilot_lit_us"]):
        for check in ("small_continuous_flow", "night_flow", "usage_shift"):
            yield _aside(place, check, Word.UNDECIDED, lit_us, end_us, "pilot lit")
        # Weeks of nothing but a pilot flame say as much of a meter's size as of its customer's season.
        if lit_us < idle_until_us:
            until_us = idle_until_us + _AFTER_SLOW_US
            yield _aside(place, "meter_oversized", Word.UNDECIDED, lit_us, until_us, "pilot lit")


def _of_holes(
    place: int, meter: Meter, outages: list[Stretch], late: list[Stretch], whole: Stretch
) -> Iterator[Label]:
    """Label what outages swallowed for good, and what came hours later than it was missed.

    An outage of a slow reporter may have swallowed nothing. The hole of the first one stays open, so
    those that follow have no finding of their own.
    """
    start_us, end_us = whole
    interval_us = (meter.interval_s or 0) * 1_000_000
    for from_us, until_us in late:
        yield _aside(place, "data_gap", Word.TOLERATED, from_us, until_us + _DAY_US, "line")
    first_us = min((from_us for from_us, _ in outages if from_us >= start_us), default=end_us)
    for from_us, until_us in outages:
        # The next reading tells of it, and half an hour later it is still missing.
        decidable_us = until_us + interval_us + _HOLE_OPEN_US
        inside = from_us == first_us and decidable_us + interval_us < end_us
        sure = inside and 2 * interval_us < until_us - from_us
        yield Label(
            meter_key=place,
            check="data_gap",
            word=Word.FAULT if sure else Word.TOLERATED,
            from_us=from_us,
            until_us=end_us,
            decidable_us=decidable_us,
            slack_us=0,
            cause="outage",
        )


def _aside(place: int, check: str, word: Word, from_us: int, until_us: int, cause: str) -> Label:
    return Label(
        meter_key=place,
        check=check,
        word=word,
        from_us=from_us,
        until_us=until_us,
        decidable_us=from_us,
        slack_us=_HOUR_US,
        cause=cause,
    )
