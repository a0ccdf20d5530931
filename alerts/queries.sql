-- work_claim --
-- Takes the oldest work that no other engine holds: each meter, its earliest new reading and its latest one;
-- each column as one run of bytes. Work that does not say how far it reaches is meant to reach everything.
COPY (
    WITH claimed AS MATERIALIZED (
        SELECT dirty_work_id, meter_keys, since, until FROM dirty_work
        ORDER BY dirty_work_id LIMIT %(limit)s FOR UPDATE SKIP LOCKED
    ), item AS (
        SELECT work.meter_key, min(work.since) AS since,
            max(coalesce(work.until, timestamptz 'epoch' + %(far_us)s * interval '1 microsecond')) AS until
        FROM claimed, unnest(claimed.meter_keys, claimed.since, claimed.until) AS work (meter_key, since, until)
        GROUP BY work.meter_key ORDER BY work.meter_key
    )
    SELECT (SELECT string_agg(int8send(dirty_work_id), ''::bytea) FROM claimed),
        string_agg(int4send(meter_key), ''::bytea), string_agg(timestamptz_send(since), ''::bytea),
        string_agg(timestamptz_send(until), ''::bytea)
    FROM item
) TO STDOUT (FORMAT binary)

-- work_done --
-- Removes work in the transaction that did it.
DELETE FROM dirty_work WHERE dirty_work_id = ANY(%(claimed)s)

-- work_oldest --
-- Tells how much work waits, and since when.
SELECT count(*) AS waiting, min(created_at) AS oldest_at FROM dirty_work

-- meter_versions --
-- Tells of some meters when each was changed last, and which versions of the policies are valid; each
-- column as one run of bytes.
COPY (
    SELECT string_agg(int4send(meter_key), ''::bytea), string_agg(timestamptz_send(updated_at), ''::bytea),
        (SELECT string_agg(int8send(policy_id), ''::bytea) FROM (
            SELECT DISTINCT ON (company) policy_id FROM policy
            WHERE valid_from <= coalesce(%(now)s::timestamptz, transaction_timestamp())
            ORDER BY company, valid_from DESC, policy_id DESC
        ) AS valid)
    FROM (
        SELECT meter_key, updated_at FROM meter WHERE meter_key = ANY(%(meter_keys)s) ORDER BY meter_key
    ) AS wanted
) TO STDOUT (FORMAT binary)

-- meters_by_timezone --
-- Lists every meter under its company's time zone.
SELECT company.timezone, array_agg(meter.meter_key ORDER BY meter.meter_key) AS meter_keys
FROM meter JOIN company ON company.code = meter.company
GROUP BY company.timezone ORDER BY company.timezone

-- timezones --
-- Lists the time zones that companies live in.
SELECT DISTINCT timezone FROM company ORDER BY timezone

-- registry_version --
-- Changes whenever a meter was added or edited.
SELECT count(*) AS meters, max(updated_at) AS updated_at FROM meter

-- states_copy_out --
-- Reads what the checks carry of some meters, each column as one run of bytes; a state that this
-- program cannot read is left blank.
COPY (
    SELECT string_agg(int4send(meter_key), ''::bytea), string_agg(timestamptz_send(evaluated_through), ''::bytea),
        string_agg(int2send((layout = %(layout)s)::integer::smallint), ''::bytea),
        string_agg(int4send(CASE WHEN layout = %(layout)s THEN length(state) ELSE 0 END), ''::bytea),
        string_agg(CASE WHEN layout = %(layout)s THEN state ELSE ''::bytea END, ''::bytea)
    FROM meter_state WHERE meter_key = ANY(%(meter_keys)s)
) TO STDOUT (FORMAT binary)

-- states_stage_table --
-- Makes this connection's table for new states, emptied by each commit.
CREATE TEMPORARY TABLE IF NOT EXISTS meter_state_new (
    meter_key integer, evaluated_through timestamptz, last_received_at timestamptz, state bytea
) ON COMMIT DELETE ROWS

-- states_stage_copy_in --
-- Takes new states in, in the order of the meters.
COPY meter_state_new FROM STDIN (FORMAT binary)

-- states_stage_empty --
-- Makes room for more states of the same transaction.
TRUNCATE meter_state_new

-- states_save --
-- Writes what the checks carry. The rows come as they were taken in, so in the order of the meters, and
-- engines do not deadlock; to sort them would write them all to disk.
INSERT INTO meter_state (meter_key, evaluated_through, last_received_at, layout, state)
SELECT meter_key, evaluated_through, last_received_at, %(layout)s, state FROM meter_state_new
ON CONFLICT (meter_key) DO UPDATE
SET evaluated_through = excluded.evaluated_through, last_received_at = excluded.last_received_at,
    layout = excluded.layout, state = excluded.state

-- checkpoints_newest --
-- Reads each meter's newest checkpoint strictly before a moment, all rows in one.
SELECT array_agg(meter_key ORDER BY meter_key) AS meter_keys,
    array_agg((extract(epoch FROM through) * 1000000)::bigint ORDER BY meter_key) AS through_us,
    array_agg(last_alarm_id ORDER BY meter_key) AS last_alarm_ids,
    array_agg(length(state) ORDER BY meter_key) AS lengths,
    string_agg(state, ''::bytea ORDER BY meter_key) AS states
FROM (
    SELECT DISTINCT ON (checkpoint.meter_key) checkpoint.*
    FROM unnest(%(meter_keys)s::integer[], %(before_us)s::bigint[]) AS wanted (meter_key, before_us)
    JOIN meter_checkpoint AS checkpoint ON checkpoint.meter_key = wanted.meter_key
    WHERE checkpoint.layout = %(layout)s
        AND checkpoint.through < timestamptz 'epoch' + wanted.before_us * interval '1 microsecond'
    ORDER BY checkpoint.meter_key, checkpoint.through DESC
) AS newest

-- checkpoints_drop --
-- Removes checkpoints that a late reading made wrong, and those that no program can read any more.
DELETE FROM meter_checkpoint AS checkpoint
USING unnest(%(meter_keys)s::integer[], %(since_us)s::bigint[]) AS late (meter_key, since_us)
WHERE checkpoint.meter_key = late.meter_key
    AND (checkpoint.layout <> %(layout)s
        OR checkpoint.through >= timestamptz 'epoch' + late.since_us * interval '1 microsecond')

-- checkpoints_copy --
-- Keeps what the checks carry of some meters, over the older one of the two of its rung. The sum makes
-- the planner look up the meter's alarms, not walk all alarms from the newest one.
INSERT INTO meter_checkpoint (meter_key, slot, through, last_alarm_id, layout, state)
SELECT carried.meter_key, coalesce((
        SELECT slot # 1 FROM meter_checkpoint AS old
        WHERE old.meter_key = carried.meter_key AND old.slot / 2 = new.rung
        ORDER BY old.through DESC LIMIT 1
    ), 2 * new.rung),
    carried.evaluated_through,
    coalesce((SELECT max(alarm_id + 0) FROM alarm WHERE alarm.meter_key = carried.meter_key), 0),
    carried.layout, carried.state
FROM unnest(%(meter_keys)s::integer[], %(rungs)s::smallint[]) AS new (meter_key, rung)
JOIN meter_state AS carried ON carried.meter_key = new.meter_key
ORDER BY carried.meter_key
ON CONFLICT (meter_key, slot) DO UPDATE
SET through = excluded.through, last_alarm_id = excluded.last_alarm_id, layout = excluded.layout,
    state = excluded.state

-- checkpoints_save --
-- Keeps states of one length that an evaluation passed by, each over the older one of the two of its rung.
INSERT INTO meter_checkpoint (meter_key, slot, through, last_alarm_id, layout, state)
SELECT new.meter_key, coalesce((
        SELECT slot # 1 FROM meter_checkpoint AS old
        WHERE old.meter_key = new.meter_key AND old.slot / 2 = new.rung
        ORDER BY old.through DESC LIMIT 1
    ), 2 * new.rung),
    timestamptz 'epoch' + new.through_us * interval '1 microsecond',
    coalesce((SELECT max(alarm_id + 0) FROM alarm WHERE alarm.meter_key = new.meter_key), 0),
    %(layout)s, substring(%(states)s::bytea FROM ((new.at - 1) * %(width)s + 1)::integer FOR %(width)s)
FROM unnest(%(meter_keys)s::integer[], %(rungs)s::smallint[], %(through_us)s::bigint[])
    WITH ORDINALITY AS new (meter_key, rung, through_us, at)
ORDER BY new.meter_key
ON CONFLICT (meter_key, slot) DO UPDATE
SET through = excluded.through, last_alarm_id = excluded.last_alarm_id, layout = excluded.layout,
    state = excluded.state

-- newest_note --
-- Notes the newest device time that this connection evaluated, in a row that hardly ever is another's, too.
INSERT INTO evaluated_newest (slot, evaluated_through)
VALUES (pg_backend_pid() %% 1024, timestamptz 'epoch' + %(newest_us)s * interval '1 microsecond')
ON CONFLICT (slot) DO UPDATE SET evaluated_through = excluded.evaluated_through
WHERE evaluated_newest.evaluated_through < excluded.evaluated_through

-- fleet_newest --
-- Tells the newest device time evaluated in the whole fleet, and since when work waits.
SELECT (SELECT max(evaluated_through) FROM evaluated_newest) AS newest_at,
    (SELECT min(created_at) FROM dirty_work) AS waiting_since

-- ingest_heartbeats --
-- Reads what each ingest process last said of itself.
SELECT instance, started_at, beat_at, figures FROM service_heartbeat WHERE service = 'ingest'

-- gaps_open --
-- Lists meters with holes in their sequence that are older than a limit.
SELECT gap.meter_key, min(gap.found_at) AS found_at,
    least(sum(gap.seq_to::numeric - gap.seq_from + 1), 9007199254740992)::bigint AS missing
FROM sequence_gap AS gap
JOIN unnest(%(meter_keys)s::integer[], %(open_after_s)s::bigint[])
    AS wanted (meter_key, open_after_s) ON wanted.meter_key = gap.meter_key
WHERE gap.found_at <= %(now)s - wanted.open_after_s * interval '1 second'
GROUP BY gap.meter_key ORDER BY gap.meter_key

-- readings_count --
-- Counts the readings that each meter has strictly between two moments.
SELECT array_agg(readings ORDER BY at) AS readings
FROM (
    SELECT wanted.at, (
        SELECT count(*) FROM reading WHERE reading.meter_key = wanted.meter_key
            AND reading.device_time > timestamptz 'epoch' + wanted.after_us * interval '1 microsecond'
            AND reading.device_time < timestamptz 'epoch' + wanted.before_us * interval '1 microsecond'
    ) AS readings
    FROM unnest(%(meter_keys)s::integer[], %(after_us)s::bigint[], %(before_us)s::bigint[])
        WITH ORDINALITY AS wanted (meter_key, after_us, before_us, at)
) AS counted

-- readings_copy_out --
-- Reads each meter's readings strictly between two moments; the sort inside keeps it an index scan.
COPY (
    SELECT found.*
    FROM unnest(%(meter_keys)s::integer[], %(after_us)s::bigint[], %(before_us)s::bigint[])
        AS wanted (meter_key, after_us, before_us),
        LATERAL (
            SELECT {columns} FROM reading
            WHERE reading.meter_key = wanted.meter_key
                AND device_time > timestamptz 'epoch' + wanted.after_us * interval '1 microsecond'
                AND device_time < timestamptz 'epoch' + wanted.before_us * interval '1 microsecond'
            ORDER BY device_time, seq
        ) AS found
) TO STDOUT (FORMAT binary)

-- clock_lock --
-- Becomes, until the transaction ends, the one engine that looks at the clock.
SELECT pg_try_advisory_xact_lock(7064706) AS taken

-- heartbeat --
-- Says that the engine lives, and its figures.
INSERT INTO service_heartbeat (service, instance, started_at, beat_at, figures)
VALUES ('engine', '', %(started_at)s, %(now)s, %(figures)s::jsonb)
ON CONFLICT (service, instance) DO UPDATE
SET started_at = excluded.started_at, beat_at = excluded.beat_at, figures = excluded.figures
