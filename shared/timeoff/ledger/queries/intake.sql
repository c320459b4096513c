-- name: offsets_for_update
SELECT partition, next_offset FROM log_offsets
WHERE log_group = $1 AND topic = $2 AND partition = ANY ($3::int[])
ORDER BY partition FOR UPDATE;

-- name: offsets
SELECT partition, next_offset FROM log_offsets
WHERE log_group = $1 AND topic = $2 AND partition = ANY ($3::int[]);

-- name: first_offsets
INSERT INTO log_offsets (log_group, topic, partition, next_offset)
SELECT $1, $2, * FROM unnest($3::int[], $4::bigint[])
ON CONFLICT DO NOTHING;

-- name: store_offsets
INSERT INTO log_offsets (log_group, topic, partition, next_offset)
SELECT $1, $2, * FROM unnest($3::int[], $4::bigint[])
ON CONFLICT (log_group, topic, partition) DO UPDATE SET next_offset = EXCLUDED.next_offset;

-- name: views
SELECT request_id, agent_id, management_unit_id, zone, version, confirmed, confirmed_at, watermark,
       provisional, unconfirmed, missing
FROM requests WHERE org = $1 AND request_id = ANY ($2::text[]);

-- name: lock_views!
-- What is announced for these before this statement returns, `store_views` sees: it begins later.
SELECT FROM requests WHERE org = $1 AND request_id = ANY ($2::text[]) ORDER BY request_pk FOR NO KEY UPDATE;

-- name: store_views
-- New and changed requests. A change raises the revision and, where `due`, makes the request open again.
WITH input AS (
    SELECT * FROM jsonb_to_recordset($2::jsonb) AS i (
        request_id text, agent_id text, management_unit_id text, zone text, version bigint, confirmed jsonb,
        confirmed_at timestamptz, watermark timestamptz, provisional jsonb, unconfirmed boolean,
        missing boolean, first_seen text, target text, look_first boolean, due boolean, removed boolean,
        first_day date, last_day date)
), locked AS (
    SELECT request_pk, request_id FROM requests
    WHERE org = $1 AND request_id IN (SELECT request_id FROM input)
    ORDER BY request_pk FOR NO KEY UPDATE
), moved AS (
    -- The agent's unit books elsewhere now, or it is another agent's: another lane. What is booked, or being
    -- written, stays where it is.
    SELECT r.request_pk, coalesce(i.target, r.target) AS target
    FROM requests r JOIN locked USING (request_pk) JOIN input i ON i.request_id = r.request_id
    WHERE ((i.target IS NOT NULL AND i.target IS DISTINCT FROM r.target) OR i.agent_id <> r.agent_id)
      AND (r.handed IS NULL OR r.write_path <> 'flows')  -- a workflow named the employee
      AND NOT EXISTS (SELECT FROM entries e WHERE e.request_pk = r.request_pk AND (e.live OR NOT e.effective))
      AND NOT EXISTS (SELECT FROM intents n WHERE n.request_pk = r.request_pk AND n.settled_at IS NULL)
), changed AS (
    UPDATE requests r
    SET agent_id = i.agent_id, management_unit_id = i.management_unit_id, zone = i.zone,
        version = i.version, confirmed = i.confirmed, confirmed_at = i.confirmed_at,
        watermark = i.watermark, provisional = i.provisional, unconfirmed = i.unconfirmed,
        missing = i.missing, first_day = i.first_day, last_day = i.last_day,
        priority = CASE WHEN NOT i.removed THEN 1
                        WHEN r.writes > 0 OR EXISTS (
                            SELECT FROM entries e WHERE e.request_pk = r.request_pk AND e.live) THEN 0
                        ELSE 2 END,
        state = CASE WHEN i.due THEN 'open' ELSE r.state END,
        attempts = CASE WHEN i.due THEN 0 ELSE r.attempts END,
        -- A person's word stands while Genesys says the same, whatever unit it comes from now.
        done_by_hand = r.done_by_hand AND (NOT i.due OR (i.version, i.confirmed, i.provisional)
            IS NOT DISTINCT FROM (r.version, r.confirmed, r.provisional)),
        -- What a workflow said of it is there now.
        handed = CASE WHEN NOT i.due OR r.write_path = 'flows' THEN r.handed END,
        due_at = CASE WHEN i.due OR m.target IS NOT NULL THEN now() ELSE r.due_at END,
        target = coalesce(m.target, r.target),
        look_first = r.look_first OR (m.target IS NOT NULL AND r.lane_id IS NOT NULL),
        lane_id = CASE WHEN m.target IS NULL THEN r.lane_id END,
        changed_at = CASE WHEN i.due AND r.due_at IS NULL THEN now() ELSE r.changed_at END,
        revision = r.revision + CASE WHEN i.due OR m.target IS NOT NULL THEN 1 ELSE 0 END
    FROM input i JOIN locked USING (request_id) LEFT JOIN moved m USING (request_pk)
    WHERE r.request_pk = locked.request_pk
    RETURNING r.request_id
)
INSERT INTO requests (org, request_id, agent_id, management_unit_id, zone, version, confirmed, confirmed_at,
                      watermark, provisional, unconfirmed, missing, first_seen, target, lane_id, look_first,
                      due_at, priority, first_day, last_day)
SELECT $1, i.request_id, i.agent_id, i.management_unit_id, i.zone, i.version, i.confirmed, i.confirmed_at,
       i.watermark, i.provisional, i.unconfirmed, i.missing, i.first_seen, i.target, l.lane_id,
       i.look_first, CASE WHEN i.due THEN now() END, CASE WHEN i.removed THEN 2 ELSE 1 END,
       i.first_day, i.last_day
FROM input i
LEFT JOIN agent_links a ON a.org = $1 AND a.agent_id = i.agent_id AND a.target = i.target
LEFT JOIN lanes l ON l.org = $1 AND l.target = i.target AND l.employee_id = a.employee_id
WHERE i.request_id NOT IN (SELECT request_id FROM locked)
ORDER BY i.request_id;

-- name: store_observations
INSERT INTO observations (org, request_id, source, verdict, version, modified_at, read_at, content, partition,
                          log_offset)
SELECT $1, * FROM jsonb_to_recordset($2::jsonb) AS o (
    request_id text, source text, verdict text, version bigint, modified_at timestamptz, read_at timestamptz,
    content jsonb, partition int, log_offset bigint);

-- name: ask_confirmations
INSERT INTO confirmations (org, agent_id)
SELECT $1, agent_id FROM unnest($2::text[]) AS wanted (agent_id) ORDER BY agent_id
ON CONFLICT (org, agent_id) DO UPDATE SET due_at = now(), claimed_until = NULL, attempts = 0;

-- name: clear_confirmations
DELETE FROM confirmations c
WHERE c.org = $1 AND c.agent_id = ANY ($2::text[])
  AND NOT EXISTS (SELECT 1 FROM requests r WHERE r.org = c.org AND r.agent_id = c.agent_id AND r.unconfirmed);

-- name: retry_confirmations!
-- A read that was older than what a notification named: ask again, later each time.
UPDATE confirmations
SET claimed_until = NULL, due_at = now() + make_interval(secs => least(30, 0.25 * power(2, least(attempts, 8))))
WHERE org = $1 AND agent_id = ANY ($2::text[]);

-- name: store_outgoing
INSERT INTO outbox (topic, key, type, event_id, data, extensions)
SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::bytea[], $6::jsonb[]);

-- name: notify
SELECT pg_notify($1, $2);
