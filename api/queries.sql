-- read_only --
-- Keeps a request from writing and from running for long.
SET TRANSACTION READ ONLY; SET LOCAL statement_timeout = '10s'

-- heartbeats --
-- Lists the processes of all services, when they beat last, and their figures.
SELECT service, instance, started_at, beat_at, figures FROM service_heartbeat ORDER BY service, instance

-- meters_by_company --
-- Counts the registry for the metrics.
SELECT c.code AS company, count(m.meter_key) AS meters
FROM company c LEFT JOIN meter m ON m.company = c.code GROUP BY c.code ORDER BY c.code

-- open_alarms_by_check --
-- Counts open alarms for the metrics.
SELECT check_code AS check, severity, count(*) AS alarms
FROM alarm WHERE state <> 'closed' GROUP BY check_code, severity

-- tasks_by_state --
-- Counts tasks that are not settled for the metrics; the partial index on due dates carries it.
SELECT kind, state, count(*) AS tasks
FROM task WHERE state NOT IN ('verified', 'cancelled') GROUP BY kind, state

-- backlog --
-- Says how much the engine has before it; rows are few and live for seconds.
SELECT count(*) AS rows, min(created_at) AS oldest_at FROM dirty_work

-- gaps_count --
-- Counts the holes in the sequences of meters.
SELECT count(*) AS gaps FROM sequence_gap

-- meters_list --
-- Lists meters by id after a cursor; `search` looks into id and customer, `silent_before` at last arrival.
SELECT m.*, c.timezone, mc.online, mc.boot, mc.firmware, mc.changed_at AS online_changed_at,
    ms.evaluated_through, ms.last_received_at,
    (SELECT count(*) FROM alarm a WHERE a.meter_key = m.meter_key AND a.state <> 'closed') AS open_alarms
FROM meter m
JOIN company c ON c.code = m.company
LEFT JOIN meter_connection mc USING (meter_key)
LEFT JOIN meter_state ms USING (meter_key)
WHERE (%(after)s::text IS NULL OR m.meter_id > %(after)s)
    AND (%(company)s::text IS NULL OR m.company = %(company)s)
    AND (%(customer)s::text IS NULL OR m.customer = %(customer)s)
    AND (%(search)s::text IS NULL
        OR strpos(lower(m.meter_id), lower(%(search)s)) > 0 OR strpos(lower(m.customer), lower(%(search)s)) > 0)
ORDER BY m.meter_id LIMIT %(limit)s

-- meter_one --
-- Finds a meter by its id.
SELECT m.*, c.timezone, mc.online, mc.boot, mc.firmware, mc.changed_at AS online_changed_at,
    ms.evaluated_through, ms.last_received_at,
    (SELECT count(*) FROM alarm a WHERE a.meter_key = m.meter_key AND a.state <> 'closed') AS open_alarms
FROM meter m
JOIN company c ON c.code = m.company
LEFT JOIN meter_connection mc USING (meter_key)
LEFT JOIN meter_state ms USING (meter_key)
WHERE m.meter_id = %(meter_id)s

-- readings_list --
-- Lists one meter's readings in [from, to) by device time after a cursor; the key's index carries it.
SELECT device_time AS ts, nullif(seq, -1) AS seq, boot, received_at, flow_m3h AS flow, volume_m3 AS volume,
    std_flow_m3h AS std_flow, std_volume_m3 AS std_volume, pressure_kpa AS pressure,
    temperature_c AS temperature, balance, battery_v AS battery, battery2_v AS battery2, battery_days,
    valve, status_bits, seq AS stored_seq
FROM reading
WHERE meter_key = %(meter_key)s AND device_time >= %(from)s AND device_time < %(to)s
    AND (%(after_ts)s::timestamptz IS NULL
        OR (device_time, seq) > (%(after_ts)s::timestamptz, %(after_seq)s::bigint))
    AND (%(after_ts)s::timestamptz IS NULL OR device_time >= %(after_ts)s)
ORDER BY device_time, seq LIMIT %(limit)s

-- reading_last --
-- Finds a meter's newest reading; the bounds keep it to a few partitions.
SELECT device_time AS ts, received_at, flow_m3h AS flow, volume_m3 AS volume, pressure_kpa AS pressure,
    temperature_c AS temperature, balance, battery_v AS battery, battery2_v AS battery2, battery_days,
    valve, status_bits
FROM reading
WHERE meter_key = %(meter_key)s AND device_time >= %(from)s AND device_time < %(to)s
ORDER BY device_time DESC, seq DESC LIMIT 1

-- flow_buckets --
-- Sums one meter's readings up by buckets of time, keeping the peaks; dropout frames are counted apart,
-- by the rule of analytics.data.dropout.
SELECT min(device_time) AS first_at, max(device_time) AS last_at, count(*) AS readings,
    count(*) FILTER (WHERE dropout) AS invalid,
    min(flow_m3h) FILTER (WHERE NOT dropout) AS low,
    max(flow_m3h) FILTER (WHERE NOT dropout) AS high,
    max(volume_m3) FILTER (WHERE NOT dropout) AS volume,
    max(device_time) FILTER (WHERE NOT dropout AND volume_m3 IS NOT NULL) AS volume_at
FROM (
    SELECT device_time, flow_m3h, volume_m3,
        coalesce(coalesce(volume_m3, std_volume_m3) = 0, false)
            AND coalesce(pressure_kpa = 0, false)
            AND coalesce(temperature_c, 0) = 0 AS dropout
    FROM reading
    WHERE meter_key = %(meter_key)s AND device_time >= %(from)s AND device_time < %(to)s
) AS marked
GROUP BY floor(extract(epoch FROM device_time) / %(bucket_s)s)
ORDER BY first_at

-- alarms_list --
-- Lists alarms of the given states by id after a cursor.
SELECT a.alarm_id, a.company, m.meter_id, m.customer, a.check_code AS check, a.severity, a.state,
    a.onset_at, a.ended_at, a.raised_at, a.occurrences, a.readings, a.value, a.limit_value AS limit, a.part,
    a.limit_origin AS limit_from,
    a.acknowledged_by, a.acknowledged_at, a.closed_at, m.balance_unit
FROM alarm a JOIN meter m USING (meter_key)
WHERE a.alarm_id > %(after)s AND a.state = ANY(%(states)s)
    AND (%(check)s::text IS NULL OR a.check_code = %(check)s)
    AND (%(severity)s::text IS NULL OR a.severity = %(severity)s)
    AND (%(company)s::text IS NULL OR a.company = %(company)s)
    AND (%(meter_id)s::text IS NULL OR m.meter_id = %(meter_id)s)
ORDER BY a.alarm_id LIMIT %(limit)s

-- alarm_one --
-- Finds an alarm by its number.
SELECT a.alarm_id, a.company, m.meter_id, m.customer, a.check_code AS check, a.severity, a.state,
    a.onset_at, a.ended_at, a.raised_at, a.occurrences, a.readings, a.value, a.limit_value AS limit, a.part,
    a.limit_origin AS limit_from,
    a.acknowledged_by, a.acknowledged_at, a.closed_at, m.balance_unit
FROM alarm a JOIN meter m USING (meter_key)
WHERE a.alarm_id = %(alarm_id)s

-- alarms_known --
-- Lists alarms as they stood at a moment of decision: each one's last row of the journal before it. With
-- `at`, only those whose condition held then, by the meter's clock and as it was known: `spell` counts
-- the occurrences that were the present one, of which the last row is what was known; an occurrence that
-- a late batch showed has a row of its own. Looked at are only alarms that were open at the moment and,
-- with `at`, those with an occurrence that was over and held it; to list closed ones, all are gone through.
SELECT a.alarm_id, a.company, m.meter_id, m.customer, a.check_code AS check, j.severity, j.to_state AS state,
    j.onset_at, j.ended_at, a.raised_at, j.occurrences, j.readings, j.value, j.limit_value AS limit, j.part,
    j.limit_origin AS limit_from, j.acknowledged_by, j.acknowledged_at,
    CASE WHEN j.to_state = 'closed' THEN j.decided_at END AS closed_at,
    m.balance_unit
FROM alarm a
JOIN meter m USING (meter_key)
JOIN LATERAL (
    SELECT * FROM alarm_journal AS row
    WHERE row.alarm_id = a.alarm_id AND row.decided_at <= %(known_at)s
    ORDER BY row.journal_id DESC LIMIT 1
) AS j ON true
WHERE a.alarm_id > %(after)s AND a.raised_at <= %(known_at)s AND j.to_state = ANY(%(states)s)
    AND (%(at)s::timestamptz IS NULL AND 'closed' = ANY(%(states)s) OR a.alarm_id = ANY(ARRAY(
        SELECT alarm_id FROM alarm
        WHERE tstzrange(raised_at, CASE WHEN closed_at >= raised_at THEN closed_at END) @> %(known_at)s
        UNION
        SELECT alarm_id FROM alarm_journal
        WHERE ended_at IS NOT NULL
            AND tstzrange(onset_at, greatest(onset_at, ended_at)) @> %(at)s::timestamptz
        UNION
        SELECT alarm_id FROM alarm_journal
        WHERE late_until IS NOT NULL AND event_at <= %(at)s AND late_until > %(at)s
    )))
    AND (%(alarm_id)s::bigint IS NULL OR a.alarm_id = %(alarm_id)s)
    AND (%(check)s::text IS NULL OR a.check_code = %(check)s)
    AND (%(severity)s::text IS NULL OR j.severity = %(severity)s)
    AND (%(company)s::text IS NULL OR a.company = %(company)s)
    AND (%(meter_id)s::text IS NULL OR m.meter_id = %(meter_id)s)
    AND (%(at)s::timestamptz IS NULL OR j.event <> 'withdraw' AND EXISTS (
        SELECT 1 FROM (
            SELECT DISTINCT ON (spell) onset_at AS from_at, coalesce(ended_at, 'infinity') AS until_at
            FROM (
                SELECT row.*, count(*) FILTER (WHERE row.event IN ('raise', 'reactivate'))
                    OVER (ORDER BY row.journal_id) AS spell
                FROM alarm_journal AS row
                WHERE row.alarm_id = a.alarm_id AND row.decided_at <= %(known_at)s
            ) AS told
            ORDER BY spell, journal_id DESC
        ) AS present
        WHERE present.from_at <= %(at)s AND %(at)s < present.until_at
        UNION ALL
        SELECT 1 FROM alarm_journal AS row
        WHERE row.alarm_id = a.alarm_id AND row.decided_at <= %(known_at)s
            AND row.event_at <= %(at)s AND %(at)s < row.late_until
    ))
ORDER BY a.alarm_id LIMIT %(limit)s

-- alarm_lock --
-- Keeps everybody else from changing an alarm until this transaction ends.
SELECT alarm_id FROM alarm WHERE alarm_id = %(alarm_id)s FOR UPDATE

-- alarm_journal --
-- Lists what had happened to alarms by a moment, newest first, but for changes of mere figures.
SELECT j.journal_id, j.alarm_id, a.check_code AS check, j.event, j.from_state, j.to_state, j.event_at,
    j.arrived_at, j.decided_at, j.correction, j.actor, j.note, j.limit_origin AS limit_from
FROM alarm_journal j JOIN alarm a USING (alarm_id)
WHERE j.alarm_id = ANY(%(alarm_ids)s) AND (j.event <> 'update' OR j.note IS NOT NULL)
    AND (%(known_at)s::timestamptz IS NULL OR j.decided_at <= %(known_at)s)
ORDER BY j.journal_id DESC LIMIT %(limit)s

-- tasks_list --
-- Lists tasks of the given states by due date after a cursor, with the reason and the company's today.
SELECT t.task_id, t.company, t.customer, m.meter_id, t.kind, t.state, t.alarm_id, t.obligation_id, t.due_on,
    t.due_on < (%(now)s AT TIME ZONE c.timezone)::date AND t.state = ANY(%(open_states)s) AS overdue,
    t.assignee, t.created_at, c.timezone, (%(now)s AT TIME ZONE c.timezone)::date AS today,
    a.check_code AS check, a.severity, o.period_start, o.period_end,
    coalesce(m.contact, c2.contact) AS contact, coalesce(m.phone, c2.phone) AS phone
FROM task t
JOIN company c ON c.code = t.company
LEFT JOIN meter m USING (meter_key)
LEFT JOIN alarm a USING (alarm_id)
LEFT JOIN obligation o USING (obligation_id)
LEFT JOIN LATERAL (
    SELECT contact, phone FROM meter
    WHERE company = t.company AND customer = t.customer AND phone IS NOT NULL AND t.meter_key IS NULL LIMIT 1
) AS c2 ON true
WHERE t.state = ANY(%(states)s)
    AND (%(after_due)s::date IS NULL OR (t.due_on, t.task_id) > (%(after_due)s::date, %(after_id)s))
    AND (%(kind)s::text IS NULL OR t.kind = %(kind)s)
    AND (%(company)s::text IS NULL OR t.company = %(company)s)
    AND (%(meter_id)s::text IS NULL OR m.meter_id = %(meter_id)s)
    AND (%(overdue)s::boolean IS NULL OR %(overdue)s
        = (t.due_on < (%(now)s AT TIME ZONE c.timezone)::date AND t.state = ANY(%(open_states)s)))
ORDER BY t.due_on, t.task_id LIMIT %(limit)s

-- obligations_list --
-- Lists obligations by number after a cursor; kept, missed or open follows from the task and the day.
SELECT * FROM (
    SELECT o.obligation_id, o.company, o.customer, o.kind, o.reading_class, o.period_start, o.period_end,
        t.task_id, t.state AS task_state,
        CASE WHEN t.state = ANY(%(done_states)s) THEN 'kept'
            WHEN o.period_end < (%(now)s AT TIME ZONE c.timezone)::date THEN 'missed'
            ELSE 'open' END AS status
    FROM obligation o
    JOIN company c ON c.code = o.company
    LEFT JOIN task t USING (obligation_id)
    WHERE o.obligation_id > %(after)s
        AND (%(company)s::text IS NULL OR o.company = %(company)s)
        AND (%(customer)s::text IS NULL OR o.customer = %(customer)s)
        AND (%(kind)s::text IS NULL OR o.kind = %(kind)s)
        AND (%(from)s::date IS NULL OR o.period_end >= %(from)s)
        AND (%(to)s::date IS NULL OR o.period_start <= %(to)s)
) AS known
WHERE %(status)s::text IS NULL OR status = %(status)s
ORDER BY obligation_id LIMIT %(limit)s

-- company_one --
-- Finds a company by its code.
SELECT code FROM company WHERE code = %(company)s

-- backtest_meters --
-- Lists the meters that a back-test looks at, by number: of a company, of a list of ids, or all.
SELECT m.meter_key, m.meter_id, m.balance_unit, c.timezone
FROM meter m JOIN company c ON c.code = m.company
WHERE (%(company)s::text IS NULL OR m.company = %(company)s)
    AND (%(meter_ids)s::text[] IS NULL OR m.meter_id = ANY(%(meter_ids)s))
ORDER BY m.meter_key LIMIT %(limit)s

-- alarms_begun --
-- Counts the alarms of some meters whose present or last occurrence began in [from, to), by check.
SELECT check_code AS check, count(*) AS alarms
FROM alarm WHERE meter_key = ANY(%(meter_keys)s) AND onset_at >= %(from)s AND onset_at < %(to)s
GROUP BY check_code

-- alarms_standing --
-- Lists the alarms of some meters that stood at some time in [from, to).
SELECT alarm_id, meter_key, check_code AS check, onset_at, ended_at
FROM alarm WHERE meter_key = ANY(%(meter_keys)s) AND onset_at < %(to)s
    AND (ended_at IS NULL OR ended_at > %(from)s)
ORDER BY alarm_id
