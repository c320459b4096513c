-- name: claim_confirmations
UPDATE confirmations c
SET claimed_until = now() + make_interval(secs => $3), attempts = c.attempts + 1
WHERE (c.org, c.agent_id) IN (
    SELECT org, agent_id FROM confirmations
    WHERE org = $1 AND due_at <= now() AND (claimed_until IS NULL OR claimed_until < now())
    ORDER BY due_at LIMIT $2 FOR UPDATE SKIP LOCKED)
RETURNING c.agent_id, c.attempts, ARRAY(
    SELECT request_id FROM requests r WHERE r.org = c.org AND r.agent_id = c.agent_id AND r.unconfirmed
) AS request_ids;

-- name: postpone_confirmation!
UPDATE confirmations SET claimed_until = NULL, due_at = now() + make_interval(secs => $3)
WHERE org = $1 AND agent_id = $2;

-- name: known_versions
-- A request that was gone is not known: it may be seen again in the version that it had.
SELECT request_id, version FROM requests
WHERE org = $1 AND request_id = ANY ($2::text[]) AND version IS NOT NULL AND NOT unconfirmed AND NOT missing;

-- name: known_requests
SELECT agent_id, request_id, version FROM requests
WHERE org = $1 AND agent_id = ANY ($2::text[]) AND NOT missing AND handover_id IS DISTINCT FROM request_id
  AND (last_day IS NULL OR last_day >= current_date - 60);

-- name: open_gap
INSERT INTO gaps (org, reason, agent_ids) VALUES ($1, $2, $3::text[]) RETURNING gap_id;

-- name: open_gaps
SELECT gap_id, opened_at, reason, agent_ids FROM gaps WHERE org = $1 AND closed_at IS NULL ORDER BY gap_id;

-- name: close_gap!
UPDATE gaps SET closed_at = now(), requests_read = $2 WHERE gap_id = $1 AND closed_at IS NULL;

-- name: save_agents
INSERT INTO agents (org, agent_id, management_unit_id, zone)
SELECT $1, * FROM unnest($2::text[], $3::text[], $4::text[])
ON CONFLICT (org, agent_id) DO UPDATE
SET management_unit_id = EXCLUDED.management_unit_id, zone = EXCLUDED.zone
WHERE (agents.management_unit_id, agents.zone) IS DISTINCT FROM (EXCLUDED.management_unit_id, EXCLUDED.zone);
