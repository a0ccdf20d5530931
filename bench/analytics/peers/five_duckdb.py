"""DuckDB, one thread: one statement with window functions."""

from __future__ import annotations

import duckdb
import numpy as np

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

_STATEMENT = f"""
WITH seen AS (
    SELECT nth, meter, time_us, value,
        time_us - lag(time_us) OVER meter AS gap_us,
        lag(value IGNORE NULLS) OVER meter AS before,
        lag(CASE WHEN value IS NOT NULL THEN time_us END IGNORE NULLS) OVER meter AS before_us,
        lead(value IGNORE NULLS) OVER meter AS after,
        first_value(time_us) OVER meter AS first_us,
        max(value) OVER last_hours - min(value) OVER last_hours AS extent
    FROM reading
    WINDOW meter AS (PARTITION BY meter ORDER BY time_us, nth),
        last_hours AS (
            PARTITION BY meter ORDER BY time_us RANGE BETWEEN {FLAT_S * 1_000_000} PRECEDING AND CURRENT ROW
        )
), measured AS (
    SELECT nth, value, gap_us, extent, time_us - first_us >= {FLAT_S * 1_000_000} AS known,
        abs(value - before) / ((time_us - before_us) / 1e6) AS pace, abs(value - (before + after) / 2) AS off,
        limits.* EXCLUDE (meter)
    FROM seen JOIN limits USING (meter)
)
SELECT
    CASE WHEN value IS NULL THEN {MISSING} WHEN value > fail_high OR value < {FAIL_LOW} THEN {FAIL}
        WHEN value > high OR value < {LOW} THEN {SUSPECT} ELSE {GOOD} END::UTINYINT AS gross_range,
    CASE WHEN value IS NULL THEN {MISSING} WHEN pace IS NULL THEN {UNKNOWN} WHEN pace > fail_rate THEN {FAIL}
        WHEN pace > rate THEN {SUSPECT} ELSE {GOOD} END::UTINYINT AS rate_of_change,
    CASE WHEN value IS NULL THEN {MISSING} WHEN off IS NULL THEN {UNKNOWN} WHEN off > fail_spike THEN {FAIL}
        WHEN off > spike THEN {SUSPECT} ELSE {GOOD} END::UTINYINT AS spike,
    CASE WHEN value IS NULL THEN {MISSING} WHEN known AND extent <= {FLAT_TOLERANCE} THEN {SUSPECT}
        ELSE {GOOD} END::UTINYINT AS flat_line,
    CASE WHEN gap_us IS NULL THEN {UNKNOWN} WHEN gap_us > limit_us THEN {SUSPECT}
        ELSE {GOOD} END::UTINYINT AS time_gap
FROM measured ORDER BY nth
"""


def build(columns: Columns) -> duckdb.DuckDBPyConnection:
    """Load the tables; null where a value is missing."""
    connection = duckdb.connect(config={"threads": 1})
    given = {name: columns[name] for name in ("meter", "time_us", "value")}
    limits = {name: columns[name] for name in LIMITS if name != "gap_us"}
    limits |= {"limit_us": columns["gap_us"], "meter": np.arange(len(columns["gap_us"]), dtype=np.int32)}
    given["nth"] = np.arange(len(given["meter"]))
    connection.register("given", given)
    connection.register("given_limits", limits)
    connection.execute(
        "CREATE TABLE reading AS"
        " SELECT nth, meter, time_us, CASE WHEN NOT isnan(value) THEN value END AS value FROM given"
    )
    connection.execute("CREATE TABLE limits AS SELECT * FROM given_limits")
    return connection


def judge(connection: duckdb.DuckDBPyConnection) -> list[np.ndarray]:
    """Run the statement."""
    found = connection.execute(_STATEMENT).fetchnumpy()
    return [found[check] for check in CHECKS]


if __name__ == "__main__":
    main("duckdb", duckdb.__version__, build, judge)
