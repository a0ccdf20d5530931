"""pandas: grouped shifts, and a grouped rolling window over time."""

from __future__ import annotations

import numpy as np
import pandas as pd

from bench.analytics.peers.common import (
    FAIL,
    FAIL_LOW,
    FLAT_S,
    FLAT_TOLERANCE,
    GOOD,
    LIMITS,
    LOW,
    MISSING,
    SUSPECT,
    UNKNOWN,
    Columns,
    main,
)  # fmt: skip

Built = tuple[pd.DataFrame, dict[str, np.ndarray]]


def build(columns: Columns) -> Built:
    """Make the table."""
    table = pd.DataFrame(
        {
            "meter": columns["meter"],
            "time": columns["time_us"].astype("datetime64[us]"),
            "value": columns["value"],
        }
    )
    return table, {name: columns[name] for name in LIMITS}


def graded(size: pd.Series, limit: np.ndarray, fail: np.ndarray) -> np.ndarray:
    """Compare with two limits; NaN is unknown."""
    found = [size.isna(), size > fail, size > limit]
    flags: np.ndarray = np.select(found, [UNKNOWN, FAIL, SUSPECT], default=GOOD)
    return flags.astype(np.uint8)


def judge(built: Built) -> list[np.ndarray]:
    """Run the five checks; those that look at neighbours on the readings with a value."""
    table, limits = built
    meter, value = table["meter"].to_numpy(), table["value"]
    limit = {name: values[meter] for name, values in limits.items()}
    gap = table.groupby("meter")["time"].diff() / pd.Timedelta(microseconds=1)
    wide = [
        value.isna(),
        (value > limit["fail_high"]) | (value < FAIL_LOW),
        (value > limit["high"]) | (value < LOW),
    ]
    samples = table[value.notna()]
    own = {name: values[samples["meter"].to_numpy()] for name, values in limits.items()}
    by_meter = samples.groupby("meter")
    rate = by_meter["value"].diff().abs() / by_meter["time"].diff().dt.total_seconds()
    off = (samples["value"] - (by_meter["value"].shift(1) + by_meter["value"].shift(-1)) / 2).abs()
    window = by_meter.rolling(f"{FLAT_S}s", on="time", closed="both")["value"]
    extent = (window.max() - window.min()).to_numpy()
    known = samples["time"] - table.groupby("meter")["time"].transform("first")[samples.index]
    flat = (extent <= FLAT_TOLERANCE) & (known >= pd.Timedelta(seconds=FLAT_S)).to_numpy()

    def on_all(flags: np.ndarray) -> np.ndarray:
        out = np.full(len(table), MISSING, dtype=np.uint8)
        out[samples.index] = flags
        return out

    return [
        np.select(wide, [MISSING, FAIL, SUSPECT], default=GOOD).astype(np.uint8),
        on_all(graded(rate, own["rate"], own["fail_rate"])),
        on_all(graded(off, own["spike"], own["fail_spike"])),
        on_all(np.where(flat, SUSPECT, GOOD).astype(np.uint8)),
        np.select([gap.isna(), gap > limit["gap_us"]], [UNKNOWN, SUSPECT], default=GOOD).astype(np.uint8),
    ]


if __name__ == "__main__":
    main("pandas", pd.__version__, build, judge)
