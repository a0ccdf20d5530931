"""Polars, one thread: columns shifted over the whole table, the flat line by `rolling`."""

from __future__ import annotations

import os

os.environ["POLARS_MAX_THREADS"] = "1"

import numpy as np
import polars as pl

from bench.analytics.peers.common import (
    CHECKS,
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

Built = tuple[pl.DataFrame, dict[str, pl.Series]]


def build(columns: Columns) -> Built:
    """Make the table, with null where a value is missing, and the limits in the order of the meters."""
    table = pl.DataFrame(
        {
            "meter": columns["meter"],
            "time": pl.Series(columns["time_us"]).cast(pl.Datetime("us")),
            "value": pl.Series(columns["value"], nan_to_null=True),
        }
    )
    return table, {name: pl.Series(columns[name]) for name in LIMITS}


def flag(value: int) -> pl.Expr:
    return pl.lit(value, dtype=pl.UInt8)


def graded(size: pl.Expr, limit: pl.Expr, fail: pl.Expr) -> pl.Expr:
    """Compare with two limits; null is unknown."""
    return (
        pl.when(size > fail).then(flag(FAIL)).when(size > limit).then(flag(SUSPECT))
        .when(size.is_null()).then(flag(UNKNOWN)).otherwise(flag(GOOD))
    )  # fmt: skip


def judge(built: Built) -> list[np.ndarray]:
    """Run the five checks in one query."""
    table, limits = built
    meter, time, value = pl.col("meter"), pl.col("time"), pl.col("value")
    limit = {name: pl.lit(series).gather(meter) for name, series in limits.items()}
    # The last sample before and the next one after, whatever is missing in between.
    has = value.is_not_null()
    before, before_us = value.forward_fill().shift(1), pl.when(has).then(time).forward_fill().shift(1)
    before_meter = pl.when(has).then(meter).forward_fill().shift(1)
    after, after_meter = value.backward_fill().shift(-1), pl.when(has).then(meter).backward_fill().shift(-1)
    elapsed_s = (time - before_us).dt.total_microseconds() / 1e6
    rate = pl.when(before_meter == meter).then((value - before).abs() / elapsed_s)
    off = pl.when((before_meter == meter) & (after_meter == meter)).then((value - (before + after) / 2).abs())
    gap_us = pl.when(meter.shift(1) == meter).then((time - time.shift(1)).dt.total_microseconds())
    window = table.rolling("time", period=f"{FLAT_S}s", closed="both", group_by="meter").agg(
        (value.max() - value.min()).alias("range")
    )
    first = pl.when(meter.shift(1).ne_missing(meter) | (time.cum_count() == 1)).then(time).forward_fill()
    known = (time - first) >= pl.duration(seconds=FLAT_S)

    def missing_or(expression: pl.Expr) -> pl.Expr:
        return pl.when(value.is_null()).then(flag(MISSING)).otherwise(expression)

    out = table.lazy().with_columns(window["range"]).select(
        missing_or(
            pl.when((value > limit["fail_high"]) | (value < FAIL_LOW)).then(flag(FAIL))
            .when((value > limit["high"]) | (value < LOW)).then(flag(SUSPECT)).otherwise(flag(GOOD))
        ).alias("gross_range"),
        missing_or(graded(rate, limit["rate"], limit["fail_rate"])).alias("rate_of_change"),
        missing_or(graded(off, limit["spike"], limit["fail_spike"])).alias("spike"),
        missing_or(
            pl.when(known & (pl.col("range") <= FLAT_TOLERANCE)).then(flag(SUSPECT)).otherwise(flag(GOOD))
        ).alias("flat_line"),
        pl.when(gap_us > limit["gap_us"]).then(flag(SUSPECT)).when(gap_us.is_null()).then(flag(UNKNOWN))
        .otherwise(flag(GOOD)).alias("time_gap"),
    ).collect()  # fmt: skip
    return [out[check].to_numpy() for check in CHECKS]


if __name__ == "__main__":
    main("polars", pl.__version__, build, judge)
