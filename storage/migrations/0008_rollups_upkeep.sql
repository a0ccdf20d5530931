-- What keeps the roll-ups up to date.

-- Hours whose readings changed, left by the engine for the upkeep: pairs of a meter and an hour of UTC.
CREATE TABLE IF NOT EXISTS rollup_work (
    rollup_work_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    created_at timestamptz NOT NULL,
    meter_keys integer[] NOT NULL,
    hours timestamptz[] NOT NULL
);

-- One row per meter, written by every upkeep of it, so that two at once meet here.
CREATE TABLE IF NOT EXISTS rollup_meter (
    meter_key integer PRIMARY KEY REFERENCES meter,
    -- Time of the first reading with a register above 0; NULL before it.
    used_since timestamptz
);

-- Readings that are there already have to be rolled up, too.
INSERT INTO rollup_work (created_at, meter_keys, hours)
SELECT now(), array_agg(meter_key), array_agg(hour)
FROM (
    SELECT meter_key, hour, (row_number() OVER (ORDER BY hour, meter_key) - 1) / 2000 AS part
    FROM (SELECT DISTINCT meter_key, date_trunc('hour', device_time) AS hour FROM reading) AS touched
) AS numbered
GROUP BY part ORDER BY part;
