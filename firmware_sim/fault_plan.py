"""Which meter gets which fault, when, and how strong."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

import numpy as np

from firmware_sim.fault_specs import EXPECTED, Lasts, Spec
from firmware_sim.faults import LOCAL, Fault, InjectedFault, Level, Stage

#: What a meter is given: the kind of its fault and the level.
Given = tuple[Fault, Level]


def plan_fault(
    given: Given, meter_id: str, interval_s: int, stage: Stage, rng: np.random.Generator
) -> InjectedFault:
    """Place a fault in a history and choose its strength."""
    fault, level = given
    spec = EXPECTED[fault]
    strength = float(rng.uniform(*spec.at(level)))
    strength = round(strength) if spec.lasts is Lasts.SAMPLES else round(strength, 3)
    starts_at = stage.start if spec.lasts is Lasts.ALWAYS else _noon(spec, stage, rng)
    ends_at = min(starts_at + _duration(spec, strength, interval_s, stage), stage.end)
    decidable_at = (ends_at if spec.told_at_end else starts_at) + _needed(spec, interval_s)
    return InjectedFault(
        meter_id=meter_id,
        fault=fault,
        level=level,
        starts_at=starts_at,
        ends_at=ends_at,
        decidable_at=min(decidable_at, stage.end),
        strength=strength,
    )


def assign_faults(
    count: int,
    share: float,
    turns: Sequence[Given],
    can_have: Callable[[int, Fault], bool],
    rng: np.random.Generator,
) -> dict[int, Given]:
    """Give `share` of the meters one fault each, `turns` in turn; meter's place -> fault and level."""
    waiting = [int(place) for place in rng.permutation(count)]
    given: dict[int, Given] = {}
    for turn in range(round(count * share)):
        fault, level = turns[turn % len(turns)]
        place = next((at for at in waiting if can_have(at, fault)), None)
        if place is not None:
            waiting.remove(place)
            given[place] = (fault, level)
    return given


def _needed(spec: Spec, interval_s: int) -> timedelta:
    """Give how long the check's rule needs, from the beginning of the fault."""
    return timedelta(hours=max(spec.decidable_h, spec.decidable_intervals * interval_s / 3600))


def _duration(spec: Spec, strength: float, interval_s: int, stage: Stage) -> timedelta:
    whole = stage.span
    return {
        Lasts.SAMPLE: timedelta(seconds=interval_s),
        Lasts.SAMPLES: timedelta(seconds=interval_s * strength),
        Lasts.HOURS: timedelta(hours=spec.hours),
        Lasts.DAYS: timedelta(days=strength) if spec.lasts is Lasts.DAYS else whole,
        Lasts.TIMES: _needed(spec, interval_s) * strength if spec.lasts is Lasts.TIMES else whole,
        Lasts.ON: whole,
        Lasts.ALWAYS: whole,
    }[spec.lasts]


def _noon(spec: Spec, stage: Stage, rng: np.random.Generator) -> datetime:
    """Choose a local noon, when everybody burns gas, in the part of the history where it may begin."""
    first, last = (stage.start + stage.span * share for share in spec.begins)
    wanted = first + (last - first) * rng.uniform() + LOCAL
    noon = wanted.replace(hour=12, minute=0, second=0, microsecond=0) - LOCAL
    while noon < first:
        noon += timedelta(days=1)
    while noon > last:
        noon -= timedelta(days=1)
    return noon
