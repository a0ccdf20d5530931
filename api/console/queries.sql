-- board --
-- Lists open alarms worst first, unacknowledged before acknowledged, with task and contact, after a cursor.
SELECT * FROM (
    SELECT a.alarm_id, a.company, m.meter_id, m.customer, a.check_code AS check, a.severity, a.state,
        a.onset_at, a.ended_at, a.raised_at, a.occurrences, a.readings, a.value, a.limit_value AS limit,
        a.limit_origin AS limit_from,
        a.part, a.acknowledged_by, a.acknowledged_at, a.closed_at, m.balance_unit, m.contact, m.phone,
        c.timezone, t.task_id, t.kind AS task_kind, t.state AS task_state, t.due_on,
        2 * array_position(%(severities)s, a.severity) + (a.state = %(acknowledged)s)::integer AS urgency
    FROM alarm a
    JOIN meter m USING (meter_key)
    JOIN company c ON c.code = a.company
    LEFT JOIN LATERAL (SELECT * FROM task WHERE alarm_id = a.alarm_id ORDER BY task_id DESC LIMIT 1) AS t ON true
    WHERE a.state <> 'closed'
        AND (%(check)s::text IS NULL OR a.check_code = %(check)s)
        AND (%(severity)s::text IS NULL OR a.severity = %(severity)s)
        AND (%(company)s::text IS NULL OR a.company = %(company)s)
) AS open_alarm
WHERE %(after_urgency)s::bigint IS NULL OR urgency > %(after_urgency)s
    OR (urgency = %(after_urgency)s AND alarm_id < %(after_id)s)
ORDER BY urgency, alarm_id DESC LIMIT %(limit)s

-- board_counts --
-- Counts open alarms by everything that the board can be filtered by.
SELECT severity, check_code AS check, company, count(*) AS alarms
FROM alarm WHERE state <> 'closed' GROUP BY severity, check_code, company

-- meter_alarms --
-- Lists a meter's newest alarms, open or closed.
SELECT a.alarm_id, a.company, m.meter_id, m.customer, a.check_code AS check, a.severity, a.state,
    a.onset_at, a.ended_at, a.raised_at, a.occurrences, a.readings, a.value, a.limit_value AS limit,
        a.limit_origin AS limit_from,
    a.part, a.acknowledged_by, a.acknowledged_at, a.closed_at, m.balance_unit, m.contact, m.phone,
    c.timezone, t.task_id, t.kind AS task_kind, t.state AS task_state, t.due_on
FROM alarm a
JOIN meter m USING (meter_key)
JOIN company c ON c.code = a.company
LEFT JOIN LATERAL (SELECT * FROM task WHERE alarm_id = a.alarm_id ORDER BY task_id DESC LIMIT 1) AS t ON true
WHERE a.meter_key = %(meter_key)s
ORDER BY a.state = 'closed', a.onset_at DESC LIMIT %(limit)s

-- alarm_context --
-- Finds what the page of one alarm shows beside the alarm.
SELECT m.contact, m.phone, c.timezone, t.task_id, t.kind AS task_kind, t.state AS task_state, t.due_on
FROM alarm a
JOIN meter m USING (meter_key)
JOIN company c ON c.code = a.company
LEFT JOIN LATERAL (SELECT * FROM task WHERE alarm_id = a.alarm_id ORDER BY task_id DESC LIMIT 1) AS t ON true
WHERE a.alarm_id = %(alarm_id)s

-- obligation_counts --
-- Counts obligations whose period meets the last year, by kind and by what became of them.
SELECT kind, status, count(*) AS obligations FROM (
    SELECT o.kind, CASE WHEN t.state = ANY(%(done_states)s) THEN 'kept'
        WHEN o.period_end < (%(now)s AT TIME ZONE c.timezone)::date THEN 'missed' ELSE 'open' END AS status
    FROM obligation o
    JOIN company c ON c.code = o.company
    LEFT JOIN task t USING (obligation_id)
    WHERE o.period_end >= %(since)s
) AS known GROUP BY kind, status

-- registry_is_empty --
-- Tells whether any meter was ever imported.
SELECT NOT EXISTS (SELECT 1 FROM meter) AS empty
