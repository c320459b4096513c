-- name: leave_types
-- $1: region of the caller
SELECT t.name, t.region, t.status, t.id
FROM leave_types t
WHERE t.region IS NULL OR t.region IN (SELECT region FROM related_regions WHERE viewer = $1)

-- name: add_leave_type
INSERT INTO leave_types (name, region) VALUES ($1, $2) RETURNING id;

-- name: leave_type_to_change
-- $2: region of the caller. One of all regions is changed from the root.
SELECT t.id, coalesce(t.region, (SELECT id FROM regions WHERE parent IS NULL)) IN (
    SELECT descendant FROM region_paths WHERE ancestor = $2) AS reached
FROM leave_types t
WHERE t.id = $1 AND (t.region IS NULL OR t.region IN (SELECT region FROM related_regions WHERE viewer = $2))
FOR UPDATE OF t;

-- name: rename_leave_type!
UPDATE leave_types SET name = $2 WHERE id = $1;

-- name: archive_leave_type!
UPDATE leave_types SET status = 'ARCHIVED' WHERE id = $1;
