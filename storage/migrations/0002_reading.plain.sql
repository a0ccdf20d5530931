-- Telemetry on plain PostgreSQL: range partitions by month, made ahead by storage.partitions.

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
) PARTITION BY RANGE (device_time);
