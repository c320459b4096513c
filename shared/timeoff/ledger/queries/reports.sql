-- name: waiting_for_people
SELECT r.request_id, r.agent_id, r.management_unit_id, r.target, l.employee_id, r.state, r.reason, r.detail,
       r.first_day, r.last_day, r.changed_at, r.attempts,
       coalesce(r.provisional, r.confirmed)->>'status' AS status,
       coalesce(r.provisional, r.confirmed)->>'activity_code_id' AS activity_code_id
FROM requests r LEFT JOIN lanes l USING (lane_id)
WHERE r.org = $1 AND r.state = ANY ($2::text[])
ORDER BY r.changed_at, r.request_pk;

-- name: state_counts
SELECT state, coalesce(reason, '') AS reason, count(*) AS requests FROM requests WHERE org = $1
GROUP BY 1, 2 ORDER BY 1, 2;

-- name: planned
SELECT coalesce(detail->>'plan', state) AS plan, count(*) AS requests FROM requests
WHERE org = $1 AND state IN ('planned', 'held', 'settled', 'not_ours') GROUP BY 1 ORDER BY 1;

-- name: progress
SELECT (SELECT count(*) FROM requests WHERE due_at <= now()) AS due,
       (SELECT count(*) FROM requests WHERE due_at IS NOT NULL) AS open,
       (SELECT count(*) FROM requests WHERE unconfirmed) AS unconfirmed,
       (SELECT count(*) FROM intents WHERE settled_at IS NULL) AS intents,
       (SELECT count(*) FROM outbox) AS outgoing,
       (SELECT count(*) FROM gaps WHERE closed_at IS NULL) AS gaps,
       (SELECT count(*) FROM requests WHERE report IS DISTINCT FROM reported) AS reports,
       (SELECT extract(epoch FROM now() - min(changed_at))::float8 FROM requests WHERE due_at <= now())
           AS oldest_due_seconds;
