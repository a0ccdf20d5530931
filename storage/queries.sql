-- migration_table --
-- Makes the table that remembers which migrations were started and finished.
CREATE TABLE IF NOT EXISTS schema_migration (
    version text PRIMARY KEY,
    layout text NOT NULL,
    digest text NOT NULL,
    started_at timestamptz NOT NULL DEFAULT now(),
    finished_at timestamptz
)

-- migrations_known --
-- Lists every migration that was ever started.
SELECT version, layout, digest, finished_at IS NOT NULL AS finished FROM schema_migration ORDER BY version

-- migration_start --
-- Notes that a migration is being applied; a second start after a failure starts over.
INSERT INTO schema_migration (version, layout, digest) VALUES (%(version)s, %(layout)s, %(digest)s)
ON CONFLICT (version) DO UPDATE SET layout = excluded.layout, digest = excluded.digest, started_at = now()

-- migration_finish --
-- Notes that a migration was applied to its end.
UPDATE schema_migration SET finished_at = now() WHERE version = %(version)s

-- migration_lock --
-- Waits until no other process migrates this database.
SELECT pg_advisory_lock(7064701)

-- migration_unlock --
-- Lets the next process migrate.
SELECT pg_advisory_unlock(7064701)

-- timescale_offered --
-- Tells whether the server could install TimescaleDB.
SELECT EXISTS (SELECT 1 FROM pg_available_extensions WHERE name = 'timescaledb') AS offered

-- timescale_create --
-- Installs TimescaleDB into this database.
CREATE EXTENSION IF NOT EXISTS timescaledb

-- schema_versions --
-- Lists the migrations that are finished; an error means the database was never migrated.
SELECT version FROM schema_migration WHERE finished_at IS NOT NULL

-- table_is_partitioned --
-- Tells whether a table lies in plain partitions rather than in a hypertable.
SELECT relkind = 'p' AS partitioned FROM pg_class WHERE oid = %(table)s::regclass

-- table_partitions --
-- Lists the names of a table's partitions that are there.
SELECT inhrelid::regclass::text AS name FROM pg_inherits WHERE inhparent = %(table)s::regclass

-- partitions_lock --
-- Waits until no other transaction makes partitions.
SELECT pg_advisory_xact_lock(7064703)

-- readings_copy_in --
-- Writes readings straight into the table; a known key fails the whole statement.
COPY reading ({columns}) FROM STDIN (FORMAT binary)

-- readings_stage_table --
-- Makes a table for this transaction to hold readings of which some may be known.
CREATE TEMPORARY TABLE reading_stage (LIKE reading) ON COMMIT DROP

-- readings_stage_copy_in --
-- Writes readings into the staging table.
COPY reading_stage ({columns}) FROM STDIN (FORMAT binary)

-- readings_from_stage --
-- Takes over from staging what is not known yet; tells of which meters, since when and until when.
WITH fresh AS (
    INSERT INTO reading ({columns})
    SELECT DISTINCT ON (meter_key, device_time, seq) {columns} FROM reading_stage
    ORDER BY meter_key, device_time, seq, ctid
    ON CONFLICT DO NOTHING
    RETURNING meter_key, device_time
), meter AS (
    SELECT meter_key, count(*) AS inserted, min(device_time) AS since, max(device_time) AS until
    FROM fresh GROUP BY meter_key
)
SELECT sum(inserted) AS inserted, array_agg(meter_key ORDER BY meter_key) AS meter_keys,
    array_agg((extract(epoch FROM since) * 1000000)::bigint ORDER BY meter_key) AS since_us,
    array_agg((extract(epoch FROM until) * 1000000)::bigint ORDER BY meter_key) AS until_us
FROM meter

-- readings_compare --
-- Keeps staged readings of other content than the stored one of their key; tells how many there are,
-- and how many staged readings are not stored at all, which must be none.
WITH compared AS MATERIALIZED (
    SELECT stage.*, stored.meter_key IS NULL AS missing,
        ({content_of_stage}) IS DISTINCT FROM ({content_of_stored}) AS differs
    FROM reading_stage stage LEFT JOIN reading stored
        ON stored.meter_key = stage.meter_key AND stored.device_time = stage.device_time AND stored.seq = stage.seq
), kept AS (
    INSERT INTO reading_conflict (meter_key, device_time, seq, received_at, content)
    SELECT meter_key, device_time, seq, received_at,
        jsonb_strip_nulls(to_jsonb(compared)
            - ARRAY['meter_key', 'device_time', 'seq', 'received_at', 'missing', 'differs'])
    FROM compared WHERE differs AND NOT missing
    ON CONFLICT DO NOTHING
)
SELECT count(*) FILTER (WHERE missing) AS missing, count(*) FILTER (WHERE differs AND NOT missing) AS conflicts
FROM compared

-- readings_stage_drop --
-- Removes the staging table at once, so that one transaction may stage twice.
DROP TABLE reading_stage

-- advisory_lock_take --
-- Tries to take a named lock for as long as the connection lives.
SELECT pg_try_advisory_lock(7064702, hashtext(%(name)s)) AS taken

-- advisory_lock_held --
-- Tells whether this connection holds the named lock.
SELECT EXISTS (
    SELECT 1 FROM pg_locks
    WHERE locktype = 'advisory' AND pid = pg_backend_pid() AND granted
        AND classid = 7064702 AND objid::bigint = hashtext(%(name)s)::bigint & 4294967295
) AS held

-- alarms_follow_meter --
-- Gives open alarms to the company that their meter belongs to now.
UPDATE alarm SET company = meter.company FROM meter
WHERE meter.meter_id = ANY(%(meter_ids)s) AND alarm.meter_key = meter.meter_key
    AND alarm.company <> meter.company AND alarm.state <> 'closed'

-- tasks_follow_meter --
-- Gives visits that are still to be made to the company and customer that their meter belongs to now.
UPDATE task SET company = meter.company, customer = meter.customer FROM meter
WHERE meter.meter_id = ANY(%(meter_ids)s) AND task.meter_key = meter.meter_key
    AND (task.company, task.customer) <> (meter.company, meter.customer)
    AND task.state NOT IN ('done', 'verified', 'cancelled')

-- policies_valid --
-- Lists the version that is valid at a moment, or now, of each policy document; NULL is the group's.
SELECT DISTINCT ON (company) policy_id, company, document, author, created_at, valid_from
FROM policy WHERE valid_from <= coalesce(%(now)s::timestamptz, transaction_timestamp())
ORDER BY company, valid_from DESC, policy_id DESC

-- policy_versions_ahead --
-- Lists versions of one document that are not valid yet, in the order in which they will be.
SELECT policy_id, company, document, author, created_at, valid_from
FROM policy WHERE company IS NOT DISTINCT FROM %(company)s AND valid_from > %(now)s
ORDER BY valid_from, policy_id

-- policy_append --
-- Adds a version of a policy document.
INSERT INTO policy (company, document, author, created_at, valid_from)
VALUES (%(company)s, %(document)s, %(author)s, %(now)s, %(valid_from)s)
RETURNING policy_id, company, document, author, created_at, valid_from

-- policies_lock --
-- Waits until no other transaction adds versions: what documents say together is checked before.
SELECT pg_advisory_xact_lock(7064705)
