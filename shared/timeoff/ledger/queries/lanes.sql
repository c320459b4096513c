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
       extract(epoch FROM now() - r.handed_at)::float8 AS handed_age,
       EXISTS (SELECT FROM intents i WHERE i.request_pk = r.request_pk AND i.outcome = 'unsettled') AS unsettled,
       -- Handed over and not seen in Genesys: itself, or another of this lane on the same days.
       (r.handover_id IS NULL OR r.handover_id = r.request_id) AND EXISTS (
           SELECT FROM requests h
           WHERE h.lane_id = r.lane_id AND h.handed IS NOT NULL AND h.handover_id = h.request_id
             AND h.first_day <= r.last_day AND h.last_day >= r.first_day) AS near
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
       extract(epoch FROM now() - r.handed_at)::float8 AS handed_age,
       EXISTS (SELECT FROM intents i WHERE i.request_pk = r.request_pk AND i.outcome = 'unsettled') AS unsettled,
       -- Handed over and not seen in Genesys: itself, or another of this lane on the same days.
       (r.handover_id IS NULL OR r.handover_id = r.request_id) AND EXISTS (
           SELECT FROM requests h
           WHERE h.lane_id = r.lane_id AND h.handed IS NOT NULL AND h.handover_id = h.request_id
             AND h.first_day <= r.last_day AND h.last_day >= r.first_day) AS near
FROM requests r
JOIN lanes l USING (lane_id)
LEFT JOIN agent_links a ON a.org = r.org AND a.agent_id = r.agent_id AND a.target = l.target
WHERE r.request_pk = $1;

-- name: near_of
-- What may be one leave with a request: handed over and not seen in Genesys, or seen and not handed over, on
-- one of its days.
SELECT o.request_pk FROM requests r JOIN requests o USING (lane_id)
WHERE r.request_pk = $1 AND o.request_pk <> r.request_pk
  AND o.first_day <= r.last_day AND o.last_day >= r.first_day
  AND (o.handover_id IS NULL) IS DISTINCT FROM (r.handover_id IS NULL)
  AND (o.handover_id IS NULL OR o.handover_id = o.request_id)
ORDER BY o.request_pk LIMIT 50;

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
SELECT e.vendor_id, e.chain, (e.spec->'days'->0->>'date')::date AS first_day,
       (e.spec->'days'->-1->>'date')::date AS last_day, e.live, r.write_path
FROM entries e JOIN requests r USING (request_pk) WHERE e.target = $1 AND e.employee_id = $2;

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
