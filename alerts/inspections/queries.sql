-- alarm_tasks_insert --
-- Makes one task per alarm; where there is one already, a more severe alarm brings its day forward.
INSERT INTO task (company, customer, meter_key, kind, state, alarm_id, due_on, created_at)
SELECT meter.company, meter.customer, alarm.meter_key, new.kind, 'planned', alarm.alarm_id,
    (new.decided_at AT TIME ZONE company.timezone)::date + new.within_days, new.decided_at
FROM (VALUES %s) AS new (alarm_id, kind, within_days, decided_at)
JOIN alarm ON alarm.alarm_id = new.alarm_id
JOIN meter ON meter.meter_key = alarm.meter_key
JOIN company ON company.code = meter.company
ON CONFLICT (alarm_id) DO UPDATE SET due_on = least(task.due_on, excluded.due_on)
    WHERE task.state IN ('planned', 'assigned') AND excluded.due_on < task.due_on
RETURNING task_id, xmax = 0 AS created

-- customers_of_timezone --
-- Reads what the obligations need of every meter whose company lives in a time zone; NULL for all.
SELECT meter.meter_id, meter.company, meter.customer, meter.customer_kind, meter.reading_class,
    meter.technology, meter.installed_on
FROM meter JOIN company ON company.code = meter.company
WHERE %(timezone)s::text IS NULL OR company.timezone = %(timezone)s

-- obligations_running --
-- Lists the obligations whose period a day lies in, and whether each has its task.
SELECT obligation.obligation_id, obligation.company, obligation.customer, obligation.kind,
    obligation.reading_class, obligation.period_start, obligation.period_end,
    task.task_id IS NOT NULL AS has_task
FROM obligation LEFT JOIN task ON task.obligation_id = obligation.obligation_id
WHERE %(today)s BETWEEN obligation.period_start AND obligation.period_end

-- obligations_insert --
-- Writes obligations that are not there yet.
INSERT INTO obligation (company, customer, kind, reading_class, period_start, period_end) VALUES %s
ON CONFLICT (company, customer, kind, period_start) DO NOTHING
RETURNING obligation_id, company, customer, kind, reading_class, period_start, period_end

-- obligation_tasks_insert --
-- Makes one task per obligation.
INSERT INTO task (company, customer, kind, state, obligation_id, due_on, created_at) VALUES %s
ON CONFLICT (obligation_id) DO NOTHING
RETURNING task_id

-- task_state --
-- Reads the state of one task and keeps others from changing it until the transaction ends.
SELECT state, assignee FROM task WHERE task_id = %(task_id)s FOR UPDATE

-- task_move --
-- Brings a task to a new state, if it is still in the state that was decided upon.
UPDATE task SET state = %(state)s, assignee = %(assignee)s
WHERE task_id = %(task_id)s AND state = %(expected)s
RETURNING task_id
