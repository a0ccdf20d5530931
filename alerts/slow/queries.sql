-- slow_claim --
-- Takes meters whose day is over, or that have to be judged again, and that nobody else holds: each with
-- the day through which it can be judged. Left out are meters with readings up to then that are not
-- evaluated or not rolled up; one that is sending what it had stored is judged as far as it has come.
WITH unfinished AS MATERIALIZED (
    SELECT meter_key, min(since) AS since
    FROM (
        SELECT touched.meter_key, touched.hour AS since
        FROM rollup_work, unnest(rollup_work.meter_keys, rollup_work.hours) AS touched (meter_key, hour)
        UNION ALL
        SELECT new.meter_key, new.since
        FROM dirty_work, unnest(dirty_work.meter_keys, dirty_work.since) AS new (meter_key, since)
    ) AS waiting
    GROUP BY meter_key
)
SELECT known.meter_key, zone.timezone, known.slow_settled - date 'epoch' AS settled,
    known.slow_again - date 'epoch' AS again, reach.through,
    (extract(epoch FROM state.last_received_at) * 1000000)::bigint AS received_us
FROM rollup_meter AS known
JOIN meter ON meter.meter_key = known.meter_key
JOIN company ON company.code = meter.company
JOIN unnest(%(timezones)s::text[], %(yesterdays)s::integer[], %(midnights_us)s::bigint[])
    AS zone (timezone, yesterday, midnight_us) ON zone.timezone = company.timezone
LEFT JOIN meter_state AS state ON state.meter_key = known.meter_key
CROSS JOIN LATERAL (
    SELECT timestamptz 'epoch' + zone.midnight_us * interval '1 microsecond' AS midnight
) AS today
CROSS JOIN LATERAL (
    SELECT CASE WHEN state.last_received_at > %(sending_since)s AND state.evaluated_through < today.midnight
        THEN least(zone.yesterday, (state.evaluated_through AT TIME ZONE zone.timezone)::date - date 'epoch' - 1)
        ELSE zone.yesterday END AS through
) AS reach
WHERE (known.slow_settled IS NULL OR known.slow_again IS NOT NULL
        OR known.slow_settled < date 'epoch' + %(newest)s - 1)
    AND (known.slow_settled < date 'epoch' + reach.through - 1
        OR (known.slow_again IS NOT NULL AND known.slow_settled < date 'epoch' + reach.through)
        OR (known.slow_settled IS NULL
            AND coalesce(known.slow_again, '-infinity') < date 'epoch' + reach.through))
    AND NOT EXISTS (
        SELECT FROM unfinished WHERE unfinished.meter_key = known.meter_key AND unfinished.since < today.midnight
    )
LIMIT %(limit)s FOR UPDATE OF known SKIP LOCKED

-- slow_waiting --
-- Counts the meters whose last day is not judged yet, and those to be judged again.
SELECT count(*) AS waiting
FROM rollup_meter AS known
JOIN meter ON meter.meter_key = known.meter_key
JOIN company ON company.code = meter.company
JOIN unnest(%(timezones)s::text[], %(yesterdays)s::integer[]) AS zone (timezone, yesterday)
    ON zone.timezone = company.timezone
WHERE (known.slow_settled IS NULL OR known.slow_again IS NOT NULL
        OR known.slow_settled < date 'epoch' + %(newest)s - 1)
    AND (known.slow_settled < date 'epoch' + zone.yesterday - 1
        OR (known.slow_settled IS NOT NULL AND known.slow_again IS NOT NULL)
        OR (known.slow_settled IS NULL
            AND coalesce(known.slow_again, '-infinity') < date 'epoch' + zone.yesterday))

-- slow_states_copy_out --
-- Reads each meter's newest state of before a day; one that this program cannot read is none.
COPY (
    SELECT DISTINCT ON (kept.meter_key) kept.meter_key, kept.through - date 'epoch',
        coalesce(kept.open, %(blank)s::bytea)
    FROM unnest(%(meter_keys)s::integer[], %(before)s::integer[]) AS wanted (meter_key, before)
    JOIN slow_state AS kept ON kept.meter_key = wanted.meter_key
    WHERE kept.through < date 'epoch' + wanted.before AND kept.layout = %(layout)s
        AND (kept.open IS NULL OR length(kept.open) = length(%(blank)s::bytea))
    ORDER BY kept.meter_key, kept.through DESC
) TO STDOUT (FORMAT binary)

-- slow_first_hours --
-- Tells when the first stored hour of some meters began; one without any is left out.
SELECT array_agg(wanted.meter_key ORDER BY wanted.meter_key) AS meter_keys,
    array_agg((extract(epoch FROM found.begin_at) * 1000000)::bigint ORDER BY wanted.meter_key) AS begin_us
FROM unnest(%(meter_keys)s::integer[]) AS wanted (meter_key),
    LATERAL (
        SELECT begin_at FROM reading_hour WHERE reading_hour.meter_key = wanted.meter_key
        ORDER BY begin_at LIMIT 1
    ) AS found

-- slow_settle --
-- Notes how far meters are judged; what had to be judged again is.
UPDATE rollup_meter AS known
SET slow_settled = date 'epoch' + done.settled, slow_again = NULL
FROM unnest(%(meter_keys)s::integer[], %(settled)s::integer[]) AS done (meter_key, settled)
WHERE known.meter_key = done.meter_key

-- slow_states_drop --
-- Removes states that were judged anew, and those that are no longer worth keeping.
DELETE FROM slow_state AS kept
USING unnest(%(meter_keys)s::integer[], %(from)s::integer[], %(settled)s::integer[])
    AS done (meter_key, from_day, settled)
WHERE kept.meter_key = done.meter_key
    AND (kept.through >= date 'epoch' + done.from_day OR kept.layout <> %(layout)s
        OR kept.through <= date 'epoch' + done.settled - %(weeks_for_days)s
        OR (kept.through <= date 'epoch' + done.settled - %(days)s
            AND (kept.through - date 'epoch') %% 7 <> 0))

-- slow_states_save --
-- Keeps what was open at the end of days; `at` counts from 1 in `states`, and is 0 where nothing was.
INSERT INTO slow_state (meter_key, through, layout, open)
SELECT new.meter_key, date 'epoch' + new.through, %(layout)s,
    CASE WHEN new.at > 0
        THEN substring(%(states)s::bytea FROM ((new.at - 1) * %(width)s + 1)::integer FOR %(width)s) END
FROM unnest(%(meter_keys)s::integer[], %(through)s::integer[], %(at)s::integer[])
    AS new (meter_key, through, at)
ORDER BY new.meter_key, new.through
ON CONFLICT (meter_key, through) DO NOTHING
