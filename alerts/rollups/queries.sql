-- rollup_work_leave --
-- Leaves pairs of a meter and an hour of UTC (counted since 1970) whose readings changed, so many in a row.
INSERT INTO rollup_work (created_at, meter_keys, hours)
SELECT %(now)s, array_agg(meter_key ORDER BY at), array_agg(timestamptz 'epoch' + hour * interval '1 hour' ORDER BY at)
FROM unnest(%(meter_keys)s::integer[], %(hours)s::bigint[]) WITH ORDINALITY AS touched (meter_key, hour, at)
GROUP BY (at - 1) / %(pairs_per_row)s ORDER BY (at - 1) / %(pairs_per_row)s

-- rollup_work_claim --
-- Takes the oldest work that nobody else holds, up to about so many pairs; each pair once.
WITH held AS MATERIALIZED (
    SELECT rollup_work_id, meter_keys, hours FROM rollup_work
    ORDER BY rollup_work_id LIMIT %(rows)s FOR UPDATE SKIP LOCKED
), counted AS (
    SELECT held.*, sum(cardinality(meter_keys)) OVER (ORDER BY rollup_work_id) - cardinality(meter_keys) AS before
    FROM held
), claimed AS (
    SELECT * FROM counted WHERE before < %(pairs)s
), touched AS (
    SELECT DISTINCT pair.meter_key, pair.hour
    FROM claimed, unnest(claimed.meter_keys, claimed.hours) AS pair (meter_key, hour)
)
SELECT (SELECT array_agg(rollup_work_id) FROM claimed) AS ids,
    array_agg(meter_key ORDER BY meter_key, hour) AS meter_keys,
    array_agg((extract(epoch FROM hour) * 1000000)::bigint ORDER BY meter_key, hour) AS hours_us
FROM touched

-- rollup_work_done --
-- Removes work in the transaction that did it.
DELETE FROM rollup_work WHERE rollup_work_id = ANY(%(claimed)s)

-- rollup_work_oldest --
-- Tells how much work waits, and since when.
SELECT count(*) AS waiting, min(created_at) AS oldest_at FROM rollup_work

-- rollup_zones --
-- Lists some meters under their companies' time zones.
SELECT company.timezone, array_agg(meter.meter_key ORDER BY meter.meter_key) AS meter_keys
FROM meter JOIN company ON company.code = meter.company
WHERE meter.meter_key = ANY(%(meter_keys)s)
GROUP BY company.timezone ORDER BY company.timezone

-- rollup_meters --
-- Tells of some meters since when a register was above 0; one that never was is left out.
SELECT array_agg(meter_key ORDER BY meter_key) AS meter_keys,
    array_agg((extract(epoch FROM used_since) * 1000000)::bigint ORDER BY meter_key) AS used_since_us
FROM rollup_meter WHERE meter_key = ANY(%(meter_keys)s) AND used_since IS NOT NULL

-- rollup_meters_write --
-- Writes since when registers were above 0, in the order of the meters so that upkeeps do not deadlock; and
-- where the slow checks have to begin again, because the day before a touched one is judged already.
INSERT INTO rollup_meter AS known (meter_key, used_since, slow_again)
SELECT new.meter_key,
    CASE WHEN new.used_since_us <> %(absent)s
        THEN timestamptz 'epoch' + new.used_since_us * interval '1 microsecond' END,
    date 'epoch' + new.day - 1
FROM unnest(%(meter_keys)s::integer[], %(used_since_us)s::bigint[], %(days)s::integer[])
    AS new (meter_key, used_since_us, day)
ORDER BY new.meter_key
ON CONFLICT (meter_key) DO UPDATE
SET used_since = excluded.used_since,
    slow_again = CASE WHEN excluded.slow_again <= known.slow_settled
        THEN least(known.slow_again, excluded.slow_again) ELSE known.slow_again END

-- rollup_hours_between --
-- Lists the hours that some meters have rows of, after one moment and up to another.
SELECT array_agg(found.meter_key) AS meter_keys,
    array_agg((extract(epoch FROM found.begin_at) * 1000000)::bigint) AS begin_us
FROM unnest(%(meter_keys)s::integer[], %(after_us)s::bigint[], %(through_us)s::bigint[])
        AS wanted (meter_key, after_us, through_us)
    JOIN reading_hour AS found ON found.meter_key = wanted.meter_key
        AND found.begin_at > timestamptz 'epoch' + wanted.after_us * interval '1 microsecond'
        AND found.begin_at <= timestamptz 'epoch' + wanted.through_us * interval '1 microsecond'

-- rollup_copy_out --
-- Reads each meter's rows of a table in [from, to); the sort inside keeps it an index scan.
COPY (
    SELECT found.*
    FROM unnest(%(meter_keys)s::integer[], %(from_us)s::bigint[], %(to_us)s::bigint[])
        AS wanted (meter_key, from_us, to_us),
        LATERAL (
            SELECT {columns} FROM {table} AS source
            WHERE source.meter_key = wanted.meter_key
                AND source.{time} >= timestamptz 'epoch' + wanted.from_us * interval '1 microsecond'
                AND source.{time} < timestamptz 'epoch' + wanted.to_us * interval '1 microsecond'
            ORDER BY source.{time}
        ) AS found
) TO STDOUT (FORMAT binary)

-- rollup_stage_table --
-- Makes a table for this transaction to hold new rows.
CREATE TEMPORARY TABLE rollup_stage (LIKE {table}) ON COMMIT DROP

-- rollup_stage_copy_in --
-- Writes rows into the staging table.
COPY rollup_stage ({columns}) FROM STDIN (FORMAT binary)

-- rollup_from_stage --
-- Puts new rows beside the old ones or in their place; a row that stays as it is is not written.
INSERT INTO {table} AS known ({columns})
SELECT {columns} FROM rollup_stage ORDER BY meter_key, begin_at
ON CONFLICT (meter_key, begin_at) DO UPDATE SET {updates}
WHERE ({known}) IS DISTINCT FROM ({excluded})

-- rollup_stage_drop --
-- Removes the staging table at once, so that one transaction may stage twice.
DROP TABLE rollup_stage

-- rollup_page_copy_out --
-- Reads one meter's rows that begin in [from, to), the oldest of them, as many as asked for.
COPY (
    SELECT {columns} FROM {table}
    WHERE meter_key = %(meter_key)s AND begin_at >= %(from)s AND begin_at < %(to)s
    ORDER BY begin_at LIMIT %(limit)s
) TO STDOUT (FORMAT binary)

-- rollup_next_copy_out --
-- Reads a meter's first row from a moment on with a working register, and the first with a standard one.
COPY (
    (SELECT {columns} FROM {table}
        WHERE meter_key = %(meter_key)s AND begin_at >= %(from)s AND register_first_at IS NOT NULL
        ORDER BY begin_at LIMIT 1)
    UNION
    (SELECT {columns} FROM {table}
        WHERE meter_key = %(meter_key)s AND begin_at >= %(from)s AND std_register_first_at IS NOT NULL
        ORDER BY begin_at LIMIT 1)
) TO STDOUT (FORMAT binary)

-- rollup_registers --
-- Tells whether a meter's working register, and its standard one, were ever above 0.
SELECT EXISTS (
    SELECT FROM reading_day
    WHERE meter_key = %(meter_key)s AND (register_first > 0 OR register_last > 0)
) AS working, EXISTS (
    SELECT FROM reading_day
    WHERE meter_key = %(meter_key)s AND (std_register_first > 0 OR std_register_last > 0)
) AS standard
