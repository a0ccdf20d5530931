-- Late data and time: checkpoints of what the checks carry; a journal from which any past moment can be told.

-- Earlier states of each meter's checks, from which late readings are evaluated; a few for each meter.
CREATE TABLE IF NOT EXISTS meter_checkpoint (
    meter_key integer NOT NULL REFERENCES meter,
    -- Two for each rung of a ladder of ages; the older of the two is written over.
    slot smallint NOT NULL,
    -- Device time of the last reading that the state has seen.
    through timestamptz NOT NULL,
    -- The meter's newest alarm that can stand for readings up to `through`; 0 where it had none.
    last_alarm_id bigint NOT NULL,
    layout integer NOT NULL,
    state bytea NOT NULL,
    PRIMARY KEY (meter_key, slot)
-- Written over in place, beside the old row, and read a few at a time: inline, not compressed.
) WITH (fillfactor = 70, toast_tuple_target = 8160);
ALTER TABLE meter_checkpoint ALTER COLUMN state SET STORAGE MAIN;

-- Every cycle writes every state of its meters: with room beside them no index has to follow.
ALTER TABLE meter_state SET (fillfactor = 45, toast_tuple_target = 8160);
ALTER TABLE meter_state ALTER COLUMN state SET STORAGE MAIN;
ALTER TABLE alarm SET (fillfactor = 70);

-- Each row of the journal is the alarm as it was after the change.
ALTER TABLE alarm_journal
    ADD COLUMN IF NOT EXISTS severity text,
    ADD COLUMN IF NOT EXISTS onset_at timestamptz,
    ADD COLUMN IF NOT EXISTS ended_at timestamptz,
    ADD COLUMN IF NOT EXISTS occurrences integer,
    ADD COLUMN IF NOT EXISTS readings bigint,
    ADD COLUMN IF NOT EXISTS value double precision,
    ADD COLUMN IF NOT EXISTS limit_value double precision,
    ADD COLUMN IF NOT EXISTS part smallint,
    ADD COLUMN IF NOT EXISTS acknowledged_by text,
    ADD COLUMN IF NOT EXISTS acknowledged_at timestamptz,
    -- Whether it changes what was known of a time that had been evaluated before.
    ADD COLUMN IF NOT EXISTS correction boolean NOT NULL DEFAULT false,
    -- End of the earlier occurrence that a late batch showed; its beginning is `event_at`.
    ADD COLUMN IF NOT EXISTS late_until timestamptz;

-- Rows of before this migration say what happened, not what the alarm was after it. Onset and end follow
-- from the changes up to each row: `raise` and `reactivate` happened at the onset, `clear` and `withdraw`
-- at the end. Occurrences are counted; who knew of it is whoever acknowledged it last. A corrected onset
-- is the row's own time, but where the correction ended the condition, too: there only the present onset
-- is known, if it is still the same, else the one before. Severity and figures were not kept: they are
-- given as they are now. An alarm's last row is the alarm as it is.
UPDATE alarm_journal AS journal
SET severity = alarm.severity, readings = alarm.readings, value = alarm.value,
    limit_value = alarm.limit_value, part = alarm.part,
    onset_at = CASE WHEN told.last OR told.to_present THEN alarm.onset_at
        ELSE coalesce(told.onset_at, alarm.onset_at) END,
    ended_at = CASE WHEN told.last THEN alarm.ended_at ELSE told.ended_at END,
    occurrences = CASE WHEN told.last THEN alarm.occurrences ELSE greatest(told.shown, 1) END,
    acknowledged_by = acknowledgement.actor, acknowledged_at = acknowledgement.decided_at,
    correction = journal.event IN ('withdraw', 'recur_late') OR coalesce(journal.note LIKE 'correction%', false),
    late_until = CASE WHEN journal.event = 'recur_late'
        THEN substring(journal.note FROM '^late readings: it was so until (\S+)$')::timestamptz END
FROM (
    SELECT journal_id, alarm_id, shown, last, acknowledged_in,
        max(event_at) FILTER (WHERE begins) OVER (PARTITION BY alarm_id, beginnings) AS onset_at,
        max(event_at) FILTER (WHERE ends) OVER (PARTITION BY alarm_id, turns) AS ended_at,
        moved_in > begun_in AND beginnings = all_beginnings AS to_present
    FROM (
        SELECT *,
            count(*) FILTER (WHERE begins) OVER so_far AS beginnings,
            count(*) FILTER (WHERE begins) OVER (PARTITION BY alarm_id) AS all_beginnings,
            max(journal_id) FILTER (WHERE moved_and_ended) OVER so_far AS moved_in,
            max(journal_id) FILTER (WHERE begins) OVER so_far AS begun_in,
            count(*) FILTER (WHERE event IN ('raise', 'reactivate') OR ends) OVER so_far AS turns,
            count(*) FILTER (WHERE event IN ('raise', 'reactivate', 'recur_late')) OVER so_far AS shown,
            -- The row of the acknowledgement that still counts.
            CASE WHEN max(journal_id) FILTER (WHERE event = 'acknowledge') OVER so_far
                    > coalesce(max(journal_id) FILTER (WHERE to_state = 'active_unacked') OVER so_far, 0)
                THEN max(journal_id) FILTER (WHERE event = 'acknowledge') OVER so_far END AS acknowledged_in
        FROM (
            SELECT *, event IN ('clear', 'withdraw') AS ends, moved AND ended_with_it AS moved_and_ended,
                event IN ('raise', 'reactivate') OR (moved AND NOT ended_with_it) AS begins
            FROM (
                SELECT *, lead(journal_id) OVER by_alarm IS NULL AS last,
                    event IN ('update', 'escalate') AND coalesce(note LIKE 'correction%', false) AS moved,
                    coalesce(lead(event) OVER by_alarm = 'clear' AND lead(event_at) OVER by_alarm = event_at
                        AND lead(decided_at) OVER by_alarm = decided_at, false) AS ended_with_it
                FROM alarm_journal
                WINDOW by_alarm AS (PARTITION BY alarm_id ORDER BY journal_id)
            ) AS written
        ) AS named
        WINDOW so_far AS (PARTITION BY alarm_id ORDER BY journal_id)
    ) AS counted
) AS told
JOIN alarm USING (alarm_id)
LEFT JOIN alarm_journal AS acknowledgement ON acknowledgement.journal_id = told.acknowledged_in
WHERE told.journal_id = journal.journal_id AND journal.severity IS NULL;

ALTER TABLE alarm_journal
    ALTER COLUMN severity SET NOT NULL,
    ALTER COLUMN onset_at SET NOT NULL,
    ALTER COLUMN occurrences SET NOT NULL,
    ALTER COLUMN readings SET NOT NULL,
    ALTER COLUMN part SET NOT NULL;

-- An alarm's last change before a moment is one look into this index.
DROP INDEX IF EXISTS alarm_journal_alarm;
CREATE INDEX IF NOT EXISTS alarm_journal_order ON alarm_journal (alarm_id, journal_id);

-- Append-only, whoever asks.
CREATE OR REPLACE FUNCTION alarm_journal_is_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'alarm_journal is append-only: % is not allowed', TG_OP
        USING ERRCODE = 'restrict_violation';
END
$$;
CREATE OR REPLACE TRIGGER alarm_journal_append_only
    BEFORE UPDATE OR DELETE OR TRUNCATE ON alarm_journal
    FOR EACH STATEMENT EXECUTE FUNCTION alarm_journal_is_append_only();
