-- name: employees
-- $1: region of the caller
SELECT e.id, e.custom_id AS "customId", e.first_name AS "firstName", e.last_name AS "lastName",
       concat_ws(' ', nullif(e.first_name, ''), nullif(e.last_name, '')) AS name,
       e.email, e.region, e.status, e.job_title AS "jobTitle"
FROM employees e
WHERE e.region IN (SELECT descendant FROM region_paths WHERE ancestor = $1)

-- name: lock_employees
-- In the order of ids, so that two actions on the same people never wait for each other.
SELECT id FROM employees WHERE id = ANY ($1::int[]) ORDER BY id FOR UPDATE;

-- name: employee_to_change
SELECT id FROM employees
WHERE id = $1 AND region IN (SELECT descendant FROM region_paths WHERE ancestor = $2)
FOR UPDATE;

-- name: add_employee
INSERT INTO employees (custom_id, first_name, last_name, email, region, job_title, status)
VALUES ($1, $2, $3, $4, $5, $6, $7) RETURNING id;

-- name: change_employee!
UPDATE employees
SET custom_id = $2, first_name = $3, last_name = $4, email = $5, region = $6, job_title = $7, status = $8,
    returned_at = CASE WHEN status = 'TERMINATED' AND $8 = 'ACTIVE' THEN $9::timestamptz ELSE returned_at END
WHERE id = $1;

-- name: employee_fields
SELECT custom_id, first_name, last_name, email, region, job_title, status FROM employees WHERE id = $1;

-- name: region_ids
SELECT id FROM regions;

-- name: make_incoming_employees#
CREATE TEMPORARY TABLE incoming_employees (
    custom_id text, first_name text, last_name text, email text, region integer, job_title text, status text
) ON COMMIT DROP;

-- name: lock_incoming_employees
-- In the order of ids as everybody, whatever the order in the file is.
SELECT id FROM employees WHERE lower(custom_id) IN (SELECT lower(custom_id) FROM incoming_employees)
ORDER BY id FOR UPDATE;

-- name: store_incoming_employees
-- $1: now
WITH stored AS (
    INSERT INTO employees (custom_id, first_name, last_name, email, region, job_title, status)
    SELECT custom_id, first_name, last_name, email, region, job_title, status FROM incoming_employees
    ON CONFLICT (lower(custom_id)) DO UPDATE
    SET first_name = EXCLUDED.first_name, last_name = EXCLUDED.last_name, email = EXCLUDED.email,
        region = EXCLUDED.region, job_title = EXCLUDED.job_title, status = EXCLUDED.status,
        returned_at = CASE WHEN employees.status = 'TERMINATED' AND EXCLUDED.status = 'ACTIVE'
                           THEN $1::timestamptz ELSE employees.returned_at END
    RETURNING xmax = 0 AS created
)
SELECT count(*) FILTER (WHERE created) AS created, count(*) FILTER (WHERE NOT created) AS changed FROM stored;
