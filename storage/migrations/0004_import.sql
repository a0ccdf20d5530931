-- Bulk import: how far each file is committed, so that a broken run can go on.

CREATE TABLE IF NOT EXISTS import_progress (
    -- SHA-256 of the file, and of the map and the time zone it was read with.
    file_digest text NOT NULL,
    map_digest text NOT NULL,
    file_name text NOT NULL,
    started_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    -- Last line of a CSV, or row of a Parquet file, that is committed.
    through_line bigint NOT NULL DEFAULT 0,
    -- What became of the rows so far.
    inserted bigint NOT NULL DEFAULT 0,
    duplicates bigint NOT NULL DEFAULT 0,
    refused bigint NOT NULL DEFAULT 0,
    finished_at timestamptz,
    PRIMARY KEY (file_digest, map_digest)
);
