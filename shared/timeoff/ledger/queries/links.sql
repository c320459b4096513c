-- name: agents_without_lane
-- Agents with due requests that have no lane. `linked`: looked up within the last $3 seconds, so the link
-- (or its problem) stands in the ledger already; a request can slip in while its agent is being looked up.
SELECT DISTINCT r.agent_id, r.target,
       coalesce(a.looked_up_at > now() - make_interval(secs => $3), false) AS linked,
       a.problem IS NOT NULL AS problem
FROM requests r
LEFT JOIN agent_links a ON a.org = r.org AND a.agent_id = r.agent_id AND a.target = r.target
WHERE r.org = $1 AND r.due_at <= now() AND r.lane_id IS NULL AND r.target = ANY ($2::text[]);

-- name: misplaced_agents
-- Agents with requests in a lane that is not their link's and that nothing keeps there. `linked` is false
-- where nobody has looked the agent up: Genesys named another agent than at first.
SELECT DISTINCT r.agent_id, r.target, a.agent_id IS NOT NULL AS linked, a.problem IS NOT NULL AS problem
FROM requests r
JOIN lanes l ON l.lane_id = r.lane_id
LEFT JOIN agent_links a ON a.org = r.org AND a.agent_id = r.agent_id AND a.target = r.target
WHERE r.org = $1 AND r.target = ANY ($2::text[])
  AND (r.due_at <= now() + interval '5 s' OR (r.state = 'held' AND r.reason = 'no_employee'))
  AND (r.handed IS NULL OR r.write_path <> 'flows' AND r.handover_id <> r.request_id)  -- whom it is for was said when it was handed over
  AND (a.agent_id IS NULL OR a.employee_id <> l.employee_id)
  AND NOT EXISTS (SELECT FROM entries e WHERE e.request_pk = r.request_pk AND (e.live OR NOT e.effective))
  AND NOT EXISTS (SELECT FROM intents i WHERE i.request_pk = r.request_pk AND i.settled_at IS NULL);

-- name: agents_never_linked
-- Agents that the listener knows and nobody has looked up yet; $2 and $3 say which unit books where.
SELECT g.agent_id, coalesce(u.target, $4) AS target
FROM agents g
LEFT JOIN unnest($2::text[], $3::text[]) AS u (unit, target) ON u.unit = g.management_unit_id
LEFT JOIN agent_links a ON a.org = g.org AND a.agent_id = g.agent_id AND a.target = coalesce(u.target, $4)
WHERE g.org = $1 AND coalesce(u.target, $4) IS NOT NULL AND a.agent_id IS NULL
LIMIT 5000;

-- name: forget_problems!
-- A person corrected something and retries: agents that could not be linked are looked up at once.
UPDATE agent_links a SET looked_up_at = '-infinity'
FROM requests r
WHERE r.org = $1 AND r.request_id = ANY ($2::text[]) AND a.org = r.org AND a.agent_id = r.agent_id
  AND a.problem IS NOT NULL;

-- name: stale_agents
-- Links older than $3 seconds, spread by agent so that not all grow old at once; problems sooner.
SELECT agent_id, target FROM agent_links
WHERE org = $1 AND target = ANY ($2::text[])
  AND looked_up_at < now() - make_interval(secs =>
      CASE WHEN problem IS NULL THEN $3::float8 ELSE least($3::float8, $4::float8) END
      * (0.9 + 0.2 * (abs(hashtext(agent_id)::bigint) % 1000) / 1000.0))
ORDER BY looked_up_at LIMIT 500;

-- name: store_links
INSERT INTO agent_links AS a (org, agent_id, target, employee_id, source, problem)
SELECT $1, * FROM jsonb_to_recordset($2::jsonb)
    AS i (agent_id text, target text, employee_id text, source text, problem text)
ON CONFLICT (org, agent_id, target) DO UPDATE
SET employee_id = coalesce(EXCLUDED.employee_id, a.employee_id),
    source = coalesce(EXCLUDED.source, a.source), problem = EXCLUDED.problem, looked_up_at = now();

-- name: add_lanes
INSERT INTO lanes (org, target, employee_id)
SELECT DISTINCT org, target, employee_id FROM agent_links
WHERE org = $1 AND agent_id = ANY ($2::text[]) AND employee_id IS NOT NULL
ORDER BY org, target, employee_id
ON CONFLICT DO NOTHING;

-- name: lock_misplaced!
-- All that the next three statements may touch, in the order in which everybody locks requests.
SELECT FROM requests r
LEFT JOIN agent_links a ON a.org = r.org AND a.agent_id = r.agent_id AND a.target = r.target
LEFT JOIN lanes l ON l.org = r.org AND l.target = a.target AND l.employee_id = a.employee_id
WHERE r.org = $1 AND r.agent_id = ANY ($2::text[]) AND (r.lane_id IS NULL OR r.lane_id IS DISTINCT FROM l.lane_id)
  AND (r.handed IS NULL OR r.write_path <> 'flows' AND r.handover_id <> r.request_id)
ORDER BY r.request_pk FOR NO KEY UPDATE OF r;

-- name: assign_lanes
-- Requests without a lane, and those whose link moved while nothing is booked, follow the link. Who comes
-- from another lane looks first: the other employee may have the leave already.
WITH wanted AS (
    SELECT r.request_pk, l.lane_id
    FROM requests r
    JOIN agent_links a ON a.org = r.org AND a.agent_id = r.agent_id AND a.target = r.target
    JOIN lanes l ON l.org = r.org AND l.target = a.target AND l.employee_id = a.employee_id
    WHERE r.org = $1 AND r.agent_id = ANY ($2::text[]) AND r.lane_id IS DISTINCT FROM l.lane_id
      AND (r.handed IS NULL OR r.write_path <> 'flows' AND r.handover_id <> r.request_id)
      AND NOT EXISTS (SELECT 1 FROM entries e WHERE e.request_pk = r.request_pk AND (e.live OR NOT e.effective))
      AND NOT EXISTS (SELECT 1 FROM intents i WHERE i.request_pk = r.request_pk AND i.settled_at IS NULL)
    ORDER BY r.request_pk FOR NO KEY UPDATE OF r
)
UPDATE requests r
SET lane_id = wanted.lane_id, revision = r.revision + 1, look_first = r.look_first OR r.lane_id IS NOT NULL,
    due_at = CASE WHEN r.state IN ('settled', 'not_ours') THEN r.due_at ELSE now() END,
    state = CASE WHEN r.state = 'held' THEN 'open' ELSE r.state END
FROM wanted WHERE r.request_pk = wanted.request_pk;

-- name: hold_unlinked
-- Requests of agents without an employee wait for a person, or for the next look-up that finds one, if they
-- are exported ($3), not over ($4), and of a mapped code ($5) that no workflow books ($6). Genesys is told only
-- where we write.
UPDATE requests r
SET state = 'held', reason = a.problem, detail = '{}', due_at = NULL, look_first = true,
    revision = r.revision + 1,
    report = CASE WHEN d.write_mode = 'live' AND (
            cardinality(d.pilot_units) + cardinality(d.pilot_agents) = 0
            OR r.management_unit_id = ANY (d.pilot_units) OR r.agent_id = ANY (d.pilot_agents)
        ) THEN 'Error' ELSE r.report END
FROM agent_links a CROSS JOIN deployment d
WHERE a.org = r.org AND a.agent_id = r.agent_id AND a.target = r.target AND a.problem IS NOT NULL
  AND r.org = $1 AND r.agent_id = ANY ($2::text[]) AND r.lane_id IS NULL AND r.due_at <= now()
  AND coalesce(r.provisional, r.confirmed)->>'status' = ANY ($3::text[])
  AND (r.last_day IS NULL OR r.last_day >= $4::date)
  AND ($5::text[] IS NULL OR coalesce(r.provisional, r.confirmed)->>'activity_code_id' = ANY ($5::text[]))
  AND NOT coalesce(r.provisional, r.confirmed)->>'activity_code_id' = ANY ($6::text[])
RETURNING r.request_id, r.agent_id, r.reason, r.target, r.version, r.revision;

-- name: settle_unlinked!
-- Nothing to book for an agent without employee: nobody needs to look at these.
UPDATE requests r
SET due_at = NULL, revision = r.revision + 1, look_first = true,
    state = CASE WHEN coalesce(r.provisional, r.confirmed)->>'status' = ANY ($3::text[])
        THEN 'not_ours' ELSE 'settled' END,
    reason = CASE WHEN NOT coalesce(r.provisional, r.confirmed)->>'status' = ANY ($3::text[])
        THEN 'not_exported' WHEN r.last_day < $4::date THEN 'before_cutover'
        WHEN coalesce(r.provisional, r.confirmed)->>'activity_code_id' = ANY ($5::text[])
        THEN 'written_by_flows' ELSE 'unmapped' END
FROM agent_links a
WHERE a.org = r.org AND a.agent_id = r.agent_id AND a.target = r.target AND a.problem IS NOT NULL
  AND r.org = $1 AND r.agent_id = ANY ($2::text[]) AND r.lane_id IS NULL AND r.due_at <= now();

-- name: hold_homeless
-- No target takes the unit of these, or the unit is not known: nobody would ever look at them.
UPDATE requests r
SET state = 'held', reason = 'no_target', detail = '{}', due_at = NULL, look_first = true,
    revision = r.revision + 1
WHERE r.org = $1 AND r.target IS NULL AND r.due_at <= now()
RETURNING r.request_id, r.agent_id, r.reason;

-- name: store_type_links
INSERT INTO type_links AS t (org, management_unit_id, activity_code_id, type_id, type_id2, plan_id)
SELECT $1, * FROM jsonb_to_recordset($2::jsonb)
    AS i (management_unit_id text, activity_code_id text, type_id text, type_id2 text, plan_id text)
ON CONFLICT (org, management_unit_id, activity_code_id) DO UPDATE
SET type_id = EXCLUDED.type_id, type_id2 = EXCLUDED.type_id2, plan_id = EXCLUDED.plan_id, seen_at = now();

-- name: drop_type_links!
-- A complete read of a unit's plans no longer links these codes.
DELETE FROM type_links
WHERE org = $1 AND management_unit_id = $2 AND NOT activity_code_id = ANY ($3::text[]);

-- name: type_links
SELECT management_unit_id, activity_code_id, type_id, type_id2, plan_id FROM type_links WHERE org = $1;

-- name: type_links_mark
-- Changes with the content of type_links, and with nothing else.
SELECT count(*) || ':' || coalesce(sum(hashtextextended(concat_ws(
    chr(31), management_unit_id, activity_code_id, type_id, coalesce(type_id2, ''), coalesce(plan_id, '')), 0)), 0)
FROM type_links WHERE org = $1;

-- name: waiting_for_types
-- What stands still for want of a mapping or of a type, by all that says whether there is one now.
SELECT DISTINCT management_unit_id, coalesce(provisional, confirmed)->>'activity_code_id' AS activity_code_id,
       reason, detail->>'type_id' AS type_id
FROM requests
WHERE org = $1 AND target = $2 AND (state = 'not_ours' AND reason IN ('unmapped', 'written_by_flows')
    OR state = 'held' AND reason IN ('mapping_vanished', 'unknown_type'));

-- name: reopen_types
-- Of those that stand still, the ones named in $3. A person may have booked them meanwhile: look first.
WITH chosen AS (
    SELECT r.request_pk
    FROM requests r
    JOIN jsonb_to_recordset($3::jsonb)
        AS w (management_unit_id text, activity_code_id text, reason text, type_id text)
      ON w.management_unit_id IS NOT DISTINCT FROM r.management_unit_id
     AND w.activity_code_id = coalesce(r.provisional, r.confirmed)->>'activity_code_id'
     AND w.reason = r.reason AND w.type_id IS NOT DISTINCT FROM r.detail->>'type_id'
    WHERE r.org = $1 AND r.target = $2 AND r.state IN ('not_ours', 'held')
    ORDER BY r.request_pk FOR NO KEY UPDATE OF r
)
UPDATE requests r
SET state = 'open', due_at = now(), look_first = true, attempts = 0, revision = r.revision + 1
FROM chosen WHERE r.request_pk = chosen.request_pk
RETURNING r.request_id;
