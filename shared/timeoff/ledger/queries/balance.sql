-- name: balance_of_employee
-- What the ledger knows of an employee's leave that a read of the HRIS may not show, in one snapshot: requests
-- that are not done, entries written within the last $6 seconds or not in effect yet, and the requests named in
-- $7 (by their own id, or by any id their entry had). One row at least, of the clock and of the log's offsets.
WITH linked AS (
    SELECT agent_id FROM agent_links WHERE org = $1 AND target = $2 AND employee_id = $3
), named AS (
    SELECT r.request_pk FROM requests r JOIN linked USING (agent_id) WHERE r.org = $1 AND r.request_id = ANY ($7)
    UNION
    SELECT r.request_pk FROM requests r JOIN lanes l USING (lane_id)
    WHERE r.handover_id = ANY ($7) AND l.target = $2 AND l.employee_id = $3
    UNION
    SELECT e.request_pk FROM entries e WHERE e.target = $2 AND e.employee_id = $3 AND cardinality($7) > 0
        AND (e.chain && $7 OR e.request_pk IN (SELECT request_pk FROM requests WHERE request_id = ANY ($7)))
), picked AS (
    SELECT request_pk FROM named
    UNION
    SELECT r.request_pk FROM requests r JOIN linked USING (agent_id)
    WHERE r.org = $1 AND r.target = $2 AND r.state NOT IN ('settled', 'not_ours')
    UNION
    SELECT r.request_pk FROM lanes l JOIN requests r USING (lane_id)
    WHERE l.org = $1 AND l.target = $2 AND l.employee_id = $3 AND r.due_at IS NOT NULL
      AND r.state NOT IN ('settled', 'not_ours')
    UNION
    -- A workflow said something of it that Genesys has not shown yet.
    SELECT r.request_pk FROM lanes l JOIN requests r USING (lane_id)
    WHERE l.org = $1 AND l.target = $2 AND l.employee_id = $3 AND r.handed IS NOT NULL
      AND (r.state NOT IN ('settled', 'not_ours') OR r.write_path = 'events')
    UNION
    SELECT e.request_pk FROM entries e
    WHERE e.target = $2 AND e.employee_id = $3
      AND (NOT e.effective OR e.updated_at > now() - make_interval(secs => $6)
           -- The HRIS may not count these.
           OR (e.live AND e.spec->>'status' = 'requested'))
)
SELECT statement_timestamp() AS now,
       (SELECT jsonb_object_agg(partition, next_offset) FROM log_offsets
        WHERE log_group = $4 AND topic = $5) AS offsets,
       (SELECT array_agg(agent_id) FROM linked) AS agents,
       r.request_pk, r.request_id, r.agent_id, r.management_unit_id, r.zone, r.state, r.reason, r.look_first,
       r.done_by_hand, r.booking, r.provisional, r.confirmed,
       r.handover_id, r.handover_id IS DISTINCT FROM r.request_id AS bound,
       -- Where Genesys shows the request too, it shows soon what a workflow said of it, or never.
       CASE WHEN r.write_path = 'flows' OR r.handover_id = r.request_id
                 OR r.handed_at > now() - interval '1 hour' THEN r.handed END AS handed,
       r.request_pk IN (SELECT request_pk FROM named) AS replaced,
       (SELECT jsonb_agg(jsonb_build_object('booking', e.booking, 'part', e.part, 'spec', e.spec, 'live', e.live,
               'effective', e.effective, 'mine', e.employee_id = $3 AND e.target = $2))
        FROM entries e WHERE e.request_pk = r.request_pk) AS entries,
       (SELECT jsonb_agg(jsonb_build_object('booking', i.booking, 'part', i.part, 'kind', i.kind, 'spec', i.spec,
               'previous', i.previous, 'created_at', i.created_at, 'settled_at', i.settled_at,
               'outcome', i.outcome) ORDER BY i.created_at)
        FROM intents i WHERE i.request_pk = r.request_pk) AS intents
FROM (SELECT 1) AS always
LEFT JOIN picked ON true
LEFT JOIN requests r USING (request_pk)
ORDER BY r.request_pk;

-- name: employee_of_agent
SELECT target, employee_id FROM agent_links
WHERE org = $1 AND agent_id = $2 AND employee_id IS NOT NULL AND target = ANY ($3::text[]);

-- name: agents_of_employees
SELECT employee_id, min(agent_id) AS agent_id FROM agent_links
WHERE org = $1 AND target = $2 AND employee_id = ANY ($3::text[]) GROUP BY employee_id;

-- name: database_now
SELECT statement_timestamp();
