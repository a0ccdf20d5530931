"""Does the corrector correct? Its standard volume against pressure, temperature and working volume."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from analytics.block import Floats
from analytics.usage.compressibility import correction_factor
from analytics.usage.grid import Grid, sum_by
from analytics.usage.openings import Moves, Rows
from analytics.usage.verdict import DayFlags, Judged, flags, judge_days
from analytics.usage.windows import past

CODE = "correction_mismatch"

LOOKBACK_DAYS = 3
#: Steps of the register that a day's volume must have, so that a step at either end is no mismatch.
_LEAST_STEPS = 20


def check_correction(grid: Grid, judged: range) -> DayFlags:
    """Flag days on which the standard register does not move as pressure and temperature demand.

    Rule. For each stretch between registers, of one hour as a rule, V_b = V (P / P_b) (T_b / T)
    (Z_b / Z) with the means of P and T of the hour that begins the stretch, and again with those of the
    hour that ends it; summed over a day that gives a range, for pressure falls while a burner runs. It
    is held against what the standard register moved: SUSPECT if on this day and the two before that
    lies outside of the range, on the same side, by more than `correction_mismatch_share` and two register
    steps; FAIL above
    `correction_mismatch_fail_share`. Looks back `LOOKBACK_DAYS`.

    MISSING where the meter reports no standard register, no pressure or no temperature; UNKNOWN with
    less than 20 register steps of gas in the day, or where the two registers show the same number: such
    a device does not correct. A day before an exchange does not count.

    Returns
    -------
    DayFlags
        Shapes (m, j). Value: the difference over the expected volume; limit: the share. Onset: the
        midnight of the first of the three days. A day within its range has value 0.

    Notes
    -----
    Base conditions and the rule: see `compressibility`. P, T and flow are not taken at one moment,
    for which the domain allows 2 to 3 % with persistence.

    """
    meters = grid.meters
    off, slack = _daily(grid)
    limit = np.broadcast_to(meters.limit(lambda p: p.correction_mismatch_share), len(meters))

    def judge(day: int) -> Judged:
        days = past(off, grid.era, day, 0, LOOKBACK_DAYS - 1)
        least = limit[:, None] + past(slack, grid.era, day, 0, LOOKBACK_DAYS - 1)
        bad = np.abs(days) > least
        one_side = np.abs(np.sign(days).sum(axis=1)) == LOOKBACK_DAYS
        undecided = bad[:, -1] & np.isnan(days).any(axis=1)
        flag = flags(
            missing=np.isnan(slack[:, day]),
            unknown=np.isnan(off[:, day]) | undecided,
            suspect=bad.all(axis=1) & one_side,
            fail=np.abs(days).min(axis=1) > meters.limit(lambda p: p.correction_mismatch_fail_share),
        )
        since = np.full(len(limit), max(day - LOOKBACK_DAYS + 1, 0))
        return Judged(flag, np.abs(off[:, day]), limit, since)

    return judge_days(CODE, judge, grid.calendar, judged, meters.origin_of("correction_mismatch_share"))


def _daily(grid: Grid) -> tuple[Floats, Floats]:
    """Give each day's relative difference, and what two register steps are of its volume.

    The first is NaN where it cannot be judged, the second where something is not reported.
    """
    working, standard = grid.moves
    one, other = _matched(grid, working, standard)
    row, hour = working.row[one], working.before[one]
    day = grid.calendar.day_of_hour[hour]
    factors = np.stack([_factor(grid, row, hour), _factor(grid, row, working.after[one])])
    moved, moved_std = working.moved_m3[one], standard.moved_m3[other]
    near = grid.calendar.day_of_hour[working.after[one]] <= day + 1
    use = np.flatnonzero(near & ~np.isnan(factors[0] + moved + moved_std))
    sums = [
        sum_by(row[use], day[use], values[use], grid.volume_m3.shape)
        for values in (
            moved,
            moved * np.fmin.reduce(factors),
            moved * np.fmax.reduce(factors),
            moved_std,
            np.ones(len(moved)),
        )
    ]
    volume, low, high, shown, stretches = sums
    step = grid.meters.register_step_m3[:, None]
    with np.errstate(divide="ignore", invalid="ignore"):
        slack = np.where(stretches > 0, 2 * step / np.fmax(volume, step), np.nan)
        outside = np.where(shown > high, shown / high - 1.0, np.where(shown < low, shown / low - 1.0, 0.0))
    off = np.where(volume >= _LEAST_STEPS * step, outside, np.nan)
    off[_uncorrected(grid)] = np.nan
    return off, slack


def _matched(grid: Grid, working: Moves, standard: Moves) -> tuple[Rows, Rows]:
    """Pair the stretches of the two registers that begin and end in the same hours."""
    keys = [m.row * grid.calendar.hours + m.before for m in (working, standard)]
    if len(keys[1]) == 0:
        return np.empty(0, np.intp), np.empty(0, np.intp)
    at = np.minimum(np.searchsorted(keys[1], keys[0]), len(keys[1]) - 1)
    same = (keys[1][at] == keys[0]) & (standard.after[at] == working.after)
    one = np.flatnonzero(same)
    return one, at[one]


def _factor(grid: Grid, row: Rows, hour: Rows) -> Floats:
    """Give the correction factor in the hour in which each stretch begins; NaN without P or T."""
    rollups = grid.rollups
    if len(rollups) == 0:
        return np.empty(0)
    keys = grid.row * grid.calendar.hours + grid.hour
    wanted = row * grid.calendar.hours + hour
    at = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
    # A stretch that the reading of an hour before opens has no row of its own.
    at = np.where(keys[at] == wanted, at, np.maximum(at - 1, 0))
    near = (keys[at] == wanted) | (keys[at] == wanted - 1)
    with np.errstate(divide="ignore", invalid="ignore"):
        pressure = rollups.pressure_sum[at] / rollups.pressure_n[at]
        temperature = rollups.temperature_sum[at] / rollups.temperature_n[at]
    out = np.full(len(row), np.nan)
    for gas, meters in _by_gas(grid):
        mine = meters[row] & near
        out[mine] = correction_factor(pressure[mine], temperature[mine], gas)
    return out


def _by_gas(grid: Grid) -> list[tuple[Mapping[str, float], NDArray[np.bool_]]]:
    """Group the meters by the gas of their policy."""
    meters = grid.meters
    return [
        (resolved.policy.gas_composition, meters.policy_row == number)
        for number, resolved in enumerate(meters.policies)
    ]


def _uncorrected(grid: Grid) -> NDArray[np.bool_]:
    """Mark days on which a meter's two registers show the same, shape (m, D)."""
    rollups = grid.rollups
    apart = np.abs(rollups.register_first - rollups.std_register_first)
    same = apart < grid.meters.register_step_m3[grid.row]
    return grid.per_day(same.astype(np.float64)) > 0


def standard_per_m3(grid: Grid) -> Floats:
    """Tell how many standard m³ a working m³ was on each day, shape (m, D).

    1 on a day on which neither register moved; NaN on one without both registers.
    """
    working, standard = grid.moves
    one, other = _matched(grid, working, standard)
    days = grid.calendar.day_of_hour
    near = days[working.after[one]] <= days[working.before[one]] + 1
    one, other = one[near], other[near]
    row, day = working.row[one], days[working.before[one]]
    shape = grid.volume_m3.shape
    moved = sum_by(row, day, working.moved_m3[one], shape)
    moved_std = sum_by(row, day, standard.moved_m3[other], shape)
    seen = sum_by(row, day, np.ones(len(row)), shape) > 0
    ratio = np.divide(moved_std, moved, out=np.ones(shape), where=moved != 0)
    return np.where(seen, ratio, np.nan)
