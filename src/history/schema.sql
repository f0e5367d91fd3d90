-- The history file, version 1. docs/history.md explains it to those who query it.
--
-- Times are whole units of 10 microseconds since 2020-01-01 UTC; the views give epoch seconds. Within a task they are
-- distances from `at`. A text column that holds an integer refers to `text`: what repeats is stored once.

CREATE TABLE meta (key TEXT PRIMARY KEY, value) WITHOUT ROWID;
INSERT INTO meta VALUES ('events_from', 0), ('begun', 0);

-- Names: of tasks, workers, queues, states, exceptions, clients, exchanges, event types. 0 stands for none.
CREATE TABLE word (id INTEGER PRIMARY KEY, body TEXT UNIQUE);
INSERT INTO word VALUES (0, NULL);

-- Texts that came more than once. `used` is the day they were last referred to.
CREATE TABLE text (id INTEGER PRIMARY KEY, hash INTEGER NOT NULL, used INTEGER NOT NULL, body TEXT NOT NULL);
CREATE INDEX text_by_hash ON text(hash);

-- What filters select by, as one number: 4,096 tasks have few different ones.
CREATE TABLE kind (
    id INTEGER PRIMARY KEY, state INTEGER NOT NULL, name INTEGER NOT NULL, worker INTEGER NOT NULL,
    queue INTEGER NOT NULL, exception INTEGER NOT NULL, UNIQUE (state, name, worker, queue, exception)
);

-- Where tasks came from, and the process that announced them last.
CREATE TABLE route (
    id INTEGER PRIMARY KEY, client INTEGER NOT NULL, exchange INTEGER NOT NULL, routing_key INTEGER NOT NULL,
    pid INTEGER NOT NULL, UNIQUE (client, exchange, routing_key, pid)
);

-- One row a task, numbered in the order they were first heard of. `at` is when: received, else sent.
-- flags: 1 it is its own root, 2 its retries are known, 4 it has a row in `more`, 8 expired, 16 terminated.
CREATE TABLE task (
    n INTEGER PRIMARY KEY, id NOT NULL, kind INTEGER NOT NULL, route INTEGER NOT NULL, at INTEGER NOT NULL,
    sent INTEGER, received INTEGER, started INTEGER, finished INTEGER, runtime INTEGER, retries INTEGER NOT NULL,
    flags INTEGER NOT NULL, args, kwargs, result
);

-- What few tasks have.
CREATE TABLE more (
    n INTEGER PRIMARY KEY, exception, traceback, root, parent, eta TEXT, expires TEXT, signum TEXT,
    succeeded INTEGER, failed INTEGER, retried INTEGER, revoked INTEGER, rejected INTEGER
);

-- Events that the row of their task does not tell: of earlier runs, retries, and the application's own.
CREATE TABLE event (
    id INTEGER PRIMARY KEY, task INTEGER NOT NULL, at INTEGER NOT NULL, type INTEGER NOT NULL, worker INTEGER NOT NULL,
    exception, traceback, detail TEXT
);
CREATE INDEX event_by_task ON event(task);

-- For each 4,096 tasks: when they were heard of, and how many there are of each kind (pairs of variable-length
-- numbers: distance from the kind before, count). What is older than `pruned` was taken away, failures excepted. Whoever looks for something leaves out what can't have it.
CREATE TABLE block (
    n INTEGER PRIMARY KEY, first INTEGER NOT NULL, last INTEGER NOT NULL, rows INTEGER NOT NULL, kinds BLOB NOT NULL,
    pruned INTEGER NOT NULL
);

-- For each 65,536 tasks, where an id is: entries of 6 bytes, sorted, by the first 9 bits of the id (n is the segment times
-- 512, and these); and a Bloom filter.
CREATE TABLE ids (n INTEGER PRIMARY KEY, entries BLOB NOT NULL);
CREATE TABLE bloom (segment INTEGER PRIMARY KEY, bits BLOB NOT NULL);

CREATE TABLE worker_event (
    id INTEGER PRIMARY KEY, at INTEGER NOT NULL, type INTEGER NOT NULL, worker INTEGER NOT NULL, pid INTEGER,
    active INTEGER, processed INTEGER, load1 REAL, load5 REAL, load15 REAL, software INTEGER NOT NULL
);

-- What each task name did, minute by minute (minutes since 1970). Runtimes: pairs of variable-length numbers, the
-- bucket's distance from the one before and its count; bucket b of 10-microsecond units is exact below 16, then 8 to
-- each doubling.
CREATE TABLE minute (
    at INTEGER NOT NULL, name INTEGER NOT NULL, sent INTEGER NOT NULL, received INTEGER NOT NULL,
    started INTEGER NOT NULL, succeeded INTEGER NOT NULL, failed INTEGER NOT NULL, retried INTEGER NOT NULL,
    revoked INTEGER NOT NULL, rejected INTEGER NOT NULL, busy REAL NOT NULL, runtimes BLOB NOT NULL,
    PRIMARY KEY (at, name)
) WITHOUT ROWID;

CREATE TABLE depth (
    at INTEGER NOT NULL, queue INTEGER NOT NULL, ready INTEGER NOT NULL, unacked INTEGER, consumers INTEGER,
    PRIMARY KEY (at, queue)
) WITHOUT ROWID;

CREATE TABLE mark (id INTEGER PRIMARY KEY, at INTEGER NOT NULL, body TEXT NOT NULL);
