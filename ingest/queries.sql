-- ingest_directory --
-- Lists what ingest has to know of the meters that changed since a moment.
SELECT meter_id, meter_key, company FROM meter WHERE updated_at >= %(since)s

-- ingest_directory_of --
-- Lists the same of some meters.
SELECT meter_id, meter_key, company FROM meter WHERE meter_id = ANY(%(meter_ids)s)

-- ingest_refusals_insert --
-- Keeps refused messages whole, with every reason.
INSERT INTO refusal (received_at, topic, payload, readings, reasons) VALUES %s

-- ingest_progress_load --
-- Reads how far some boots are known, in the order in which they are named.
COPY (
    SELECT coalesce(known.highest, %(before_first)s::bigint)
    FROM unnest(%(meter_keys)s::integer[], %(boots)s::bigint[]) WITH ORDINALITY AS run (meter_key, boot, at)
    LEFT JOIN meter_sequence known USING (meter_key, boot)
    ORDER BY run.at
) TO STDOUT (FORMAT binary)

-- ingest_progress_lock --
-- Waits until no other process accounts for sequence numbers; held to the end of the transaction.
SELECT pg_advisory_xact_lock(7064704)

-- ingest_gaps_load --
-- Reads the holes in the sequences of some meters, and what became of each so far.
SELECT meter_key, boot, seq_from, seq_to, found_at, asked, ask_at FROM sequence_gap
WHERE meter_key = ANY(%(meter_keys)s) ORDER BY meter_key, boot, seq_from

-- ingest_progress_upsert --
-- Writes how far boots are committed.
INSERT INTO meter_sequence (meter_key, boot, committed_through, highest)
SELECT * FROM unnest(%(meter_keys)s::integer[], %(boots)s::bigint[], %(through)s::bigint[], %(highest)s::bigint[])
ON CONFLICT (meter_key, boot) DO UPDATE
SET committed_through = excluded.committed_through, highest = excluded.highest

-- ingest_gaps_delete --
-- Forgets holes that were filled or became smaller.
DELETE FROM sequence_gap g
USING unnest(%(meter_keys)s::integer[], %(boots)s::bigint[], %(firsts)s::bigint[]) AS old (meter_key, boot, seq_from)
WHERE g.meter_key = old.meter_key AND g.boot = old.boot AND g.seq_from = old.seq_from

-- ingest_gaps_insert --
-- Notes new holes, and what is left of old ones.
INSERT INTO sequence_gap (meter_key, boot, seq_from, seq_to, found_at, asked, ask_at) VALUES %s

-- ingest_gaps_ask --
-- Takes the holes of some meters that are to be asked for now, and puts off the next time, twice as long each time.
-- One put off for longer than ever was put off by a clock that went wrong.
UPDATE sequence_gap gap
SET asked = gap.asked + 1,
    ask_at = %(now)s + least(%(first_s)s * 2 ^ least(gap.asked, 20), %(longest_s)s) * interval '1 second'
FROM (
    SELECT meter_key, boot, seq_from FROM sequence_gap
    WHERE meter_key = ANY(%(meter_keys)s)
        AND (ask_at <= %(now)s OR ask_at > %(now)s + %(longest_s)s * interval '1 second')
    ORDER BY ask_at LIMIT %(most)s FOR UPDATE SKIP LOCKED
) due
WHERE gap.meter_key = due.meter_key AND gap.boot = due.boot AND gap.seq_from = due.seq_from
RETURNING gap.meter_key, gap.boot, gap.seq_from, gap.seq_to

-- ingest_canary_seen --
-- Stores the canary that came back, unless it claims to come from the future; a stored one that
-- does was sent before the clock was put back, and gives way.
INSERT INTO ingest_canary (identity, token, sent_at, seen_at)
SELECT %(identity)s, %(token)s, %(sent_at)s, %(seen_at)s WHERE %(sent_at)s <= %(seen_at)s
ON CONFLICT (identity) DO UPDATE
SET token = excluded.token, sent_at = excluded.sent_at, seen_at = excluded.seen_at
WHERE ingest_canary.token < excluded.token OR ingest_canary.sent_at > excluded.seen_at

-- ingest_canary_last --
-- Finds the last canary of a process that came back.
SELECT token FROM ingest_canary WHERE identity = %(identity)s

-- ingest_dirty_work_insert --
-- Leaves word for the engine: which meters have new readings, since when and until when.
INSERT INTO dirty_work (created_at, meter_keys, since, until)
SELECT %(created_at)s, %(meter_keys)s::integer[],
    array_agg(timestamptz 'epoch' + new.since_us * interval '1 microsecond' ORDER BY new.at),
    array_agg(timestamptz 'epoch' + new.until_us * interval '1 microsecond' ORDER BY new.at)
FROM unnest(%(since_us)s::bigint[], %(until_us)s::bigint[]) WITH ORDINALITY AS new (since_us, until_us, at)

-- ingest_status_upsert --
-- Stores what meters say of themselves.
INSERT INTO meter_connection (meter_key, online, boot, firmware, changed_at) VALUES %s
ON CONFLICT (meter_key) DO UPDATE
SET online = excluded.online,
    boot = coalesce(excluded.boot, meter_connection.boot),
    firmware = coalesce(excluded.firmware, meter_connection.firmware),
    changed_at = excluded.changed_at
WHERE (meter_connection.online, meter_connection.boot, meter_connection.firmware) IS DISTINCT FROM
    (excluded.online, coalesce(excluded.boot, meter_connection.boot), coalesce(excluded.firmware, meter_connection.firmware))

-- ingest_filters_held --
-- Lists the topic filters that a process ever subscribed to.
SELECT filter FROM ingest_subscription WHERE identity = %(identity)s

-- ingest_filters_note --
-- Notes topic filters that a process is about to subscribe to.
INSERT INTO ingest_subscription (identity, filter)
SELECT %(identity)s, unnest(%(filters)s::text[]) ON CONFLICT DO NOTHING

-- ingest_heartbeat --
-- Says that an ingest process lives, with its figures.
INSERT INTO service_heartbeat (service, instance, started_at, beat_at, figures)
VALUES ('ingest', %(instance)s, %(started_at)s, %(beat_at)s, %(figures)s::jsonb)
ON CONFLICT (service, instance) DO UPDATE
SET started_at = excluded.started_at, beat_at = excluded.beat_at, figures = excluded.figures

-- import_again --
-- Starts a finished import over: what it stored is known, what it refused may be taken now.
UPDATE import_progress
SET started_at = %(now)s, updated_at = %(now)s, finished_at = NULL,
    through_line = 0, inserted = 0, duplicates = 0, conflicts = 0, refused = 0
WHERE file_digest = %(file_digest)s AND map_digest = %(map_digest)s AND finished_at IS NOT NULL

-- import_begin --
-- Notes an import that nobody began before.
INSERT INTO import_progress (file_digest, map_digest, file_name, started_at, updated_at)
VALUES (%(file_digest)s, %(map_digest)s, %(file_name)s, %(now)s, %(now)s)
ON CONFLICT DO NOTHING

-- import_load --
-- Reads how far an import is committed.
SELECT started_at, through_line, inserted, duplicates, conflicts, refused FROM import_progress
WHERE file_digest = %(file_digest)s AND map_digest = %(map_digest)s

-- import_advance --
-- Notes a chunk, unless another process has gone on from the same line.
UPDATE import_progress
SET updated_at = %(now)s, through_line = %(through_line)s, inserted = inserted + %(inserted)s,
    duplicates = duplicates + %(duplicates)s, conflicts = conflicts + %(conflicts)s, refused = refused + %(refused)s
WHERE file_digest = %(file_digest)s AND map_digest = %(map_digest)s
    AND through_line = %(before)s AND finished_at IS NULL

-- import_finish --
-- Notes that a file was imported to its end.
UPDATE import_progress SET updated_at = %(now)s, finished_at = %(now)s
WHERE file_digest = %(file_digest)s AND map_digest = %(map_digest)s AND through_line = %(through_line)s
