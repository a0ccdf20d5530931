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

-- What an alarm's figures were at changes made before this migration was not kept: they are given as
-- they are now, and the end where the change brought one.
UPDATE alarm_journal AS journal
SET severity = alarm.severity, occurrences = alarm.occurrences, readings = alarm.readings,
    value = alarm.value, limit_value = alarm.limit_value, part = alarm.part,
    onset_at = alarm.onset_at,
    ended_at = CASE WHEN journal.to_state IN ('cleared_unacked', 'closed') THEN alarm.ended_at END,
    acknowledged_by = CASE WHEN journal.to_state IN ('active_acked', 'closed') THEN alarm.acknowledged_by END,
    acknowledged_at = CASE WHEN journal.to_state IN ('active_acked', 'closed') THEN alarm.acknowledged_at END,
    correction = journal.event IN ('withdraw', 'recur_late') OR coalesce(journal.note LIKE 'correction%', false)
FROM alarm
WHERE alarm.alarm_id = journal.alarm_id AND journal.severity IS NULL;

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
