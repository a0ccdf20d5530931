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
