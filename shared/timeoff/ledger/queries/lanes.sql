-- name: claim_lanes
-- Free lanes with due work, cancels first, then the nearest start. Raises the epoch: earlier holders are fenced.
WITH due AS (
    SELECT r.lane_id, min(r.priority) AS priority, min(r.first_day) AS first_day
    FROM requests r
    WHERE r.due_at <= now() AND r.lane_id IS NOT NULL
    GROUP BY r.lane_id
), pick AS (
    SELECT l.lane_id
    FROM lanes l
    JOIN due USING (lane_id)
    LEFT JOIN targets t ON t.target = l.target
    WHERE (l.leased_until IS NULL OR l.leased_until < now())
      AND (l.blocked_until IS NULL OR l.blocked_until <= now())
      AND t.stopped_at IS NULL
      AND l.org = $1 AND l.target = ANY ($2::text[])
    ORDER BY due.priority, due.first_day NULLS LAST, l.lane_id
    LIMIT $3
    FOR NO KEY UPDATE OF l SKIP LOCKED
)
UPDATE lanes l
SET holder = $4, epoch = l.epoch + 1, leased_until = now() + make_interval(secs => $5)
FROM pick
WHERE l.lane_id = pick.lane_id
RETURNING l.lane_id, l.epoch, l.target, l.employee_id;

-- name: load_cases
SELECT r.*, l.epoch, l.employee_id, a.employee_id AS linked_employee_id,
       coalesce(r.audit_at <= now(), false) AS audit_due,
       EXISTS (SELECT FROM intents i WHERE i.request_pk = r.request_pk AND i.outcome = 'unsettled') AS unsettled
FROM lanes l
CROSS JOIN LATERAL (
    SELECT * FROM requests q
    WHERE q.lane_id = l.lane_id AND q.due_at <= now()
    ORDER BY q.priority, q.first_day NULLS LAST, q.request_pk
    LIMIT $2
) r
LEFT JOIN agent_links a ON a.org = r.org AND a.agent_id = r.agent_id AND a.target = l.target
WHERE l.lane_id = ANY ($1::bigint[])
ORDER BY l.lane_id, r.priority, r.first_day NULLS LAST, r.request_pk;

-- name: load_request
SELECT r.*, l.epoch, l.employee_id, a.employee_id AS linked_employee_id,
       coalesce(r.audit_at <= now(), false) AS audit_due,
       EXISTS (SELECT FROM intents i WHERE i.request_pk = r.request_pk AND i.outcome = 'unsettled') AS unsettled
FROM requests r
JOIN lanes l USING (lane_id)
LEFT JOIN agent_links a ON a.org = r.org AND a.agent_id = r.agent_id AND a.target = l.target
WHERE r.request_pk = $1;

-- name: load_entries
SELECT *, extract(epoch FROM now() - updated_at)::float8 AS age
FROM entries WHERE request_pk = ANY ($1::bigint[]) ORDER BY request_pk, booking, part;

-- name: load_open_intents
SELECT * FROM intents WHERE lane_id = ANY ($1::bigint[]) AND settled_at IS NULL;

-- name: load_frozen
-- Days on which nobody knows what the HRIS holds, until an operator's retry releases them.
SELECT i.lane_id, i.request_pk, coalesce(i.spec, i.previous) AS spec
FROM intents i
WHERE i.outcome = 'unsettled' AND i.lane_id = ANY ($1::bigint[]);

-- name: announced_of
-- All that was ever announced for a request: where a record of it may stand.
SELECT booking, part, spec, previous FROM intents
WHERE request_pk = $1 AND kind IN ('insert', 'update') ORDER BY created_at;

-- name: known_ids
SELECT vendor_id, chain, (spec->'days'->0->>'date')::date AS first_day,
       (spec->'days'->-1->>'date')::date AS last_day, live
FROM entries WHERE target = $1 AND employee_id = $2;

-- name: count_first_looks
SELECT count(*) FROM (
    SELECT 1 FROM requests WHERE due_at <= now() AND look_first AND target = $1 LIMIT 50
) AS looks;

-- name: lock_lanes
-- Not FOR UPDATE: that would wait for everybody who inserts a row with a lane's key, who may wait for us.
SELECT lane_id, leased_until > now() AS held
FROM lanes l
JOIN unnest($1::bigint[], $2::bigint[]) AS mine (lane_id, epoch) USING (lane_id, epoch)
ORDER BY lane_id
FOR NO KEY UPDATE OF l;

-- name: renew_lanes
UPDATE lanes SET leased_until = now() + make_interval(secs => $2) WHERE lane_id = ANY ($1::bigint[])
RETURNING lane_id;

-- name: release_lanes!
UPDATE lanes l
SET holder = NULL, leased_until = NULL,
    blocked_until = CASE WHEN mine.block > 0 THEN now() + make_interval(secs => mine.block) END
FROM unnest($1::bigint[], $2::float8[]) AS mine (lane_id, block)
WHERE l.lane_id = mine.lane_id;
