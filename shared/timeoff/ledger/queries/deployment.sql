-- name: create_deployment!
INSERT INTO deployment (deployment_id, org) VALUES ($1, $2) ON CONFLICT DO NOTHING;

-- name: deployment
SELECT * FROM deployment;

-- name: go_live!
UPDATE deployment SET write_mode = 'live', pilot_units = $1, pilot_agents = $2, live_since = now();

-- name: go_shadow!
UPDATE deployment SET write_mode = 'shadow';

-- name: reopen
-- What was only planned, and all that a change of mode may have changed, is looked at again, HRIS first.
WITH chosen AS (
    SELECT request_pk FROM requests
    WHERE org = $1 AND state = ANY ($2::text[]) AND (reason = ANY ($3::text[]) OR $3 IS NULL)
      AND (request_id = ANY ($4::text[]) OR $4 IS NULL)
    ORDER BY request_pk FOR NO KEY UPDATE
)
UPDATE requests r
SET state = 'open', due_at = now(), look_first = true, attempts = 0, revision = r.revision + 1
FROM chosen WHERE r.request_pk = chosen.request_pk
RETURNING r.request_id;

-- name: release_doubts!
-- An operator looked and decided: what was unsettled no longer freezes the request, nor its days for others.
UPDATE intents i SET outcome = 'released'
FROM requests r
WHERE r.org = $1 AND r.request_id = ANY ($2::text[]) AND i.request_pk = r.request_pk AND i.outcome = 'unsettled';

-- name: reopen_frozen!
WITH chosen AS (
    SELECT request_pk FROM requests
    WHERE org = $1 AND state = 'held' AND reason = 'overlaps_unsettled_doubt'
      AND lane_id IN (SELECT lane_id FROM requests WHERE org = $1 AND request_id = ANY ($2::text[]))
    ORDER BY request_pk FOR NO KEY UPDATE
)
UPDATE requests r
SET state = 'open', due_at = now(), look_first = true, attempts = 0, revision = r.revision + 1
FROM chosen WHERE r.request_pk = chosen.request_pk;

-- name: set_brake!
UPDATE deployment SET brake_reason = $1, braked_at = now() WHERE brake_reason IS NULL;

-- name: release_brake
UPDATE deployment SET brake_reason = NULL, brake_released_at = now() WHERE brake_reason IS NOT NULL
RETURNING deployment_id;

-- name: look_first!
-- After a pause somebody may have booked by hand: what waits looks before it writes. $2 NULL: all targets.
WITH chosen AS (
    SELECT request_pk FROM requests
    WHERE org = $1 AND due_at IS NOT NULL AND ($2::text IS NULL OR target = $2)
    ORDER BY request_pk FOR NO KEY UPDATE
)
UPDATE requests r SET look_first = true, revision = r.revision + 1
FROM chosen WHERE r.request_pk = chosen.request_pk;

-- name: add_targets
INSERT INTO targets (target) SELECT * FROM unnest($1::text[]) ON CONFLICT DO NOTHING;

-- name: stop_target
UPDATE targets SET stopped_reason = $2, stopped_at = now(), probe_at = now() + make_interval(secs => $3)
WHERE target = $1 AND stopped_at IS NULL
RETURNING target;

-- name: claim_probe
UPDATE targets SET probe_at = now() + make_interval(secs => $2)
WHERE target = $1 AND stopped_at IS NOT NULL AND probe_at <= now()
RETURNING target;

-- name: probe_soon
UPDATE targets SET probe_at = now() WHERE target = $1 AND stopped_at IS NOT NULL RETURNING target;

-- name: unknown_pilots
SELECT wanted.id FROM unnest($2::text[]) AS wanted (id)
WHERE NOT EXISTS (
    SELECT FROM agents a WHERE a.org = $1 AND (a.agent_id = wanted.id OR a.management_unit_id = wanted.id));

-- name: resume_target!
UPDATE targets SET stopped_reason = NULL, stopped_at = NULL, probe_at = NULL WHERE target = $1;

-- name: targets
SELECT * FROM targets ORDER BY target;

-- name: add_budget!
INSERT INTO budgets (budget, tokens) VALUES ($1, 1) ON CONFLICT DO NOTHING;

-- name: lease_budget
-- A chunk of a shared token bucket. It refills with the time that passed outside pauses and holds at most
-- what two seconds bring (at least 1), so that no minute sees much more than its share.
WITH held AS (
    SELECT budget, paused_until,
           CASE WHEN paused_until > now() THEN 0
                ELSE least(greatest(1, $2::float8 / 30), tokens + $2::float8 / 60 * greatest(0,
                    extract(epoch FROM now() - greatest(refilled_at, paused_until)))) END AS available
    FROM budgets WHERE budget = $1 FOR UPDATE
)
UPDATE budgets b
SET tokens = held.available - least(floor(held.available), $3::float8),
    refilled_at = greatest(b.refilled_at, now())  -- who waited for the row is older than who held it
FROM held WHERE b.budget = held.budget
RETURNING least(floor(held.available), $3::float8)::int AS granted,
          greatest(0, coalesce(extract(epoch FROM held.paused_until - now()), 0))::float8 AS pause;

-- name: pause_budget!
INSERT INTO budgets (budget, tokens, paused_until) VALUES ($1, 0, now() + make_interval(secs => $2))
ON CONFLICT (budget) DO UPDATE
SET paused_until = greatest(budgets.paused_until, EXCLUDED.paused_until), tokens = 0;

-- name: take_lease
INSERT INTO leases (lease, holder, leased_until) VALUES ($1, $2, now() + make_interval(secs => $3))
ON CONFLICT (lease) DO UPDATE SET holder = EXCLUDED.holder, leased_until = EXCLUDED.leased_until
WHERE leases.holder = EXCLUDED.holder OR leases.leased_until < now()
RETURNING holder;

-- name: give_lease!
DELETE FROM leases WHERE lease = $1 AND holder = $2;
