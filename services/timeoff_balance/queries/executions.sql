-- name: launch_execution!
INSERT INTO executions (id, flow, target, name, launched_at, ends_by)
VALUES ($1, $2, $3, $4, clock_timestamp(), clock_timestamp() + make_interval(secs => $5));

-- name: complete_execution!
UPDATE executions SET completed_at = greatest(clock_timestamp(), launched_at), outputs = $2
WHERE id = $1 AND completed_at IS NULL;

-- name: execution^
SELECT id, flow, target, name, launched_at, completed_at, outputs, ends_by < clock_timestamp() AS lost
FROM executions
WHERE id = $1 AND launched_at > clock_timestamp() - make_interval(secs => $2);

-- name: purge_executions!
DELETE FROM executions WHERE launched_at <= clock_timestamp() - make_interval(secs => $1);
