-- What an import met under a known key with other content, apart from what was simply known.

ALTER TABLE import_progress ADD COLUMN IF NOT EXISTS conflicts bigint NOT NULL DEFAULT 0;
