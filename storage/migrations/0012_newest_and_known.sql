-- Two questions that read whole tables: the fleet's newest evaluated time, and the alarms of a past moment.

-- The newest device time that was evaluated, one row for each of the engines' connections: so engines do
-- not wait for each other, and the fleet's newest is the greatest of a few rows. An index on the
-- column of `meter_state` would cost every cycle an entry for each of its meters.
CREATE TABLE IF NOT EXISTS evaluated_newest (
    slot integer PRIMARY KEY,
    evaluated_through timestamptz NOT NULL
) WITH (fillfactor = 50);
INSERT INTO evaluated_newest (slot, evaluated_through)
SELECT 0, max(evaluated_through) FROM meter_state HAVING count(*) > 0
ON CONFLICT (slot) DO NOTHING;

-- An alarm was open at a moment of decision if this range holds it; closed is final. A clock that was
-- behind may have closed it before it was raised: then it is found, and the journal says what it was.
CREATE INDEX IF NOT EXISTS alarm_open_during ON alarm
    USING gist (tstzrange(raised_at, CASE WHEN closed_at >= raised_at THEN closed_at END));
-- Occurrences that were over, by the meter's clock, and the earlier ones that late batches showed.
CREATE INDEX IF NOT EXISTS alarm_journal_held_during ON alarm_journal
    USING gist (tstzrange(onset_at, greatest(onset_at, ended_at))) WHERE ended_at IS NOT NULL;
CREATE INDEX IF NOT EXISTS alarm_journal_held_late ON alarm_journal (event_at, late_until)
    WHERE late_until IS NOT NULL;
