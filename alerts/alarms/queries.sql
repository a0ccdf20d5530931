-- alarms_of_meters --
-- Loads each meter's open alarms, with the occurrence before the present one, and its closed ones
-- that ended after a given moment.
SELECT alarm.alarm_id, alarm.meter_key, alarm.check_code, alarm.severity, alarm.state, alarm.onset_at,
    alarm.ended_at, alarm.occurrences, alarm.readings, alarm.value, alarm.limit_value, alarm.part,
    alarm.limit_origin, alarm.acknowledged_by, alarm.acknowledged_at,
    CASE WHEN alarm.occurrences = 1 THEN alarm.onset_at ELSE least(alarm.onset_at, (
        SELECT min(journal.event_at) FROM alarm_journal AS journal
        WHERE journal.alarm_id = alarm.alarm_id
            AND journal.event IN ('raise', 'reactivate', 'recur_late')
    )) END AS first_onset_at,
    before.onset_at AS previous_onset_at, before.ended_at AS previous_ended_at,
    before.readings AS previous_readings, before.value AS previous_value,
    before.limit_value AS previous_limit, before.limit_origin AS previous_limit_origin,
    before.part AS previous_part
FROM unnest(%(meter_keys)s::integer[], %(since)s::timestamptz[]) AS wanted (meter_key, since)
JOIN alarm ON alarm.meter_key = wanted.meter_key
    AND (alarm.state <> 'closed' OR alarm.ended_at > wanted.since)
    AND alarm.check_code = ANY(%(checks)s)
LEFT JOIN LATERAL (
    SELECT * FROM alarm_journal AS journal
    WHERE journal.alarm_id = alarm.alarm_id AND alarm.occurrences > 1
        AND journal.ended_at <= alarm.onset_at AND journal.onset_at < journal.ended_at
        AND journal.onset_at < alarm.onset_at
    ORDER BY journal.ended_at DESC, journal.journal_id DESC LIMIT 1
) AS before ON true

-- alarms_insert --
-- Opens new alarms; the company is the meter's. Times are microseconds since 1970.
INSERT INTO alarm (
    company, meter_key, check_code, severity, state, onset_at, ended_at, raised_at, occurrences, readings,
    value, limit_value, part, limit_origin
)
SELECT meter.company, meter.meter_key, new.check_code, new.severity, new.state,
    timestamptz 'epoch' + new.onset_us * interval '1 microsecond',
    timestamptz 'epoch' + new.ended_us * interval '1 microsecond',
    %(decided_at)s, new.occurrences, new.readings, new.value, new.limit_value, new.part,
    new.limit_origin
FROM json_to_recordset(%(rows)s::json) AS new (
    meter_key integer, check_code text, severity text, state text, onset_us bigint, ended_us bigint,
    occurrences integer, readings bigint, value float8, limit_value float8, part smallint,
    limit_origin text
)
JOIN meter ON meter.meter_key = new.meter_key
RETURNING alarm_id, meter_key, check_code

-- alarms_update --
-- Brings alarms to a new state, each only if it is still in the state that was decided upon.
UPDATE alarm
SET severity = change.severity, state = change.state,
    onset_at = timestamptz 'epoch' + change.onset_us * interval '1 microsecond',
    ended_at = timestamptz 'epoch' + change.ended_us * interval '1 microsecond',
    occurrences = change.occurrences, readings = change.readings,
    value = change.value, limit_value = change.limit_value, part = change.part,
    limit_origin = change.limit_origin,
    closed_at = CASE WHEN change.state = 'closed' THEN %(decided_at)s::timestamptz END,
    acknowledged_by = change.acknowledged_by,
    acknowledged_at = timestamptz 'epoch' + change.acknowledged_us * interval '1 microsecond'
FROM json_to_recordset(%(rows)s::json) AS change (
    alarm_id bigint, expected text, severity text, state text, onset_us bigint, ended_us bigint,
    occurrences integer, readings bigint, value float8, limit_value float8, part smallint,
    limit_origin text, acknowledged_by text, acknowledged_us bigint
)
WHERE alarm.alarm_id = change.alarm_id AND alarm.state = change.expected
RETURNING alarm.alarm_id

-- journal_insert --
-- Appends what happened to alarms, and what they are after it. Times are microseconds since 1970.
INSERT INTO alarm_journal (
    alarm_id, event, from_state, to_state, event_at, arrived_at, decided_at, actor, note,
    severity, onset_at, ended_at, occurrences, readings, value, limit_value, part, limit_origin,
    acknowledged_by, acknowledged_at, correction, late_until
)
SELECT alarm_id, event, from_state, state, timestamptz 'epoch' + event_us * interval '1 microsecond',
    timestamptz 'epoch' + arrived_us * interval '1 microsecond', %(decided_at)s, %(actor)s, note,
    severity, timestamptz 'epoch' + onset_us * interval '1 microsecond',
    timestamptz 'epoch' + ended_us * interval '1 microsecond', occurrences, readings, value, limit_value,
    part, limit_origin, acknowledged_by, timestamptz 'epoch' + acknowledged_us * interval '1 microsecond', correction,
    timestamptz 'epoch' + late_until_us * interval '1 microsecond'
FROM json_to_recordset(%(rows)s::json) AS entry (
    alarm_id bigint, event text, from_state text, state text, event_us bigint, arrived_us bigint,
    note text, severity text, onset_us bigint, ended_us bigint, occurrences integer, readings bigint,
    value float8, limit_value float8, part smallint, limit_origin text, acknowledged_by text,
    acknowledged_us bigint, correction boolean, late_until_us bigint
)

-- journal_acknowledge --
-- Appends that a person knows of an alarm, and the alarm as it is after that.
INSERT INTO alarm_journal (
    alarm_id, event, from_state, to_state, event_at, decided_at, actor, note,
    severity, onset_at, ended_at, occurrences, readings, value, limit_value, part, limit_origin,
    acknowledged_by, acknowledged_at
)
SELECT alarm_id, %(event)s, %(expected)s, state, %(now)s, %(now)s, %(actor)s, %(note)s,
    severity, onset_at, ended_at, occurrences, readings, value, limit_value, part, limit_origin,
    acknowledged_by, acknowledged_at
FROM alarm WHERE alarm_id = %(alarm_id)s

-- alarm_state --
-- Reads the state of one alarm and keeps others from changing it until the transaction ends.
SELECT state FROM alarm WHERE alarm_id = %(alarm_id)s FOR UPDATE

-- alarm_acknowledge --
-- Notes that a person knows of an alarm, if it is still in the state that was decided upon.
UPDATE alarm
SET state = %(state)s, acknowledged_by = %(actor)s, acknowledged_at = %(now)s,
    closed_at = CASE WHEN %(state)s = 'closed' THEN %(now)s::timestamptz END
WHERE alarm_id = %(alarm_id)s AND state = %(expected)s
RETURNING alarm_id
