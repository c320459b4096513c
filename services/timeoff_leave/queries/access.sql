-- name: account_of_token
SELECT a.id, a.username, a.region, a.role
FROM access_tokens t JOIN accounts a ON a.id = t.account
WHERE t.digest = $1 AND t.kind = $2 AND t.expires_at > $3 AND a.active;

-- name: account_to_login
SELECT id, password_hash, active FROM accounts WHERE lower(username) = lower($1);

-- name: client_to_login
SELECT secret_hash FROM clients WHERE client_id = $1;

-- name: add_access_token!
INSERT INTO access_tokens (digest, account, kind, expires_at, login) VALUES ($1, $2, $3, $4, $5);

-- name: add_refresh_token!
INSERT INTO refresh_tokens (digest, login, account, client_id, expires_at) VALUES ($1, $2, $3, $4, $5);

-- name: lock_account_of_token
-- Refreshes of an account come one by one: none gives new tokens to a login that another one is taking back.
SELECT a.id FROM accounts a JOIN refresh_tokens t ON t.account = a.id
WHERE t.digest = $1 FOR NO KEY UPDATE OF a;

-- name: use_refresh_token
-- One caller gets it, however many ask at the same time.
UPDATE refresh_tokens t SET used_at = $3
FROM accounts a
WHERE t.digest = $1 AND t.client_id = $2 AND t.used_at IS NULL AND t.expires_at > $3
  AND a.id = t.account AND a.active
RETURNING t.account, t.login;

-- name: revoke_login_of!
-- A token that comes a second time was copied: whoever holds what it led to has to log in again.
WITH copied AS (SELECT login FROM refresh_tokens WHERE digest = $1 AND used_at IS NOT NULL),
     access AS (DELETE FROM access_tokens WHERE login IN (SELECT login FROM copied))
DELETE FROM refresh_tokens WHERE login IN (SELECT login FROM copied) AND used_at IS NULL;

-- name: remove_access_token!
DELETE FROM access_tokens WHERE digest = $1;

-- name: remove_tokens_of!
WITH access AS (DELETE FROM access_tokens WHERE account = $1)
DELETE FROM refresh_tokens WHERE account = $1;

-- name: remove_expired!
WITH access AS (DELETE FROM access_tokens WHERE expires_at <= $1),
     refresh AS (DELETE FROM refresh_tokens WHERE expires_at <= $1),
     blocks AS (DELETE FROM login_blocks WHERE blocked_until <= $1)
DELETE FROM login_failures WHERE failed_at <= $2;

-- name: blocked_until
SELECT blocked_until FROM login_blocks WHERE address = $1 AND blocked_until > $2;

-- name: add_login_failure!
INSERT INTO login_failures (address, failed_at) VALUES ($1, $2);

-- name: block_if_too_many
-- $1 address, $2 start of the window, $3 failures that block, $4 end of the block
INSERT INTO login_blocks (address, blocked_until)
SELECT $1, $4 WHERE (
    SELECT count(*) FROM (SELECT FROM login_failures WHERE address = $1 AND failed_at > $2 LIMIT $3) AS recent
) >= $3
ON CONFLICT (address) DO UPDATE SET blocked_until = EXCLUDED.blocked_until
RETURNING address;

-- name: login_blocks
SELECT address, blocked_until FROM login_blocks WHERE blocked_until > $1 ORDER BY address;

-- name: lift_login_block
-- Its failures go too, or the next one would block it again. Returns the address if it was blocked.
WITH failures AS (DELETE FROM login_failures WHERE address = $1)
DELETE FROM login_blocks WHERE address = $1 AND blocked_until > $2 RETURNING address;

-- name: lock_accounts
-- One at a time: of replicas that start together, the later ones find what the first one made.
SELECT pg_advisory_xact_lock(7305881204119);

-- name: account
SELECT id, password_hash, region, role, active FROM accounts WHERE lower(username) = lower($1) FOR UPDATE;

-- name: keep_account
INSERT INTO accounts (username, password_hash, region, role, active) VALUES ($1, $2, $3, $4, $5)
ON CONFLICT (lower(username)) DO UPDATE
SET password_hash = EXCLUDED.password_hash, region = EXCLUDED.region, role = EXCLUDED.role,
    active = EXCLUDED.active
RETURNING id;

-- name: accounts
SELECT username, region, role, active FROM accounts ORDER BY lower(username);

-- name: keep_client!
INSERT INTO clients (client_id, secret_hash) VALUES ($1, $2)
ON CONFLICT (client_id) DO UPDATE SET secret_hash = EXCLUDED.secret_hash;
