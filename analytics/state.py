"""What the checks carry of each meter from one run to the next."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from analytics.tracking import OPEN_DTYPE, nothing_open
from fleet.readings import ABSENT

#: Version of `STATE_DTYPE`; a stored state of another version is worthless.
STATE_LAYOUT = 2

#: Checks, or parts of checks, that have episodes of their own going on.
TRACKED = (
    "dropout_frame",
    "glitch_temperature",
    "glitch_volume",
    "glitch_std_volume",
    "flow_over_range",
    "flow_over_range_sustained",
    "flow_under_range",
    "reversed_volume",
    "reversed_std_volume",
    "register_stalled",
    "idle_or_stuck",
    "balance_low",
    "balance_exhausted",
    "battery1_low",
    "battery2_low",
)

_SERIES = (
    # The last sample, which may still wait for the next one to be judged, and the one before it.
    ("tail_us", "i8"),
    ("tail_seq", "i8"),
    ("tail", "f8"),
    ("before_us", "i8"),
    ("before", "f8"),
    # Whether the sample before the last was a spike, and whether the last one is spoken of.
    ("after_spike", "?"),
    ("spoken", "?"),
    # The last sample that neither fell nor leapt.
    ("steady", "f8"),
)

#: Times are device times, microseconds since 1970 UTC, ABSENT where there is none; values NaN.
STATE_DTYPE = np.dtype(
    [
        # The last frame of any kind.
        ("last_time_us", "i8"),
        ("last_received_us", "i8"),
        # Longer than this without a frame is silence; 0 before the first frame.
        ("silent_limit_us", "i8"),
        # Whether a register was ever above 0.
        ("in_use", "?"),
        ("temperature_tail_us", "i8"),
        ("temperature_tail_seq", "i8"),
        ("temperature_tail", "f8"),
        ("temperature_before", "f8"),
        *((f"{name}_{field}", kind) for name in ("volume", "std_volume") for field, kind in _SERIES),
        # The last anchor of the register mean; whether the register leapt or fell since.
        ("anchor_us", "i8"),
        ("anchor", "f8"),
        ("anchor_broken", "?"),
        # The last snapshot, whether it was under range, and since when.
        ("under_last_us", "i8"),
        ("under", "?"),
        ("under_since_us", "i8"),
        # The last snapshot beside a register, whether it was above zero, since when so without
        # movement of the register, and the smallest such snapshot.
        ("stalled_last_us", "i8"),
        ("flowing", "?"),
        ("stalled_since_us", "i8"),
        ("stalled_flow", "f8"),
        # The last sign of use.
        ("active_us", "i8"),
        # The last report of each battery.
        ("battery1_us", "i8"),
        ("battery1", "f8"),
        ("battery2_us", "i8"),
        ("battery2", "f8"),
        # Since when the working register is past each share of the oil's interval.
        ("oil_soon_us", "i8"),
        ("oil_over_us", "i8"),
        *((name, OPEN_DTYPE) for name in TRACKED),
    ]
)


def initial_state(n: int) -> NDArray[np.void]:
    """Make the state of n meters that nothing was heard of."""
    state = np.zeros(n, dtype=STATE_DTYPE)
    for name in STATE_DTYPE.names or ():
        if name in TRACKED:
            state[name] = nothing_open(n)
        elif STATE_DTYPE[name] == np.float64:
            state[name] = np.nan
        elif name.endswith(("_us", "_seq")) and name != "silent_limit_us":
            state[name] = ABSENT
    return state
