-- name: lock_employee
-- One hand-over of an employee at a time, whichever replica takes it.
SELECT pg_advisory_xact_lock(hashtextextended(concat_ws(chr(31), 'handover', $1::text, $2::text, $3::text), 0));

-- name: handover_person
-- The agent of an employee as far as it is known, with its unit and that unit's zone.
SELECT l.agent_id, a.management_unit_id, a.zone
FROM agent_links l LEFT JOIN agents a USING (org, agent_id)
WHERE l.org = $1 AND l.target = $2 AND l.employee_id = $3
ORDER BY l.agent_id LIMIT 1;

-- name: handovers_near
-- All that touches the days and is of this employee, handed over or seen in Genesys, whatever became of it. By what
-- was handed over too: Genesys may show other days by now, and the call may be repeated.
SELECT r.*, $3::text AS employee_id,
       coalesce(r.provisional, r.confirmed) AS content,
       (SELECT jsonb_agg(jsonb_build_object('id', e.vendor_id, 'live', e.live) ORDER BY e.booking, e.part)
        FROM entries e WHERE e.request_pk = r.request_pk) AS entries
FROM requests r
WHERE r.org = $1 AND r.target = $2
  AND (r.first_day <= $5 AND r.last_day >= $4
       OR (r.handed->'days'->0->>'date')::date <= $5 AND (r.handed->'days'->-1->>'date')::date >= $4)
  AND (r.lane_id = (SELECT lane_id FROM lanes WHERE org = $1 AND target = $2 AND employee_id = $3)
       OR r.lane_id IS NULL AND r.agent_id IN (
           SELECT agent_id FROM agent_links WHERE org = $1 AND target = $2 AND employee_id = $3))
ORDER BY r.request_pk;

-- name: handover_named
-- The request that was given this id: by us, by the HRIS at any time, or by Genesys.
SELECT r.*, coalesce(l.employee_id, (SELECT a.employee_id FROM agent_links a
                                     WHERE a.org = r.org AND a.agent_id = r.agent_id AND a.target = r.target)
       ) AS employee_id,
       coalesce(r.provisional, r.confirmed) AS content,
       (SELECT jsonb_agg(jsonb_build_object('id', e.vendor_id, 'live', e.live) ORDER BY e.booking, e.part)
        FROM entries e WHERE e.request_pk = r.request_pk) AS entries
FROM requests r LEFT JOIN lanes l USING (lane_id)
WHERE r.org = $1 AND r.target = $2
  AND (r.handover_id = $3 OR r.request_id = $3 OR (r.adopt = $3 AND l.employee_id = $4)
       OR r.request_pk IN (SELECT request_pk FROM entries WHERE target = $2 AND chain @> ARRAY[$3]))
ORDER BY (r.handover_id = $3) DESC NULLS LAST,
         EXISTS (SELECT FROM entries e WHERE e.request_pk = r.request_pk AND e.live AND e.vendor_id = $3) DESC,
         r.request_pk DESC
LIMIT 1;

-- name: add_lane!
INSERT INTO lanes (org, target, employee_id) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING;

-- name: add_handover
INSERT INTO requests (org, request_id, handover_id, agent_id, management_unit_id, zone, first_seen, target, lane_id,
                      look_first, due_at, write_path, handed, handed_at, answer_until, priority, first_day, last_day,
                      adopt)
SELECT $1, $4, $4, $5, $6, $7, 'handed_over', $2, l.lane_id, $8, now(), $9, $10::jsonb, now(),
       now() + make_interval(secs => $11), 1, $12, $13, $14
FROM lanes l WHERE l.org = $1 AND l.target = $2 AND l.employee_id = $3
RETURNING request_pk, revision;

-- name: hand_over
-- Another wish for a request that is there, or the same once more. What was refused, held or given up is looked
-- at again, HRIS first.
UPDATE requests r
SET handover_id = coalesce(r.handover_id, $2), handed = $3::jsonb, handed_at = now(), write_path = $4,
    answer_until = now() + make_interval(secs => $5),
    -- What came of an earlier wish says nothing of this one, and what Genesys shows is up to the answer.
    report = CASE WHEN $6 THEN NULL ELSE r.report END,
    reported = CASE WHEN $6 THEN NULL ELSE r.reported END,
    -- A person's word stands while the same is wanted.
    done_by_hand = r.done_by_hand AND (NOT $6 OR r.handed IS NULL OR r.handed - 'note' = $3::jsonb - 'note'),
    look_first = r.look_first OR r.write_path <> $4 OR r.state IN ('held', 'failed', 'planned', 'not_ours'),
    state = CASE WHEN $6 THEN 'open' ELSE r.state END,
    attempts = CASE WHEN $6 THEN 0 ELSE r.attempts END,
    due_at = CASE WHEN $6 THEN now() ELSE r.due_at END,
    -- The days of a request that was seen are those that Genesys shows.
    first_day = CASE WHEN r.request_id = r.handover_id THEN $7 ELSE r.first_day END,
    last_day = CASE WHEN r.request_id = r.handover_id THEN $8 ELSE r.last_day END,
    priority = CASE WHEN $9 THEN 0 ELSE 1 END,
    revision = r.revision + CASE WHEN $6 THEN 1 ELSE 0 END
WHERE r.request_pk = $1
RETURNING r.request_pk, r.revision, r.handover_id;

-- name: handover_state
SELECT r.request_pk, r.state, r.reason, r.detail, r.revision, r.write_path, r.due_at, r.handover_id,
       (SELECT jsonb_agg(jsonb_build_object('id', e.vendor_id, 'live', e.live) ORDER BY e.booking, e.part)
        FROM entries e WHERE e.request_pk = r.request_pk) AS entries
FROM requests r WHERE r.handover_id = $1;

-- name: handover_answered!
-- What Genesys makes of the answer ($2) is what it shows from now on, and what it should show until something
-- comes of the wish.
UPDATE requests
SET reported = $2::text,
    report = CASE WHEN report IS NULL OR state IN ('open', 'waiting') THEN $2::text ELSE report END,
    answer_until = NULL
WHERE handover_id = $1;

-- name: lock_lane_of
SELECT lane_id FROM lanes WHERE lane_id = $1 AND epoch = $2 FOR NO KEY UPDATE;

-- name: lock_both
SELECT r.request_pk, r.revision, r.request_id, r.handover_id,
       EXISTS (SELECT FROM entries e WHERE e.request_pk = r.request_pk)
       OR EXISTS (SELECT FROM intents i WHERE i.request_pk = r.request_pk) AS written
FROM requests r WHERE r.request_pk = ANY ($1::bigint[]) ORDER BY r.request_pk FOR UPDATE;

-- name: take_handover
-- The request that was seen takes over what was handed over; nothing was written for that.
WITH gone AS (DELETE FROM requests WHERE request_pk = $2 RETURNING *)
UPDATE requests r
SET handover_id = g.handover_id, handed = CASE WHEN g.write_path = 'flows' THEN g.handed END,
    handed_at = g.handed_at, answer_until = g.answer_until,
    report = coalesce(g.report, r.report), reported = coalesce(g.reported, r.reported),
    write_path = CASE WHEN $3 THEN r.write_path ELSE g.write_path END,
    look_first = r.look_first OR g.look_first, adopt = coalesce(r.adopt, g.adopt),
    state = 'open', due_at = now(), revision = r.revision + 1
FROM gone g WHERE r.request_pk = $1;

-- name: drop_seen
-- The row of a request that was seen, before the row that was handed over takes its place.
DELETE FROM requests WHERE request_pk = $1
RETURNING request_id, agent_id, management_unit_id, zone, version, confirmed, confirmed_at, watermark, provisional,
          unconfirmed, missing, first_seen, seen_at, done_by_hand, first_day, last_day;

-- name: become_seen!
UPDATE requests r
SET request_id = $2, agent_id = $3, management_unit_id = $4, zone = $5, version = $6, confirmed = $7::jsonb,
    confirmed_at = $8, watermark = $9, provisional = $10::jsonb, unconfirmed = $11, missing = $12,
    first_seen = $13, seen_at = $14, done_by_hand = r.done_by_hand OR $15, first_day = $16, last_day = $17,
    entry_key = coalesce(r.entry_key, r.request_id), state = 'open', due_at = now(), revision = r.revision + 1
WHERE r.request_pk = $1;
