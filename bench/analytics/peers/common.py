"""What the peers' programs have in common: load, warm up, take the time, hand over. Needs NumPy alone.

Each is called as PROGRAM DIRECTORY: the columns lie there, `NAME.npy` each; the flags go there as
`flags_LIBRARY.npy`, shape (5, n), and what was measured is one line of JSON.

The five checks are those of `analytics/kernels/`, in its order: range, rate of change, spike, flat line by
time, time gap; each with limits per meter but the flat line's. Two things are left simpler, to their
advantage: the flat line is the range of the last three hours and a meter known for as long, not of all
since the sample before these, and SUSPECT alone; and nobody looks for two readings of one time.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

Columns = dict[str, Any]

READING = ("meter", "time_us", "value")
LIMITS = ("high", "fail_high", "rate", "fail_rate", "spike", "fail_spike", "gap_us")
LOW, FAIL_LOW = 0.0, -1.0
FLAT_S, FLAT_TOLERANCE = 3 * 3600, 0.05
GOOD, UNKNOWN, SUSPECT, FAIL, MISSING = 1, 2, 3, 4, 9
CHECKS = ("gross_range", "rate_of_change", "spike", "flat_line", "time_gap")
_WARM_UP = 20_000


def main(name: str, version: str, build: Callable[[Columns], Any], judge: Callable[[Any], Any]) -> None:
    """Measure `judge` on what `build` makes of the columns, which is not timed, once it is warm.

    The time is the processor's, of all threads. `judge` gives a sequence of five columns of flags.
    """
    directory = Path(sys.argv[1])
    columns = {column: np.load(directory / f"{column}.npy") for column in READING + LIMITS}
    judge(build(columns | {column: columns[column][:_WARM_UP] for column in READING}))
    built = build(columns)
    before = time.process_time()
    flags = judge(built)
    took_s = time.process_time() - before
    np.save(directory / f"flags_{name}.npy", np.stack([np.asarray(flag, dtype=np.uint8) for flag in flags]))
    print(json.dumps({"seconds": took_s, "version": version}))
