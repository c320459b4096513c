-- The embedded log. Forward only; applied once, under an advisory lock.

CREATE TABLE eventlog.topics (
    topic_id   integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name       text NOT NULL UNIQUE,
    partitions integer NOT NULL CHECK (partitions > 0),
    -- NULL keeps records for ever.
    retention  interval
);

-- `high` is the next position to be written. Whoever appends holds the row's lock until the commit, so that
-- positions become visible in order and a reader never passes one that is still uncommitted.
CREATE TABLE eventlog.partitions (
    topic_id  integer NOT NULL REFERENCES eventlog.topics ON DELETE CASCADE,
    partition integer NOT NULL,
    low       bigint NOT NULL DEFAULT 0,
    high      bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (topic_id, partition)
) WITH (fillfactor = 50);

-- Keys and headers are bytes: text could not hold NUL.
CREATE TABLE eventlog.records (
    topic_id    integer NOT NULL,
    partition   integer NOT NULL,
    position    bigint NOT NULL,
    appended_at timestamptz NOT NULL,
    key         bytea NOT NULL,
    value       bytea NOT NULL,
    headers     bytea NOT NULL,
    PRIMARY KEY (topic_id, partition, position)
);

-- `session` tells two processes of the same member name apart: the later one wins.
CREATE TABLE eventlog.members (
    topic_id   integer NOT NULL REFERENCES eventlog.topics ON DELETE CASCADE,
    group_name text NOT NULL,
    member     text NOT NULL,
    session    uuid NOT NULL,
    expires_at timestamptz NOT NULL,
    PRIMARY KEY (topic_id, group_name, member)
);

-- A partition changes hands with a new generation; a commit names the generation it was read in.
CREATE TABLE eventlog.leases (
    topic_id   integer NOT NULL REFERENCES eventlog.topics ON DELETE CASCADE,
    group_name text NOT NULL,
    partition  integer NOT NULL,
    member     text,
    generation bigint NOT NULL DEFAULT 0,
    committed  bigint,
    PRIMARY KEY (topic_id, group_name, partition)
) WITH (fillfactor = 50);
