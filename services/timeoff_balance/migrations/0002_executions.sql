-- Runs of flows that were launched on the calls of Genesys Cloud's own API, kept for a set time.
-- Outputs only: what a run was given may hold notes, and nobody asks for it again.
CREATE TABLE executions (
    id uuid PRIMARY KEY,
    flow text NOT NULL,
    target text NOT NULL,
    name text NOT NULL,
    launched_at timestamptz NOT NULL,
    -- A run without an end by then has none: its process was lost.
    ends_by timestamptz NOT NULL,
    completed_at timestamptz,
    outputs json,
    CHECK ((completed_at IS NULL) = (outputs IS NULL))
);
CREATE INDEX executions_launched_at ON executions (launched_at);
