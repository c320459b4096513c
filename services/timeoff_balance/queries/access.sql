-- name: keep_token!
INSERT INTO access_tokens (digest, client_id, expires_at) VALUES ($1, $2, now() + make_interval(secs => $3));

-- name: client_of_token
SELECT client_id, extract(epoch FROM expires_at - now())::float8 AS seconds
FROM access_tokens WHERE digest = $1 AND expires_at > now();

-- name: drop_expired_tokens!
DELETE FROM access_tokens WHERE expires_at < now();
