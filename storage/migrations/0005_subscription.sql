-- Topic filters that the MQTT session of each ingest process may hold: brokers do not tell.

CREATE TABLE IF NOT EXISTS ingest_subscription (
    identity text NOT NULL,
    filter text NOT NULL,
    PRIMARY KEY (identity, filter)
);
