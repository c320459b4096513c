-- The ledger's first tables. Conventions: instants are timestamptz, dates are those of the management unit,
-- minutes are whole. Tables that only grow (observations, evidence) are partitioned by time from the start,
-- so that a later purge can drop a month and later migrations need not move rows.

CREATE TABLE deployment (
    singleton         boolean PRIMARY KEY DEFAULT true CHECK (singleton),
    deployment_id     text NOT NULL,
    org               text NOT NULL,
    started_on        date NOT NULL DEFAULT current_date,
    created_at        timestamptz NOT NULL DEFAULT now(),
    write_mode        text NOT NULL DEFAULT 'shadow' CHECK (write_mode IN ('shadow', 'live')),
    pilot_units       text[] NOT NULL DEFAULT '{}',
    pilot_agents      text[] NOT NULL DEFAULT '{}',
    live_since        timestamptz,
    brake_reason      text,
    braked_at         timestamptz,
    brake_released_at timestamptz
);

-- Where the intake stands in the event log. Moves in the transaction that stores what was read.
CREATE TABLE log_offsets (
    log_group   text NOT NULL,
    topic       text NOT NULL,
    partition   integer NOT NULL,
    next_offset bigint NOT NULL,
    PRIMARY KEY (log_group, topic, partition)
);

CREATE TABLE targets (
    target         text PRIMARY KEY,
    stopped_reason text,
    stopped_at     timestamptz,
    probe_at       timestamptz
);

CREATE TABLE budgets (
    budget       text PRIMARY KEY,
    tokens       double precision NOT NULL,
    refilled_at  timestamptz NOT NULL DEFAULT now(),
    paused_until timestamptz
);

CREATE TABLE agents (
    org                text NOT NULL,
    agent_id           text NOT NULL,
    management_unit_id text,
    zone               text,
    PRIMARY KEY (org, agent_id)
);

-- Agent to employee, per target. A failed or partial look-up never clears an employee_id.
CREATE TABLE agent_links (
    org          text NOT NULL,
    agent_id     text NOT NULL,
    target       text NOT NULL,
    employee_id  text,
    source       text,
    problem      text,
    looked_up_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (org, agent_id, target)
);

-- Activity code to HRIS type as the time-off plans of a unit say. Rows are replaced, never just missing.
CREATE TABLE type_links (
    org                text NOT NULL,
    management_unit_id text NOT NULL,
    activity_code_id   text NOT NULL,
    type_id            text NOT NULL,
    type_id2           text,
    plan_id            text,
    seen_at            timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (org, management_unit_id, activity_code_id)
);

-- One lane is one employee of one target: one holder, one call in flight. `epoch` is the fence.
CREATE TABLE lanes (
    lane_id       bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    org           text NOT NULL,
    target        text NOT NULL,
    employee_id   text NOT NULL,
    epoch         bigint NOT NULL DEFAULT 0,
    holder        text,
    leased_until  timestamptz,
    blocked_until timestamptz,
    UNIQUE (org, target, employee_id)
) WITH (fillfactor = 70);

CREATE TABLE requests (
    request_pk         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    org                text NOT NULL,
    request_id         text NOT NULL,
    agent_id           text NOT NULL,
    -- what Genesys said
    management_unit_id text,
    zone               text,
    version            bigint,
    confirmed          jsonb,
    confirmed_at       timestamptz,
    watermark          timestamptz,
    provisional        jsonb,
    unconfirmed        boolean NOT NULL DEFAULT false,
    missing            boolean NOT NULL DEFAULT false,
    first_seen         text NOT NULL,
    seen_at            timestamptz NOT NULL DEFAULT now(),
    -- where it goes and how far it is; `revision` is the row's optimistic lock
    target             text,
    lane_id            bigint REFERENCES lanes,
    revision           bigint NOT NULL DEFAULT 1,
    state              text NOT NULL DEFAULT 'open' CHECK
        (state IN ('open', 'waiting', 'settled', 'planned', 'held', 'failed', 'not_ours')),
    reason             text,
    detail             jsonb,
    look_first         boolean NOT NULL DEFAULT true,
    booking            integer NOT NULL DEFAULT 1,
    writes             integer NOT NULL DEFAULT 0,
    attempts           integer NOT NULL DEFAULT 0,
    due_at             timestamptz,
    audit_at           timestamptz,
    priority           smallint NOT NULL DEFAULT 1,
    first_day          date,
    last_day           date,
    changed_at         timestamptz NOT NULL DEFAULT now(),
    -- write-back to Genesys
    report             text,
    reported           text,
    done_by_hand       boolean NOT NULL DEFAULT false,
    doubted            boolean NOT NULL DEFAULT false,
    write_path         text NOT NULL DEFAULT 'events',
    UNIQUE (org, request_id)
) WITH (fillfactor = 70);
CREATE INDEX requests_due ON requests (lane_id, priority, first_day) WHERE due_at IS NOT NULL;
CREATE INDEX requests_unlinked ON requests (agent_id) WHERE due_at IS NOT NULL AND lane_id IS NULL;
CREATE INDEX requests_agent ON requests (org, agent_id);
CREATE INDEX requests_unconfirmed ON requests (org, agent_id) WHERE unconfirmed;
CREATE INDEX requests_attention ON requests (state, reason) WHERE state IN ('held', 'failed', 'planned');
CREATE INDEX requests_report ON requests (request_pk) WHERE report IS DISTINCT FROM reported;

CREATE TABLE entries (
    entry_id    bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    request_pk  bigint NOT NULL REFERENCES requests,
    booking     integer NOT NULL,
    part        integer NOT NULL DEFAULT 1,
    target      text NOT NULL,
    employee_id text NOT NULL,
    type_id     text NOT NULL,
    unit        text NOT NULL,
    spec        jsonb NOT NULL,
    fingerprint text NOT NULL,
    vendor_id   text NOT NULL,
    chain       text[] NOT NULL,
    live        boolean NOT NULL,
    adopted     boolean NOT NULL DEFAULT false,
    updated_at  timestamptz NOT NULL DEFAULT now(),
    UNIQUE (request_pk, booking, part)
);
CREATE INDEX entries_employee ON entries (target, employee_id);

-- Committed before every write. One open intent a lane, at most: the index is the last guard of invariant 2.
CREATE TABLE intents (
    intent_id  uuid PRIMARY KEY,
    request_pk bigint NOT NULL REFERENCES requests,
    lane_id    bigint NOT NULL REFERENCES lanes,
    epoch      bigint NOT NULL,
    holder     text NOT NULL,
    kind       text NOT NULL CHECK (kind IN ('insert', 'update', 'cancel', 'cancel_twin')),
    booking    integer NOT NULL,
    part       integer NOT NULL DEFAULT 1,
    write_no   integer NOT NULL,
    spec       jsonb,
    previous   jsonb,
    vendor_id  text,
    repeat     boolean NOT NULL DEFAULT false,
    created_at timestamptz NOT NULL DEFAULT now(),
    deadline   timestamptz NOT NULL,
    settled_at timestamptz,
    outcome    text,
    result_id  text
) WITH (fillfactor = 80);
CREATE UNIQUE INDEX intents_open ON intents (lane_id) WHERE settled_at IS NULL;
CREATE INDEX intents_request ON intents (request_pk);
CREATE INDEX intents_unsettled ON intents (lane_id, request_pk) WHERE outcome = 'unsettled';
CREATE INDEX intents_created ON intents USING brin (created_at);

-- What was seen and answered, in the order it was learnt. Never changed, never fenced.
CREATE TABLE evidence (
    recorded_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    intent_id   uuid,
    request_pk  bigint,
    holder      text NOT NULL,
    kind        text NOT NULL,
    detail      jsonb NOT NULL
) PARTITION BY RANGE (recorded_at);
CREATE TABLE evidence_default PARTITION OF evidence DEFAULT;
CREATE INDEX evidence_intent ON evidence (intent_id);

CREATE TABLE observations (
    recorded_at timestamptz NOT NULL DEFAULT now(),
    org         text NOT NULL,
    request_id  text NOT NULL,
    source      text NOT NULL,
    verdict     text NOT NULL,
    version     bigint,
    modified_at timestamptz,
    read_at     timestamptz NOT NULL,
    content     jsonb,
    partition   integer NOT NULL,
    log_offset  bigint NOT NULL
) PARTITION BY RANGE (recorded_at);
CREATE TABLE observations_default PARTITION OF observations DEFAULT;
CREATE INDEX observations_request ON observations (org, request_id);

CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% is append-only', TG_TABLE_NAME;
END $$;
CREATE TRIGGER evidence_append_only BEFORE UPDATE OR DELETE ON evidence
    FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER observations_append_only BEFORE UPDATE OR DELETE ON observations
    FOR EACH ROW EXECUTE FUNCTION refuse_change();

-- Events on their way to the log; a relay appends and then deletes them.
CREATE TABLE outbox (
    outbox_id  bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    topic      text NOT NULL,
    key        text NOT NULL,
    type       text NOT NULL,
    event_id   text NOT NULL,
    data       bytea NOT NULL,
    extensions jsonb NOT NULL DEFAULT '{}',
    created_at timestamptz NOT NULL DEFAULT now()
);

-- Named single-holder jobs (the relay, the link refresh).
CREATE TABLE leases (
    lease        text PRIMARY KEY,
    holder       text NOT NULL,
    leased_until timestamptz NOT NULL
);

-- Agents whose requests are to be read over REST by the listener.
CREATE TABLE confirmations (
    org           text NOT NULL,
    agent_id      text NOT NULL,
    due_at        timestamptz NOT NULL DEFAULT now(),
    claimed_until timestamptz,
    attempts      integer NOT NULL DEFAULT 0,
    PRIMARY KEY (org, agent_id)
);

-- Stretches of time in which changes may have been missed. Empty agent_ids means all agents.
CREATE TABLE gaps (
    gap_id        bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    org           text NOT NULL,
    opened_at     timestamptz NOT NULL DEFAULT now(),
    reason        text NOT NULL,
    agent_ids     text[] NOT NULL DEFAULT '{}',
    closed_at     timestamptz,
    requests_read integer
);
CREATE INDEX gaps_open ON gaps (org) WHERE closed_at IS NULL;
