-- name: commit_steps
-- Outcomes ($1), announced intents ($2) and evidence ($3) of many lanes in one statement. Outcomes and intents
-- count only for the lane's present epoch; evidence always does. Rows are locked in one order everywhere.
-- An intent needs the revision it was decided on, a lease that outlasts its call, and a deployment that
-- writes. What it announces must see the settled ones: hence the look at `settled` before the insert.
WITH outcomes AS (
    SELECT * FROM jsonb_to_recordset($1::jsonb) AS o (
        lane_id bigint, epoch bigint, request_pk bigint, revision bigint,
        intent_id uuid, outcome text, result_id text,
        state text, reason text, detail jsonb, due_in float8, attempts int, booking int, writes int,
        look_first boolean, doubted boolean, keep boolean, audit_in float8, report text, entry jsonb, event jsonb,
        write_path text)
), announced AS (
    SELECT * FROM jsonb_to_recordset($2::jsonb) AS a (
        lane_id bigint, epoch bigint, request_pk bigint, revision bigint, intent_id uuid, holder text,
        kind text, booking int, part int, write_no int, spec jsonb, previous jsonb, vendor_id text,
        repeat boolean, timeout float8)
), modes AS (
    -- Where something was only planned: go-live waits for this statement, or this sees what go-live turned on.
    SELECT write_mode, pilot_units, pilot_agents FROM deployment
    WHERE EXISTS (SELECT FROM outcomes WHERE state = 'planned')
    FOR SHARE
), touched AS (
    SELECT r.request_pk, r.revision, r.audit_at
    FROM requests r
    WHERE r.request_pk = ANY (ARRAY(SELECT request_pk FROM outcomes UNION ALL SELECT request_pk FROM announced))
      AND (SELECT count(*) FROM modes) >= 0
    ORDER BY r.request_pk
    FOR NO KEY UPDATE
), fenced AS (
    SELECT o.*, t.revision = o.revision AS current,
           CASE WHEN o.audit_in IS NULL THEN t.audit_at
                WHEN o.audit_in >= 0 THEN now() + make_interval(secs => o.audit_in) END AS next_audit
    FROM outcomes o
    JOIN touched t USING (request_pk)
    JOIN lanes l ON l.lane_id = o.lane_id AND l.epoch = o.epoch
), moved AS (
    UPDATE requests r
    SET state = CASE WHEN NOT o.current THEN 'open' WHEN o.keep THEN r.state ELSE o.state END,
        reason = CASE WHEN o.keep THEN r.reason ELSE o.reason END,
        detail = CASE WHEN o.keep THEN r.detail ELSE o.detail END,
        attempts = CASE WHEN o.current THEN o.attempts ELSE 0 END,
        booking = o.booking,
        writes = o.writes,
        look_first = o.look_first,
        doubted = o.doubted,
        audit_at = o.next_audit,
        due_at = CASE
            WHEN NOT o.current THEN now()
            WHEN o.state = 'planned' AND EXISTS (
                SELECT FROM modes m
                WHERE m.write_mode = 'live' AND (cardinality(m.pilot_units) + cardinality(m.pilot_agents) = 0
                    OR r.management_unit_id = ANY (m.pilot_units) OR r.agent_id = ANY (m.pilot_agents))
            ) THEN now() + interval '0.5 s'
            WHEN o.due_in IS NOT NULL THEN now() + make_interval(secs => o.due_in)
            ELSE o.next_audit
        END,
        report = coalesce(o.report, r.report),
        -- What was handed over on the other path counts no more; what was handed over since does.
        write_path = CASE WHEN o.current THEN coalesce(o.write_path, r.write_path) ELSE r.write_path END,
        handed = CASE WHEN NOT o.current OR o.write_path IS NULL THEN r.handed END,
        revision = r.revision + 1
    FROM fenced o
    WHERE r.request_pk = o.request_pk
    RETURNING r.request_pk
), settled AS (
    UPDATE intents i
    SET settled_at = now(), outcome = o.outcome, result_id = o.result_id
    FROM fenced o
    WHERE i.intent_id = o.intent_id AND i.settled_at IS NULL
    RETURNING i.intent_id
), booked AS (
    INSERT INTO entries (request_pk, booking, part, target, employee_id, type_id, unit, spec, fingerprint,
                         vendor_id, chain, live, adopted, effective)
    SELECT o.request_pk, (o.entry->>'booking')::int, (o.entry->>'part')::int, o.entry->>'target',
           o.entry->'spec'->>'employee_id', o.entry->'spec'->>'type_id', o.entry->>'unit', o.entry->'spec',
           o.entry->>'fingerprint', o.entry->>'vendor_id', ARRAY[o.entry->>'vendor_id'],
           (o.entry->>'live')::boolean, (o.entry->>'adopted')::boolean, (o.entry->>'effective')::boolean
    FROM fenced o
    WHERE jsonb_typeof(o.entry) = 'object'
    ON CONFLICT (request_pk, booking, part) DO UPDATE
    SET spec = EXCLUDED.spec, fingerprint = EXCLUDED.fingerprint, vendor_id = EXCLUDED.vendor_id,
        employee_id = EXCLUDED.employee_id, type_id = EXCLUDED.type_id,
        chain = CASE WHEN EXCLUDED.vendor_id = ANY (entries.chain) THEN entries.chain
                     ELSE entries.chain || EXCLUDED.vendor_id END,
        live = EXCLUDED.live, effective = EXCLUDED.effective, updated_at = now()
), outgoing AS (
    INSERT INTO outbox (topic, key, type, event_id, data)
    SELECT o.event->>'topic', o.event->>'key', o.event->>'type', o.event->>'event_id',
           convert_to((o.event->'data')::text, 'UTF8')
    FROM fenced o
    WHERE jsonb_typeof(o.event) = 'object'
), granted AS (
    INSERT INTO intents (intent_id, request_pk, lane_id, epoch, holder, kind, booking, part, write_no, spec,
                         previous, vendor_id, repeat, deadline)
    SELECT a.intent_id, a.request_pk, a.lane_id, a.epoch, a.holder, a.kind, a.booking, a.part, a.write_no,
           a.spec, a.previous, a.vendor_id, a.repeat, now() + make_interval(secs => a.timeout)
    FROM announced a
    JOIN touched t ON t.request_pk = a.request_pk AND t.revision = a.revision
    JOIN lanes l ON l.lane_id = a.lane_id AND l.epoch = a.epoch
        AND l.leased_until > now() + make_interval(secs => a.timeout)
    CROSS JOIN deployment d
    WHERE d.write_mode = 'live' AND d.brake_reason IS NULL AND (SELECT count(*) FROM settled) >= 0
    ON CONFLICT DO NOTHING
    RETURNING intent_id
), noted AS (
    INSERT INTO evidence (intent_id, request_pk, holder, kind, detail)
    SELECT * FROM jsonb_to_recordset($3::jsonb)
        AS e (intent_id uuid, request_pk bigint, holder text, kind text, detail jsonb)
)
SELECT request_pk::text AS moved, NULL::uuid AS granted FROM moved
UNION ALL
SELECT NULL, intent_id FROM granted;

-- name: note_evidence!
INSERT INTO evidence (intent_id, request_pk, holder, kind, detail) VALUES ($1, $2, $3, $4, $5::jsonb);

-- name: looks_of
SELECT (detail->>'at')::timestamptz AS began, (detail->>'proven')::boolean AS proven
FROM evidence WHERE intent_id = $1 AND kind = 'look' ORDER BY recorded_at;

-- name: recent_writes
-- By request: where one request is many records, its removal is one all the same. Not those of $2, which
-- are about to be cancelled and are counted by whoever asks.
SELECT count(DISTINCT request_pk) FILTER (WHERE kind IN ('cancel', 'cancel_twin')) AS cancels,
       count(DISTINCT request_pk) AS writes
FROM intents, deployment
WHERE intents.created_at > greatest(now() - make_interval(secs => $1), deployment.brake_released_at)
  AND request_pk <> ALL ($2::bigint[]);
