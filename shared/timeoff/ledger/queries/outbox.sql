-- name: outgoing
SELECT outbox_id, topic, key, type, event_id, data, extensions, created_at FROM outbox
ORDER BY outbox_id LIMIT $1;

-- name: sent!
DELETE FROM outbox WHERE outbox_id = ANY ($1::bigint[]);

-- name: reports_due
SELECT request_pk, request_id, agent_id, management_unit_id, report, state
FROM requests
WHERE org = $1 AND report IS NOT NULL AND report IS DISTINCT FROM reported AND management_unit_id IS NOT NULL
  AND handover_id IS DISTINCT FROM request_id
  -- Where a workflow books, Genesys makes a status of the answer: only what ended otherwise later is told.
  AND (write_path = 'events' OR (handed IS NOT NULL AND (answer_until IS NULL OR answer_until < now())))
ORDER BY request_pk LIMIT $2;

-- name: reported!
WITH told AS (
    SELECT r.request_pk, i.status
    FROM requests r JOIN unnest($1::bigint[], $2::text[]) AS i (request_pk, status) USING (request_pk)
    ORDER BY r.request_pk FOR NO KEY UPDATE OF r
)
UPDATE requests r SET reported = told.status FROM told WHERE r.request_pk = told.request_pk;

-- name: attention
SELECT request_pk, request_id, agent_id, management_unit_id
FROM requests
WHERE org = $1 AND state IN ('held', 'failed') AND NOT done_by_hand AND management_unit_id IS NOT NULL
  AND handover_id IS DISTINCT FROM request_id
ORDER BY request_pk;

-- name: done_by_hand!
WITH chosen AS (
    SELECT request_pk FROM requests
    WHERE request_pk = ANY ($1::bigint[]) AND NOT done_by_hand
    ORDER BY request_pk FOR NO KEY UPDATE
)
UPDATE requests r
SET done_by_hand = true, state = 'open', due_at = now(), look_first = true, revision = r.revision + 1,
    report = 'ManuallyComplete', reported = 'ManuallyComplete'
FROM chosen WHERE r.request_pk = chosen.request_pk;
