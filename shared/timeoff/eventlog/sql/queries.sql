-- name: get_topic(name)^
SELECT topic_id, name, partitions FROM eventlog.topics WHERE name = :name;

-- name: existing_topics(names)
SELECT name FROM eventlog.topics WHERE name = ANY(:names::text[]);

-- name: create_topic(name, partitions, retention_seconds)!
WITH made AS (
    INSERT INTO eventlog.topics (name, partitions, retention)
    VALUES (:name, :partitions, make_interval(secs => :retention_seconds))
    ON CONFLICT (name) DO NOTHING
    RETURNING topic_id, partitions
)
INSERT INTO eventlog.partitions (topic_id, partition)
SELECT topic_id, generate_series(0, partitions - 1) FROM made;

-- name: append(partitions, keys, values, headers, topic_id)$
-- The rows are locked in the order of the partitions, so that two appenders cannot lock each other out.
WITH incoming AS (
    SELECT * FROM unnest(:partitions::int[], :keys::bytea[], :values::bytea[], :headers::bytea[])
        WITH ORDINALITY AS m (partition, key, value, headers, nr)
), counted AS (
    SELECT partition, count(*) AS n FROM incoming GROUP BY partition
), locked AS (
    SELECT p.partition FROM eventlog.partitions p
    WHERE p.topic_id = :topic_id AND p.partition IN (SELECT partition FROM counted)
    ORDER BY p.partition
    FOR UPDATE
), moved AS (
    UPDATE eventlog.partitions p SET high = p.high + c.n
    FROM locked l JOIN counted c USING (partition)
    WHERE p.topic_id = :topic_id AND p.partition = l.partition
    RETURNING p.partition, p.high - c.n AS base
), written AS (
    INSERT INTO eventlog.records (topic_id, partition, position, appended_at, key, value, headers)
    SELECT :topic_id, i.partition, m.base - 1 + row_number() OVER (PARTITION BY i.partition ORDER BY i.nr),
           clock_timestamp(), i.key, i.value, i.headers
    FROM incoming i JOIN moved m USING (partition)
    RETURNING 1
), told AS (
    SELECT pg_notify('eventlog', 't' || :topic_id::int)
)
SELECT (SELECT count(*) FROM written) FROM told;

-- name: bounds_of(topic_id, partitions)
SELECT partition, low, high FROM eventlog.partitions
WHERE topic_id = :topic_id AND partition = ANY(:partitions::int[])
ORDER BY partition;

-- name: fetch_records(partitions, firsts, lasts, topic_id)
SELECT w.partition, r.position, r.appended_at, r.key, r.value, r.headers
FROM unnest(:partitions::int[], :firsts::bigint[], :lasts::bigint[]) AS w (partition, first, last)
JOIN eventlog.records r
    ON r.topic_id = :topic_id AND r.partition = w.partition AND r.position >= w.first AND r.position < w.last
ORDER BY w.partition, r.position;

-- name: raise_low(partitions, befores, topic_id)!
UPDATE eventlog.partitions p SET low = greatest(p.low, least(w.before, p.high))
FROM unnest(:partitions::int[], :befores::bigint[]) AS w (partition, before)
WHERE p.topic_id = :topic_id AND p.partition = w.partition;

-- name: delete_below_low(topic_id)!
DELETE FROM eventlog.records r USING eventlog.partitions p
WHERE p.topic_id = :topic_id AND r.topic_id = p.topic_id AND r.partition = p.partition AND r.position < p.low;

-- name: outlived()
-- Where the records that are still young enough begin; `high` if there are none.
SELECT p.topic_id, p.partition, coalesce(young.position, p.high) AS before
FROM eventlog.topics t
JOIN eventlog.partitions p USING (topic_id)
LEFT JOIN LATERAL (
    SELECT r.position FROM eventlog.records r
    WHERE r.topic_id = p.topic_id AND r.partition = p.partition AND r.position >= p.low
      AND r.appended_at >= clock_timestamp() - t.retention
    ORDER BY r.position LIMIT 1
) young ON true
WHERE t.retention IS NOT NULL AND coalesce(young.position, p.high) > p.low;

-- name: make_leases(group_name, topic_id)!
INSERT INTO eventlog.leases (topic_id, group_name, partition)
SELECT topic_id, :group_name, partition FROM eventlog.partitions WHERE topic_id = :topic_id
ON CONFLICT DO NOTHING;

-- name: end_if_idle(milliseconds)$
-- For this transaction: the server ends it, and frees its locks, when the client says nothing for so long.
SELECT set_config('idle_in_transaction_session_timeout', :milliseconds::text, true);

-- name: lock_leases(topic_id, group_name)
SELECT partition, member, generation, committed FROM eventlog.leases
WHERE topic_id = :topic_id AND group_name = :group_name
ORDER BY partition
FOR UPDATE;

-- name: join_group(topic_id, group_name, member, session, lease)!
INSERT INTO eventlog.members (topic_id, group_name, member, session, expires_at)
VALUES (:topic_id, :group_name, :member, :session, clock_timestamp() + make_interval(secs => :lease))
ON CONFLICT (topic_id, group_name, member)
DO UPDATE SET session = excluded.session, expires_at = excluded.expires_at;

-- name: renew_member(topic_id, group_name, member, session, lease)$
-- Nothing comes back if another process joined under this name.
INSERT INTO eventlog.members AS m (topic_id, group_name, member, session, expires_at)
VALUES (:topic_id, :group_name, :member, :session, clock_timestamp() + make_interval(secs => :lease))
ON CONFLICT (topic_id, group_name, member)
DO UPDATE SET expires_at = excluded.expires_at WHERE m.session = excluded.session
RETURNING true;

-- name: drop_expired_members(topic_id, group_name)!
DELETE FROM eventlog.members
WHERE topic_id = :topic_id AND group_name = :group_name AND expires_at < clock_timestamp();

-- name: live_members(topic_id, group_name)
SELECT member FROM eventlog.members WHERE topic_id = :topic_id AND group_name = :group_name;

-- name: take_leases(member, topic_id, group_name, partitions)!
UPDATE eventlog.leases SET member = :member, generation = generation + 1
WHERE topic_id = :topic_id AND group_name = :group_name AND partition = ANY(:partitions::int[]);

-- name: release_leases(partitions, generations, topic_id, group_name, member)!
UPDATE eventlog.leases l SET member = NULL
FROM unnest(:partitions::int[], :generations::bigint[]) AS w (partition, generation)
WHERE l.topic_id = :topic_id AND l.group_name = :group_name AND l.partition = w.partition
  AND l.generation = w.generation AND l.member = :member;

-- name: leave_group(topic_id, group_name, member, session)!
DELETE FROM eventlog.members
WHERE topic_id = :topic_id AND group_name = :group_name AND member = :member AND session = :session;

-- name: commit_offsets(partitions, generations, positions, topic_id, group_name, member)$
-- How many of the offsets belong to leases of this member and generation, all of them stored if it is all.
WITH wanted AS (
    SELECT * FROM unnest(:partitions::int[], :generations::bigint[], :positions::bigint[])
        AS w (partition, generation, position)
), held AS (
    SELECT l.partition, w.position FROM eventlog.leases l JOIN wanted w USING (partition)
    WHERE l.topic_id = :topic_id AND l.group_name = :group_name
      AND l.member = :member AND l.generation = w.generation
    ORDER BY l.partition
    FOR UPDATE OF l
), stored AS (
    UPDATE eventlog.leases l SET committed = h.position
    FROM held h
    WHERE l.topic_id = :topic_id AND l.group_name = :group_name AND l.partition = h.partition
      AND (SELECT count(*) FROM held) = (SELECT count(*) FROM wanted)
)
SELECT count(*) FROM held;

-- name: tell_group(topic_id, group_name)!
SELECT pg_notify('eventlog', 'g' || :topic_id::int || '/' || :group_name::text);
