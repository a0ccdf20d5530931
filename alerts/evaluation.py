"""A cycle's evaluation: which readings, from which states, and for what that speaks.

Meters are taken in parts. While the checks judge one of them, the database reads the next one: its
states, and with what they say its readings.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Future
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from alerts.alarms.scope import Scope
from alerts.carried import ask_states, decode_states
from alerts.checkpoints import Kept
from alerts.clock import DUE_CHECKS
from alerts.ladder import NO_BORDER, border_rung
from alerts.line import Orders
from alerts.pieces import Told, evaluate_again, tell, with_untouched
from alerts.work import Claim, Plan, ask_going_on, blocks, plan_cycle
from analytics.pipeline import evaluate
from analytics.usage.evaluate import SLOW_CHECKS
from fleet.checks import BY_CODE
from fleet.meter_table import MeterTable
from fleet.readings import ABSENT, ReadingBatch
from storage.database import Transaction

#: Checks of which readings evaluated again are the whole truth.
_READING_CHECKS = frozenset(BY_CODE) - DUE_CHECKS - frozenset(SLOW_CHECKS)
#: They show every silence that is over, too.
_REFUTABLE = _READING_CHECKS | {"meter_silent"}


@dataclass(slots=True, eq=False)
class Evaluated:
    """What the checks said of the meters of a plan."""

    #: As after the last reading, in the order of the plan's meters.
    state: NDArray[np.void]
    readings: int = 0
    told: list[Told] = field(default_factory=list)
    #: States to keep that were passed by in what was evaluated again.
    kept: list[Kept] = field(default_factory=list)
    #: Meter number -> the first reading that was evaluated again, microseconds since 1970.
    first_us: dict[int, int] = field(default_factory=dict)
    #: Rung under which the state carried before is worth keeping, shape (k,).
    rung: NDArray[np.int16] = field(default_factory=lambda: np.empty(0, dtype=np.int16))


@dataclass(frozen=True, slots=True)
class Sizes:
    """What is held in memory at once, give or take one meter."""

    #: States of so many meters stay near the processor.
    meters: int = 8_192
    #: Of what is evaluated again.
    readings: int = 500_000


@dataclass(frozen=True, slots=True, eq=False)
class Part:
    """Some of a claim's meters: what to read of them, and what is on its way."""

    claimed: Claim
    plan: Plan
    meters: MeterTable
    going_on: Future[bytes] | None


def parts_of(
    transaction: Transaction, orders: Orders, claimed: Claim, meters: MeterTable, size: int
) -> Iterator[Part]:
    """Plan a claim's meters part by part, in their order; each is yielded when the next one is being read."""
    ahead: Part | None = None
    for part in _planned(transaction, orders, claimed, meters, size):
        if ahead is not None:
            yield ahead
        ahead = part
    if ahead is not None:
        yield ahead


def _planned(
    transaction: Transaction, orders: Orders, claimed: Claim, meters: MeterTable, size: int
) -> Iterator[Part]:
    tables = [meters.take(slice(at, at + size)) for at in range(0, len(meters), size)]
    coming = [orders.later(ask_states, transaction, table.meter_key) for table in tables[:1]]
    for number, table in enumerate(tables):
        if number + 1 < len(tables):
            coming.append(orders.later(ask_states, transaction, tables[number + 1].meter_key))
        carried = decode_states(table.meter_key, coming.pop(0).result())
        mine = claimed.of(table.meter_key)
        plan = plan_cycle(transaction, orders, mine, carried)
        yield Part(mine, plan, table, ask_going_on(transaction, orders, plan))


def evaluate_part(
    transaction: Transaction,
    orders: Orders,
    part_: Part,
    most_readings: int,
    each: Callable[[ReadingBatch], None],
) -> Evaluated:
    """Run the checks on the readings of a part, block by block; `each` is handed every block, too."""
    plan, meters = part_.plan, part_.meters
    done = Evaluated(plan.state)
    for part, readings in blocks(transaction, orders, plan, part_.going_on, most_readings):
        whole = len(part) == len(plan)
        again, state = bool(plan.again[part[0]]), plan.state if whole else plan.state[part]
        if again:
            told, done.state[part], kept = evaluate_again(readings, meters.take(part), state)
            done.kept += kept
            keys, first = np.unique(readings.meter_key, return_index=True)
            times = readings.device_time_us[first].tolist()
            done.first_us |= dict(zip(keys.tolist(), times, strict=True))
        else:
            mine = meters if whole else meters.take(part)
            result = evaluate(readings, mine, state)
            told = with_untouched(tell(readings, result), mine, result.state)
            if whole:
                done.state = result.state
            else:
                done.state[part] = result.state
        each(readings)
        done.told.append(told)
        done.readings += len(readings)
    done.rung = border_rung(plan.meter_keys, plan.after_us, done.state["last_time_us"])
    # What is evaluated again starts at a state that is kept already, or at none.
    done.rung[plan.again | (plan.after_us == ABSENT)] = NO_BORDER
    return done


def scope_of(plan: Plan, done: Evaluated) -> Scope:
    """Say for what the evaluation of a plan speaks: for nothing before the states it started from."""
    rows = np.flatnonzero(plan.again)
    keys = plan.meter_keys[rows].tolist()
    from_checkpoint = (plan.after_us[rows] != ABSENT).tolist()
    after_us = plan.after_us[rows].tolist()
    numbers = plan.last_alarm_id[rows].tolist()
    since_us = dict(done.first_us)
    alarm_ids = {}
    for key, checkpoint, after, number in zip(keys, from_checkpoint, after_us, numbers, strict=True):
        if checkpoint:
            since_us[key], alarm_ids[key] = after + 1, number
    return Scope(
        meters=frozenset(keys),
        checks=_READING_CHECKS,
        history=True,
        refutable=_REFUTABLE,
        since_us=since_us,
        last_alarm_id=alarm_ids,
        known_us=dict(zip(keys, plan.known_us[rows].tolist(), strict=True)),
        arrived_us=dict(zip(keys, done.state["last_received_us"][rows].tolist(), strict=True)),
    )
