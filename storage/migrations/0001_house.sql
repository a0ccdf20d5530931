-- Everything but telemetry: the registry, ingest's bookkeeping, alarms, obligations, tasks.

CREATE TABLE IF NOT EXISTS company (
    code text PRIMARY KEY,
    timezone text NOT NULL DEFAULT 'Asia/Shanghai'
);

-- One row per row of the registry's CSV, under the CSV's names.
CREATE TABLE IF NOT EXISTS meter (
    meter_key integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    meter_id text NOT NULL UNIQUE,
    company text NOT NULL REFERENCES company (code),
    customer text NOT NULL,
    customer_kind text NOT NULL,
    reading_class text NOT NULL,
    technology text NOT NULL,
    g_size text,
    qmax double precision,
    qmin double precision,
    prepaid boolean NOT NULL DEFAULT false,
    balance_unit text,
    interval_s integer,
    register_digits integer,
    register_step double precision,
    installed_on date,
    battery_type text,
    battery_replaced_on date,
    battery_life_days integer,
    battery2_type text,
    battery2_replaced_on date,
    battery2_life_days integer,
    oil_filled_on date,
    oil_volume_at_fill double precision,
    oil_interval_days integer,
    oil_interval_m3 double precision,
    low_balance double precision,
    manager text,
    contact text,
    phone text,
    updated_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX IF NOT EXISTS meter_customer ON meter (company, customer);

-- What the meter's retained status message said last.
CREATE TABLE IF NOT EXISTS meter_connection (
    meter_key integer PRIMARY KEY REFERENCES meter,
    online boolean NOT NULL,
    boot bigint,
    firmware text,
    changed_at timestamptz NOT NULL
);

-- Telemetry that was not taken: the whole message, and every reason.
CREATE TABLE IF NOT EXISTS refusal (
    refusal_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    received_at timestamptz NOT NULL,
    topic text NOT NULL,
    payload bytea NOT NULL,
    -- How many readings of the message were refused; 1 where it could not be taken apart.
    readings integer NOT NULL,
    -- [{"item": 3, "field": "flow", "reason": "is not a number"}, ..]; item is null for the whole.
    reasons jsonb NOT NULL
);
CREATE INDEX IF NOT EXISTS refusal_received ON refusal (received_at);

-- How far each start of each meter is stored without a hole.
CREATE TABLE IF NOT EXISTS meter_sequence (
    meter_key integer NOT NULL REFERENCES meter,
    boot bigint NOT NULL,
    committed_through bigint NOT NULL,
    highest bigint NOT NULL,
    PRIMARY KEY (meter_key, boot)
-- Every batch moves every row of its meters: with room beside them no index has to follow.
) WITH (fillfactor = 50);

-- Sequence numbers between committed_through and highest that have not come yet.
CREATE TABLE IF NOT EXISTS sequence_gap (
    meter_key integer NOT NULL REFERENCES meter,
    boot bigint NOT NULL,
    seq_from bigint NOT NULL,
    seq_to bigint NOT NULL,
    found_at timestamptz NOT NULL,
    PRIMARY KEY (meter_key, boot, seq_from)
);

-- Left by each ingest transaction for the engine: which meters, and their earliest new reading.
CREATE TABLE IF NOT EXISTS dirty_work (
    dirty_work_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    created_at timestamptz NOT NULL,
    meter_keys integer[] NOT NULL,
    since timestamptz[] NOT NULL
);

-- What the checks carry from one run to the next.
CREATE TABLE IF NOT EXISTS meter_state (
    meter_key integer PRIMARY KEY REFERENCES meter,
    -- Device time of the last reading that the checks have seen.
    evaluated_through timestamptz NOT NULL,
    last_received_at timestamptz NOT NULL,
    -- Layout of `state`; another one than the program's means: evaluate the history again.
    layout integer NOT NULL,
    state bytea NOT NULL
);

CREATE TABLE IF NOT EXISTS alarm (
    alarm_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    company text NOT NULL REFERENCES company (code),
    meter_key integer NOT NULL REFERENCES meter,
    check_code text NOT NULL,
    severity text NOT NULL,
    state text NOT NULL,
    -- Event time: when the condition began and ended by the meter's clock.
    onset_at timestamptz NOT NULL,
    ended_at timestamptz,
    -- Decision time: when the engine raised it.
    raised_at timestamptz NOT NULL,
    occurrences integer NOT NULL DEFAULT 1,
    readings bigint NOT NULL,
    value double precision,
    limit_value double precision,
    -- Which battery, 1 or 2; 0 where the question does not arise.
    part smallint NOT NULL DEFAULT 0,
    acknowledged_by text,
    acknowledged_at timestamptz,
    closed_at timestamptz
);
CREATE UNIQUE INDEX IF NOT EXISTS alarm_one_open ON alarm (meter_key, check_code) WHERE state <> 'closed';
CREATE INDEX IF NOT EXISTS alarm_by_meter ON alarm (meter_key, onset_at);

-- Append-only: every change of every alarm.
CREATE TABLE IF NOT EXISTS alarm_journal (
    journal_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    alarm_id bigint NOT NULL REFERENCES alarm,
    event text NOT NULL,
    from_state text,
    to_state text NOT NULL,
    event_at timestamptz NOT NULL,
    arrived_at timestamptz,
    decided_at timestamptz NOT NULL,
    actor text NOT NULL,
    note text
);
CREATE INDEX IF NOT EXISTS alarm_journal_alarm ON alarm_journal (alarm_id);

-- What had to happen, from the registry alone; so a task that was never made shows as missed.
CREATE TABLE IF NOT EXISTS obligation (
    obligation_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    company text NOT NULL REFERENCES company (code),
    customer text NOT NULL,
    kind text NOT NULL,
    reading_class text NOT NULL,
    period_start date NOT NULL,
    period_end date NOT NULL,
    UNIQUE (company, customer, kind, period_start, period_end)
);

CREATE TABLE IF NOT EXISTS task (
    task_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    company text NOT NULL REFERENCES company (code),
    customer text NOT NULL,
    meter_key integer REFERENCES meter,
    kind text NOT NULL,
    state text NOT NULL,
    -- The reason: exactly one of the two.
    alarm_id bigint REFERENCES alarm,
    obligation_id bigint UNIQUE REFERENCES obligation,
    due_on date NOT NULL,
    assignee text,
    created_at timestamptz NOT NULL,
    CHECK (num_nonnulls(alarm_id, obligation_id) = 1)
);
-- One visit at a time; a condition that comes back after a visit asks for another.
CREATE UNIQUE INDEX IF NOT EXISTS task_one_visit ON task (alarm_id)
    WHERE state IN ('planned', 'assigned', 'in_progress');
CREATE INDEX IF NOT EXISTS task_of_alarm ON task (alarm_id);
CREATE INDEX IF NOT EXISTS task_due ON task (due_on) WHERE state NOT IN ('verified', 'cancelled');

-- Each running service says every few seconds that it lives, and its figures.
CREATE TABLE IF NOT EXISTS service_heartbeat (
    service text PRIMARY KEY,
    started_at timestamptz NOT NULL,
    beat_at timestamptz NOT NULL,
    figures jsonb NOT NULL
);
