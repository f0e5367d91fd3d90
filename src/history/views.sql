-- How the tables read for people. Made anew whenever the file is opened for writing.

DROP VIEW IF EXISTS tasks;
CREATE VIEW tasks AS SELECT
    CASE typeof(t.id) WHEN 'blob' THEN lower(substr(hex(t.id),1,8)||'-'||substr(hex(t.id),9,4)||'-'||
        substr(hex(t.id),13,4)||'-'||substr(hex(t.id),17,4)||'-'||substr(hex(t.id),21)) ELSE t.id END AS id,
    name.body AS name, state.body AS state, worker.body AS worker,
    queue.body AS queue,
    CASE typeof(t.args) WHEN 'integer' THEN (SELECT body FROM text WHERE text.id = t.args) ELSE t.args END AS args,
    CASE typeof(t.kwargs) WHEN 'integer' THEN (SELECT body FROM text WHERE text.id = t.kwargs) ELSE t.kwargs END AS kwargs,
    CASE typeof(t.result) WHEN 'integer' THEN (SELECT body FROM text WHERE text.id = t.result) ELSE t.result END AS result,
    CASE typeof(m.exception) WHEN 'integer' THEN (SELECT body FROM text WHERE text.id = m.exception) ELSE m.exception END AS exception,
    CASE typeof(m.traceback) WHEN 'integer' THEN (SELECT body FROM text WHERE text.id = m.traceback) ELSE m.traceback END AS traceback,
    CASE WHEN t.flags & 2 THEN t.retries END AS retries,
    (t.at + t.sent) / 1e5 + 1577836800 AS sent, (t.at + t.received) / 1e5 + 1577836800 AS received,
    (t.at + t.started) / 1e5 + 1577836800 AS started, (t.at + t.finished) / 1e5 + 1577836800 AS finished,
    t.runtime / 1e5 AS runtime,
    CASE WHEN t.flags & 1 THEN CASE typeof(t.id) WHEN 'blob' THEN lower(substr(hex(t.id),1,8)||'-'||substr(hex(t.id),9,4)||'-'||
        substr(hex(t.id),13,4)||'-'||substr(hex(t.id),17,4)||'-'||substr(hex(t.id),21)) ELSE t.id END
      ELSE CASE typeof(m.root) WHEN 'blob' THEN lower(substr(hex(m.root),1,8)||'-'||substr(hex(m.root),9,4)||'-'||
        substr(hex(m.root),13,4)||'-'||substr(hex(m.root),17,4)||'-'||substr(hex(m.root),21)) ELSE m.root END END AS root_id,
    CASE typeof(m.parent) WHEN 'blob' THEN lower(substr(hex(m.parent),1,8)||'-'||substr(hex(m.parent),9,4)||'-'||
        substr(hex(m.parent),13,4)||'-'||substr(hex(m.parent),17,4)||'-'||substr(hex(m.parent),21)) ELSE m.parent END AS parent_id,
    m.eta AS eta, m.expires AS expires, exc.body AS exception_type, client.body AS client,
    t.n AS n
FROM task t JOIN kind k ON k.id = t.kind JOIN word name ON name.id = k.name JOIN word state ON state.id = k.state
    JOIN word worker ON worker.id = k.worker JOIN word queue ON queue.id = k.queue JOIN word exc ON exc.id = k.exception
    JOIN route r ON r.id = t.route JOIN word client ON client.id = r.client LEFT JOIN more m ON m.n = t.n;

DROP VIEW IF EXISTS celery_task_events;
CREATE VIEW celery_task_events AS SELECT * FROM (
    SELECT sent AS timestamp, 'task-sent' AS type, id AS task_id, name, client AS worker, queue, args, kwargs,
        NULL AS result, NULL AS exception, NULL AS traceback, NULL AS runtime, retries, n FROM tasks WHERE sent IS NOT NULL
    UNION ALL
    SELECT received, 'task-received', id, name, worker, queue, args, kwargs, NULL, NULL, NULL, NULL, retries, n
        FROM tasks WHERE received IS NOT NULL
    UNION ALL
    SELECT started, 'task-started', id, name, worker, queue, NULL, NULL, NULL, NULL, NULL, NULL, retries, n
        FROM tasks WHERE started IS NOT NULL
    UNION ALL
    SELECT finished, CASE state WHEN 'SUCCESS' THEN 'task-succeeded' WHEN 'FAILURE' THEN 'task-failed'
        WHEN 'REVOKED' THEN 'task-revoked' ELSE 'task-rejected' END, id, name, worker, queue, NULL, NULL, result,
        exception, traceback, runtime, retries, n
        FROM tasks WHERE finished IS NOT NULL AND state IN ('SUCCESS', 'FAILURE', 'REVOKED', 'REJECTED')
    UNION ALL
    SELECT e.at / 1e5 + 1577836800, type.body, t.id, t.name, worker.body, t.queue, NULL, NULL, NULL,
        CASE typeof(e.exception) WHEN 'integer' THEN (SELECT body FROM text WHERE text.id = e.exception) ELSE e.exception END,
        CASE typeof(e.traceback) WHEN 'integer' THEN (SELECT body FROM text WHERE text.id = e.traceback) ELSE e.traceback END,
        NULL, t.retries, t.n
        FROM event e JOIN tasks t ON t.n = e.task JOIN word type ON type.id = e.type JOIN word worker ON worker.id = e.worker
) WHERE timestamp >= (SELECT value FROM meta WHERE key = 'events_from') / 1e5 + 1577836800;

DROP VIEW IF EXISTS celery_worker_events;
CREATE VIEW celery_worker_events AS SELECT
    e.at / 1e5 + 1577836800 AS timestamp, type.body AS type, worker.body AS worker, e.active, e.processed, e.pid,
    e.load1, e.load5, e.load15, software.body AS software
FROM worker_event e JOIN word type ON type.id = e.type JOIN word worker ON worker.id = e.worker
    JOIN word software ON software.id = e.software;

DROP VIEW IF EXISTS task_minutes;
CREATE VIEW task_minutes AS SELECT m.at * 60.0 AS timestamp, name.body AS name, m.sent, m.received, m.started,
    m.succeeded, m.failed, m.retried, m.revoked, m.rejected, m.busy AS seconds_run
FROM minute m JOIN word name ON name.id = m.name;

DROP VIEW IF EXISTS queue_depths;
CREATE VIEW queue_depths AS SELECT d.at / 1e5 + 1577836800 AS timestamp, queue.body AS queue, d.ready, d.unacked, d.consumers
FROM depth d JOIN word queue ON queue.id = d.queue;

DROP VIEW IF EXISTS marks;
CREATE VIEW marks AS SELECT at / 1e5 + 1577836800 AS timestamp, body FROM mark;
