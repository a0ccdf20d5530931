-- What ingest keeps beside the readings: conflicting content, what it asked meters for, its canary.

-- A reading whose key (meter, device time, seq) was taken by one of other content.
CREATE TABLE IF NOT EXISTS reading_conflict (
    conflict_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    meter_key integer NOT NULL,
    device_time timestamptz NOT NULL,
    seq bigint NOT NULL,
    received_at timestamptz NOT NULL,
    -- The columns of `reading` that were reported, without the key and the time of arrival.
    content jsonb NOT NULL
);
-- A message that comes twice conflicts once.
CREATE UNIQUE INDEX IF NOT EXISTS reading_conflict_once
    ON reading_conflict (meter_key, device_time, seq, md5(content::text));

-- How often a meter was asked for the missing readings, and when it is asked next.
ALTER TABLE sequence_gap ADD COLUMN IF NOT EXISTS asked integer NOT NULL DEFAULT 0;
ALTER TABLE sequence_gap ADD COLUMN IF NOT EXISTS ask_at timestamptz NOT NULL DEFAULT now();
CREATE INDEX IF NOT EXISTS sequence_gap_ask ON sequence_gap (ask_at);

-- The last canary of each ingest process that came back through the broker into the database.
CREATE TABLE IF NOT EXISTS ingest_canary (
    identity text PRIMARY KEY,
    token bigint NOT NULL,
    sent_at timestamptz NOT NULL,
    seen_at timestamptz NOT NULL
);
