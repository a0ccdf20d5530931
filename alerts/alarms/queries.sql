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
-- Opens new alarms; the company is the meter's.
INSERT INTO alarm (
    company, meter_key, check_code, severity, state, onset_at, ended_at, raised_at, occurrences, readings,
    value, limit_value, part, limit_origin
)
SELECT meter.company, meter.meter_key, new.check_code, new.severity, new.state, new.onset_at, new.ended_at,
    new.decided_at, new.occurrences, new.readings, new.value, new.limit_value, new.part, new.limit_origin
FROM (VALUES %s) AS new (
    meter_key, check_code, severity, state, onset_at, ended_at, decided_at, occurrences, readings,
    value, limit_value, part, limit_origin, acknowledged_by, acknowledged_at, alarm_id, expected
)
JOIN meter ON meter.meter_key = new.meter_key
RETURNING alarm_id, meter_key, check_code

-- alarms_update --
-- Brings alarms to a new state, each only if it is still in the state that was decided upon.
UPDATE alarm
SET severity = change.severity, state = change.state, onset_at = change.onset_at,
    ended_at = change.ended_at, occurrences = change.occurrences, readings = change.readings,
    value = change.value, limit_value = change.limit_value, part = change.part,
    limit_origin = change.limit_origin,
    closed_at = CASE WHEN change.state = 'closed' THEN change.decided_at END,
    acknowledged_by = change.acknowledged_by, acknowledged_at = change.acknowledged_at
FROM (VALUES %s) AS change (
    meter_key, check_code, severity, state, onset_at, ended_at, decided_at, occurrences, readings,
    value, limit_value, part, limit_origin, acknowledged_by, acknowledged_at, alarm_id, expected
)
WHERE alarm.alarm_id = change.alarm_id AND alarm.state = change.expected
RETURNING alarm.alarm_id

-- journal_insert --
-- Appends what happened to alarms, and what they are after it.
INSERT INTO alarm_journal (
    alarm_id, event, from_state, to_state, event_at, arrived_at, decided_at, actor, note,
    severity, onset_at, ended_at, occurrences, readings, value, limit_value, part, limit_origin,
    acknowledged_by, acknowledged_at, correction, late_until
) VALUES %s

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
