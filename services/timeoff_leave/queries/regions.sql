-- name: regions
-- $1: region of the caller, who sees it and all below
SELECT r.id, r.name, r.status, r.parent, r.time_zone AS "timeZone"
FROM regions r
WHERE r.id IN (SELECT descendant FROM region_paths WHERE ancestor = $1)

-- name: reaches
-- Does $1, the region of a caller, reach $2?
SELECT EXISTS (SELECT FROM region_paths WHERE ancestor = $1 AND descendant = $2);

-- name: add_region
INSERT INTO regions (name, parent, time_zone) VALUES ($1, $2, $3) RETURNING id;

-- name: local_time
-- Refused for a zone that PostgreSQL does not know.
SELECT now() AT TIME ZONE $1::text;

-- name: is_root
SELECT parent IS NULL FROM regions WHERE id = $1;
