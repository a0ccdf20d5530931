-- alarm_tasks_insert --
-- Makes the visit for each alarm; where one is still to be made, a more severe alarm brings its day forward.
INSERT INTO task (company, customer, meter_key, kind, state, alarm_id, due_on, created_at)
SELECT meter.company, meter.customer, alarm.meter_key, new.kind, 'planned', alarm.alarm_id,
    (%(decided_at)s::timestamptz AT TIME ZONE company.timezone)::date + new.within_days,
    %(decided_at)s::timestamptz
FROM json_to_recordset(%(rows)s::json) AS new (alarm_id bigint, kind text, within_days integer)
JOIN alarm ON alarm.alarm_id = new.alarm_id
JOIN meter ON meter.meter_key = alarm.meter_key
JOIN company ON company.code = meter.company
ON CONFLICT (alarm_id) WHERE state IN ('planned', 'assigned', 'in_progress')
DO UPDATE SET due_on = least(task.due_on, excluded.due_on)
    WHERE task.state IN ('planned', 'assigned') AND excluded.due_on < task.due_on
RETURNING task_id, xmax = 0 AS created

-- alarm_tasks_cancel --
-- Cancels the visits for alarms that were withdrawn, where nobody was sent yet.
UPDATE task SET state = 'cancelled' WHERE alarm_id = ANY(%(alarm_ids)s) AND state = 'planned'

-- customers_every --
-- Lists the last customer of each so many of a time zone's companies; NULL for all.
SELECT company, customer
FROM (
    SELECT meter.company, meter.customer, row_number() OVER (ORDER BY meter.company, meter.customer) AS number
    FROM meter JOIN company ON company.code = meter.company
    WHERE %(timezone)s::text IS NULL OR company.timezone = %(timezone)s
    GROUP BY meter.company, meter.customer
) AS numbered
WHERE number %% %(size)s = 0 ORDER BY company, customer

-- customers_of_slice --
-- Reads what the obligations need of every meter of some customers, in a time zone or (NULL) in any.
SELECT meter.meter_id, meter.company, meter.customer, meter.customer_kind, meter.reading_class,
    meter.technology, meter.installed_on
FROM meter JOIN company ON company.code = meter.company
WHERE (%(timezone)s::text IS NULL OR company.timezone = %(timezone)s)
    AND (meter.company, meter.customer) > (%(after_company)s, %(after_customer)s)
    AND (%(through_company)s::text IS NULL
        OR (meter.company, meter.customer) <= (%(through_company)s, %(through_customer)s))

-- obligations_running --
-- Lists the obligations of some customers whose period a day lies in, and how far the task of each is.
SELECT obligation.obligation_id, obligation.company, obligation.customer, obligation.kind,
    obligation.reading_class, obligation.period_start, obligation.period_end, task.state AS task_state
FROM obligation JOIN company ON company.code = obligation.company
LEFT JOIN task ON task.obligation_id = obligation.obligation_id
WHERE %(today)s BETWEEN obligation.period_start AND obligation.period_end
    AND (%(timezone)s::text IS NULL OR company.timezone = %(timezone)s)
    AND (obligation.company, obligation.customer) > (%(after_company)s, %(after_customer)s)
    AND (%(through_company)s::text IS NULL
        OR (obligation.company, obligation.customer) <= (%(through_company)s, %(through_customer)s))

-- obligations_newest --
-- Tells up to which month a time zone's companies were planned: something is due every month.
SELECT max(obligation.period_start) AS period_start
FROM obligation JOIN company ON company.code = obligation.company
WHERE obligation.kind = 'record_check' AND (%(timezone)s::text IS NULL OR company.timezone = %(timezone)s)

-- customers_known --
-- Lists those of some customers that obligations were ever written for.
SELECT DISTINCT obligation.company, obligation.customer
FROM obligation JOIN company ON company.code = obligation.company
WHERE (%(timezone)s::text IS NULL OR company.timezone = %(timezone)s)
    AND (obligation.company, obligation.customer) > (%(after_company)s, %(after_customer)s)
    AND (%(through_company)s::text IS NULL
        OR (obligation.company, obligation.customer) <= (%(through_company)s, %(through_customer)s))

-- obligation_tasks_withdraw --
-- Removes the tasks of obligations that are taken back, where nobody was named yet.
DELETE FROM task WHERE obligation_id = ANY(%(obligation_ids)s) AND state = 'planned'

-- obligations_withdraw --
-- Takes obligations back that have no task.
DELETE FROM obligation WHERE obligation_id = ANY(%(obligation_ids)s)
    AND NOT EXISTS (SELECT 1 FROM task WHERE task.obligation_id = obligation.obligation_id)

-- obligations_insert --
-- Writes obligations that are not there yet.
INSERT INTO obligation (company, customer, kind, reading_class, period_start, period_end) VALUES %s
ON CONFLICT (company, customer, kind, period_start, period_end) DO NOTHING
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
