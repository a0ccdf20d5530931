"""ioos_qc, meter by meter, for its functions know one series and one limit."""

from __future__ import annotations

from importlib.metadata import version

import numpy as np
from ioos_qc import qartod

from bench.analytics.peers.common import FAIL_LOW, FLAT_S, FLAT_TOLERANCE, LOW, Columns, main


def build(columns: Columns) -> Columns:
    """Give times a form that it takes."""
    return columns | {"time": columns["time_us"].astype("datetime64[us]").astype("datetime64[ns]")}


def judge(columns: Columns) -> list[np.ndarray]:
    """Run the five tests on each meter in turn."""
    flags = np.empty((5, len(columns["meter"])), dtype=np.uint8)
    starts = np.flatnonzero(np.diff(columns["meter"], prepend=-1))
    for start, stop in zip(starts, np.append(starts[1:], len(columns["meter"])), strict=True):
        here, meter = slice(start, stop), columns["meter"][start]
        judge_meter(columns["value"][here], columns["time"][here], limits_of(columns, meter), flags[:, here])
    return list(flags)


def limits_of(columns: Columns, meter: int) -> dict[str, float]:
    """Give one meter's limits."""
    names = ("high", "fail_high", "rate", "fail_rate", "spike", "fail_spike", "gap_us")
    return {name: columns[name][meter] for name in names}


def judge_meter(value: np.ndarray, time: np.ndarray, limits: dict[str, float], out: np.ndarray) -> None:
    """Run the five tests on one series."""
    with np.errstate(divide="ignore", invalid="ignore"):
        out[0] = qartod.gross_range_test(
            value, fail_span=(FAIL_LOW, limits["fail_high"]), suspect_span=(LOW, limits["high"])
        )
        out[1] = qartod.rate_of_change_test(value, time, limits["rate"], limits["fail_rate"])
        out[2] = qartod.spike_test(value, limits["spike"], limits["fail_spike"])
        # It wants a second window; one longer than the series costs next to nothing.
        out[3] = qartod.flat_line_test(value, time, FLAT_S, 10**9, FLAT_TOLERANCE)
        out[4] = qartod.time_gap_test(time, limits["gap_us"] / 3.6e9)


if __name__ == "__main__":
    main("ioos_qc", version("ioos_qc"), build, judge)
