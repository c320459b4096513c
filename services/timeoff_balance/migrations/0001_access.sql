-- Tokens that OAuth clients got. Only their hashes: who reads this table cannot call.

CREATE TABLE access_tokens (
    digest     bytea PRIMARY KEY,
    client_id  text NOT NULL,
    expires_at timestamptz NOT NULL
);
CREATE INDEX access_tokens_expired ON access_tokens (expires_at);
