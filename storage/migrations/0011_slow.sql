-- The daily pass of the slow checks: how far each meter is judged, and what its checks had open then.

-- Beside the mark that every upkeep of the roll-ups writes: so a pass and an upkeep that meet at a meter
-- meet here, and the later one tries again.
ALTER TABLE rollup_meter
    -- Last local day that is judged for good; the day after it is judged, too, but not yet closed.
    ADD COLUMN IF NOT EXISTS slow_settled date,
    -- First local day to be judged again, because an hour that it depends on changed; NULL for none. At a
    -- meter that was not judged yet, the day before the first hour that was rolled up.
    ADD COLUMN IF NOT EXISTS slow_again date;
CREATE INDEX IF NOT EXISTS rollup_meter_slow_settled ON rollup_meter (slow_settled);
CREATE INDEX IF NOT EXISTS rollup_meter_slow_again ON rollup_meter (meter_key) WHERE slow_again IS NOT NULL;

-- What a meter's slow checks had open at the end of a day: the last days, and one a week before them, from
-- which late data are judged.
CREATE TABLE IF NOT EXISTS slow_state (
    meter_key integer NOT NULL REFERENCES meter,
    -- The last local day that the state has seen.
    through date NOT NULL,
    layout integer NOT NULL,
    -- NULL where nothing was open.
    open bytea,
    PRIMARY KEY (meter_key, through)
);
