-- demo_counts --
-- Counts readings, refused readings and obligations.
SELECT (SELECT count(*) FROM reading) AS stored,
       (SELECT coalesce(sum(readings), 0)::bigint FROM refusal) AS refused,
       (SELECT count(*) FROM obligation) AS obligations

-- demo_alarms_by_check --
-- Counts alarms, open and closed, by check.
SELECT check_code, count(*) AS n FROM alarm GROUP BY check_code ORDER BY check_code

-- demo_tasks_by_kind --
-- Counts tasks by kind.
SELECT kind, count(*) AS n FROM task GROUP BY kind ORDER BY kind

-- demo_heartbeats --
-- Reads the figures that the processes of all services gave last.
SELECT service, figures FROM service_heartbeat

-- demo_alarmed --
-- Lists which meter alarmed for which check.
SELECT DISTINCT meter.meter_id, alarm.check_code FROM alarm JOIN meter USING (meter_key)

-- demo_work_left --
-- Counts rows of work that wait for the engine.
SELECT count(*) AS n FROM dirty_work

-- meter_companies --
-- Tells whose each registered meter is.
SELECT meter_id, company FROM meter
