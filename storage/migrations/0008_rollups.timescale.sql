-- Roll-ups on TimescaleDB: hypertables with retention. Every statement is safe to repeat.
-- transaction: off

-- The columns are those of `analytics.rollups.columns.HourRollups`; `begin_at` is the instant at which the
-- company's local hour or day begins.
CREATE TABLE IF NOT EXISTS reading_hour (
    meter_key integer NOT NULL,
    begin_at timestamptz NOT NULL,
    readings integer NOT NULL,
    dropouts integer NOT NULL,
    first_at timestamptz NOT NULL,
    last_at timestamptz NOT NULL,
    register_first_at timestamptz,
    register_first double precision,
    register_last_at timestamptz,
    register_last double precision,
    register_turns integer NOT NULL,
    std_register_first_at timestamptz,
    std_register_first double precision,
    std_register_last_at timestamptz,
    std_register_last double precision,
    std_register_turns integer NOT NULL,
    flow_n integer NOT NULL,
    flow_sum double precision,
    flow_min double precision,
    flow_max double precision,
    pressure_n integer NOT NULL,
    pressure_sum double precision,
    temperature_n integer NOT NULL,
    temperature_sum double precision,
    balance_first_at timestamptz,
    balance_first double precision,
    balance_first_register double precision,
    balance_first_standard integer,
    balance_last_at timestamptz,
    balance_last double precision,
    balance_last_register double precision,
    balance_last_standard integer,
    balance_spent double precision NOT NULL,
    balance_added double precision NOT NULL,
    spent_volume double precision NOT NULL,
    added_volume double precision NOT NULL,
    battery_min double precision,
    battery_last double precision,
    battery2_min double precision,
    battery2_last double precision,
    battery_days_last double precision,
    lag_min_us bigint NOT NULL,
    PRIMARY KEY (meter_key, begin_at)
);

CREATE TABLE IF NOT EXISTS reading_day (LIKE reading_hour INCLUDING ALL);

SELECT create_hypertable('reading_hour', by_range('begin_at', INTERVAL '30 days'), if_not_exists => true);

SELECT create_hypertable('reading_day', by_range('begin_at', INTERVAL '1 year'), if_not_exists => true);

-- Hours as long as their readings, days for four times as long.
SELECT add_retention_policy('reading_hour', drop_after => INTERVAL '5 years', if_not_exists => true);

SELECT add_retention_policy('reading_day', drop_after => INTERVAL '20 years', if_not_exists => true);
