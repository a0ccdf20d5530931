-- How far each ingest transaction's new readings reach, so that a cycle reads no further than its claim.

-- Each meter's latest new reading, in the order of `meter_keys`; NULL from a program that does not say:
-- then everything that is stored counts as meant.
ALTER TABLE dirty_work ADD COLUMN IF NOT EXISTS until timestamptz[];
