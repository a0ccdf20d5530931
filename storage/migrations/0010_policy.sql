-- Policies in the database, version by version; and whose limit each alarm was held against.

CREATE TABLE IF NOT EXISTS policy (
    policy_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    -- NULL: what the group says for every company.
    company text REFERENCES company (code),
    -- TOML, as docs/policies.md describes it; empty where nothing differs from the built-in defaults.
    document text NOT NULL,
    author text NOT NULL,
    created_at timestamptz NOT NULL,
    -- The newest version that is valid by now counts, from the next evaluation on.
    valid_from timestamptz NOT NULL
);
CREATE INDEX IF NOT EXISTS policy_valid ON policy (company, valid_from, policy_id);

-- Append-only: a version that counted is never rewritten.
CREATE OR REPLACE FUNCTION policy_is_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'versions of policies are never changed; add another one';
END
$$;
CREATE OR REPLACE TRIGGER policy_append_only BEFORE UPDATE OR DELETE ON policy
    FOR EACH ROW EXECUTE FUNCTION policy_is_append_only();

-- meter, model, company or default; NULL where the check has no limit that anybody could set, and
-- for what was decided before this was known.
ALTER TABLE alarm ADD COLUMN IF NOT EXISTS limit_origin text;
ALTER TABLE alarm_journal ADD COLUMN IF NOT EXISTS limit_origin text;
