-- A heartbeat for each process of a service, not one for all of them.

-- Named like the identity for ingest; empty where processes of a service have no names.
ALTER TABLE service_heartbeat ADD COLUMN IF NOT EXISTS instance text NOT NULL DEFAULT '';
ALTER TABLE service_heartbeat ALTER COLUMN instance DROP DEFAULT;
ALTER TABLE service_heartbeat DROP CONSTRAINT service_heartbeat_pkey;
ALTER TABLE service_heartbeat ADD PRIMARY KEY (service, instance);
