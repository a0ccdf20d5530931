-- Telemetry on TimescaleDB: hypertable, columnstore, retention. Every statement is safe to repeat.
-- transaction: off

CREATE TABLE IF NOT EXISTS reading (
    meter_key integer NOT NULL,
    device_time timestamptz NOT NULL,
    seq bigint NOT NULL,
    boot bigint,
    received_at timestamptz NOT NULL,
    flow_m3h double precision,
    volume_m3 double precision,
    std_flow_m3h double precision,
    std_volume_m3 double precision,
    pressure_kpa double precision,
    temperature_c double precision,
    balance double precision,
    battery_v double precision,
    battery2_v double precision,
    battery_days double precision,
    valve smallint,
    status_bits bigint,
    PRIMARY KEY (meter_key, device_time, seq)
);

SELECT create_hypertable('reading', by_range('device_time', INTERVAL '7 days'), if_not_exists => true);

ALTER TABLE reading SET (
    timescaledb.enable_columnstore = true,
    timescaledb.segmentby = 'meter_key',
    timescaledb.orderby = 'device_time, seq'
);

-- Longer than the 90 days for which a reading is accepted, so that late ones meet rows, not columns.
CALL add_columnstore_policy('reading', after => INTERVAL '100 days', if_not_exists => true);

SELECT add_retention_policy('reading', drop_after => INTERVAL '5 years', if_not_exists => true);
