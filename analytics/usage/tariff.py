"""What a cubic metre costs on a day: one price, or the steps of the tariff that was valid then."""

from __future__ import annotations

from datetime import date

import numpy as np

from analytics.block import Floats
from analytics.usage.grid import Grid
from analytics.usage.windows import past
from fleet.limits import day_number
from fleet.policy import Policy


def given_prices(grid: Grid) -> list[Floats]:
    """List the steps of each meter's prices by day, each of shape (m, D); NaN where there is none.

    The first is the price where there is one only: 1 for a balance in m³, else the policy's `tariff`
    of that day, and before its first day `price_per_m3`.
    """
    meters = grid.meters
    policies = [resolved.policy for resolved in meters.policies]
    most = max([1, *(len(steps) for policy in policies for steps in policy.tariff.values())])
    days = grid.calendar.day_number.astype(np.float64)
    by_policy = np.array([_by_day(policy, days, most) for policy in policies])
    prices = by_policy.reshape(len(policies), most, len(days))[meters.policy_row]
    prices[meters.balance_in_gas] = np.nan
    prices[meters.balance_in_gas, 0] = 1.0
    return [prices[:, step] for step in range(most)]


def _by_day(policy: Policy, days: Floats, most: int) -> Floats:
    """Give the steps of a policy's prices, shape (most, D)."""
    out = np.full((most, len(days)), np.nan)
    out[0] = policy.price_per_m3
    for first, steps in sorted(policy.tariff.items()):
        since = days >= day_number(date.fromisoformat(first))
        padded = [*steps, *[np.nan] * (most - len(steps))]
        out[:, since] = np.array(padded)[:, None]
    return out


def week_prices(grid: Grid, steps: list[Floats], day: int, spent: Floats, volume_m3: Floats) -> Floats:
    """Choose what each of the last days cost, shape (m, d), from what it lost and measured, likewise.

    Which step a customer has reached is what he used this month or year, which no look-back holds:
    each day counts at the step that is nearest to what it lost. Where a balance is settled now and
    then a day's loss is another day's gas; what that makes of the step is less than the largest day, by
    which such a week may differ anyhow.
    """
    some = np.stack([past(step, grid.era, day, 0, spent.shape[1] - 1) for step in steps])
    if len(some) == 1:
        return np.asarray(some[0], dtype=np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        off = np.abs(spent / volume_m3 - some)
    nearest = np.argmin(np.where(np.isnan(off), np.inf, off), axis=0)
    chosen: Floats = np.take_along_axis(some, nearest[None], axis=0)[0]
    return chosen
