-- What the workflows of Genesys hand over: a wish for leave that names an employee of the HRIS and no request of
-- Genesys. It is a row of `requests` like any other, so that it is booked by the same lanes and intents. Its
-- `request_id` is our own id (`handover_id`) until the request that it belongs to is seen; then both are one
-- row, and `entry_key` keeps the name under which it was booked.
ALTER TABLE requests
    ADD COLUMN handover_id  text,
    ADD COLUMN entry_key    text,
    ADD COLUMN handed       jsonb,
    ADD COLUMN handed_at    timestamptz,
    -- a call waits for its answer until then, and Genesys makes a status of it
    ADD COLUMN answer_until timestamptz,
    -- a record in the HRIS that a workflow named and nothing here knows: taken over before anything is written
    ADD COLUMN adopt        text,
    ADD CONSTRAINT requests_write_path_check CHECK (write_path IN ('events', 'flows'));
CREATE UNIQUE INDEX requests_handover ON requests (handover_id) WHERE handover_id IS NOT NULL;
CREATE INDEX requests_adopt ON requests (adopt) WHERE adopt IS NOT NULL;
CREATE INDEX requests_handed ON requests (lane_id) WHERE handed IS NOT NULL;
CREATE INDEX requests_lane ON requests (lane_id, first_day);
CREATE INDEX entries_chain ON entries USING gin (chain);
