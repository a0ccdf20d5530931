"""Has a meter fallen silent? No data is not "no flow": nothing is concluded about the gas."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from analytics.block import US_PER_S, Block, Check, Verdict
from analytics.episodes import ONGOING_US, Episodes
from analytics.kernels.graded import time_gap
from analytics.silence_limit import silent_limit_origin, silent_limit_us
from fleet.checks import BY_CODE
from fleet.flags import Flag
from fleet.meter_table import MeterTable
from fleet.policies import Origin
from fleet.readings import ABSENT

_SILENT = BY_CODE["meter_silent"].number
#: Between two messages of a meter that is sending what it has stored.
_TALKING_US = 5 * US_PER_S


def check_silence(block: Block) -> Verdict:
    """Flag the frame that ends a silence SUSPECT.

    Silence is a time between consecutive frames of any kind (a dropout frame is a frame) longer
    than `silent_after_intervals` of the meter's interval, and never shorter than
    `silent_after_at_least_s`. Onset: the last frame plus that limit; end: the frame that came;
    value: the time without a frame, s. A silence that goes on is found by `silent_now`.
    """
    seg, time_us = block.seg, block.time_us
    carried_us = block.state["last_time_us"]
    quiet_us = seg.rises(time_us, carried_us)
    flags = np.full(len(seg), Flag.GOOD, dtype=np.uint8)
    unheard = seg.starts[carried_us[seg.meters] == ABSENT]
    flags[unheard] = Flag.UNKNOWN
    quiet_us[unheard] = 0
    late = time_gap(quiet_us, seg.borders, block.silent_limit_us[seg.meters]).at
    flags[late] = Flag.SUSPECT
    episodes = []
    if len(late):
        meter, before_us = seg.meter_of(late), time_us[late] - quiet_us[late]
        limit_us = block.silent_limit_us[meter]
        episodes.append(_episodes(block.meters, meter, before_us, limit_us, time_us[late], time_us[late]))
    received_us = np.maximum.reduceat(block.readings.received_us, seg.starts)
    return Verdict(
        flags={"meter_silent": flags},
        episodes=episodes,
        state={
            "last_time_us": seg.closing(time_us, block.state["last_time_us"]),
            "last_received_us": np.maximum(received_us, block.state["last_received_us"]),
            "silent_limit_us": block.silent_limit_us,
        },
    )


def silent_now(meters: MeterTable, state: NDArray[np.void], horizon_us: NDArray[np.int64]) -> Episodes:
    """Find meters that are silent up to a horizon: the time up to which their data must have come.

    A meter that was never heard is skipped: it was not put to work yet.
    """
    last_us, limit_us = state["last_time_us"], silent_limit_us(meters)
    rows = np.flatnonzero((last_us != ABSENT) & (horizon_us - last_us > limit_us))
    ends = np.full(len(rows), ONGOING_US)
    return _episodes(meters, rows, last_us[rows], limit_us[rows], ends, horizon_us[rows])


def silence_horizon_us(
    now_us: int, state: NDArray[np.void], newest_us: int = ABSENT, alive_since_us: int = ABSENT
) -> NDArray[np.int64]:
    """Estimate up to which device time each meter's data must have arrived, shape (m,).

    The newest device time in the fleet, but never later than `now_us`: while a backlog is worked
    off, everybody is as late as it is. Where nothing was received from a meter for longer than
    its silence limit it is `now_us`, for no backlog explains that. Where something came within the
    last seconds it is that meter's own newest time: who talks is not silent, however old the news.
    So it is where our own way from broker to database was interrupted for longer than the meter's
    limit, until it has been whole again for as long.

    Parameters
    ----------
    now_us
        The present, microseconds since 1970 UTC.
    state
        Shape (m,), the carried state of some meters of the fleet.
    newest_us
        The newest device time in the fleet, where others than these meters are known.
    alive_since_us
        Since when the way from broker to database is whole; ABSENT where nobody can tell.

    """
    last_us = state["last_time_us"]
    heard = last_us != ABSENT
    newest_us = max(newest_us, int(last_us.max(initial=ABSENT)))
    horizon_us = np.full(len(state), now_us if newest_us == ABSENT else min(now_us, newest_us))
    waited_us = now_us - state["last_received_us"]
    horizon_us[heard & (waited_us > state["silent_limit_us"])] = now_us
    talking = heard & (waited_us <= _TALKING_US)
    limit_us = state["silent_limit_us"]
    interrupted = (alive_since_us != ABSENT) & (alive_since_us - state["last_received_us"] > limit_us)
    unproven = heard & interrupted & (now_us - alive_since_us <= limit_us)
    horizon_us[talking | unproven] = np.minimum(horizon_us, last_us)[talking | unproven]
    return horizon_us


def _episodes(
    meters: MeterTable,
    row: NDArray[np.intp],
    last_us: NDArray[np.int64],
    limit_us: NDArray[np.int64],
    ended_us: NDArray[np.int64],
    until_us: NDArray[np.int64],
) -> Episodes:
    return Episodes.build(
        meter_key=meters.meter_key[row],
        check=_SILENT,
        flag=Flag.SUSPECT,
        part=0,
        started_us=last_us + limit_us,
        ended_us=ended_us,
        readings=0,
        value=(until_us - last_us) / US_PER_S,
        limit=limit_us / US_PER_S,
        origin=silent_limit_origin(meters)[row] if len(row) else Origin.NONE,
    )


CHECK = Check(
    codes=("meter_silent",),
    run=check_silence,
    carries=(
        # The last frame of any kind.
        ("last_time_us", "i8"),
        ("last_received_us", "i8"),
        # Longer than this without a frame is silence; 0 before the first frame.
        ("silent_limit_us", "i8"),
    ),
)
