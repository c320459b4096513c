-- name: employee_leave_policies
-- $1: region of the caller
SELECT a.employee, a.policy AS "leavePolicy", a.started_on AS "startedOn", a.ended_on AS "endedOn", a.id
FROM assignments a JOIN employees e ON e.id = a.employee
WHERE e.region IN (SELECT descendant FROM region_paths WHERE ancestor = $1)

-- name: employees_to_assign
-- Employees among $1 that a caller of region $3 may put on a policy of region $2.
SELECT e.id FROM employees e
WHERE e.id = ANY ($1::int[]) AND e.status = 'ACTIVE'
  AND e.region IN (SELECT descendant FROM region_paths WHERE ancestor = $2)
  AND EXISTS (SELECT FROM region_paths WHERE ancestor = $3 AND descendant = $2);

-- name: count_assigned
SELECT count(*) FROM assignments WHERE employee = ANY ($1::int[]) AND ended_on IS NULL;

-- name: assign_employees!
-- The day is the employee's own. $3: now, $4: zone of regions without one
INSERT INTO assignments (employee, policy, started_on)
SELECT e.id, $2, ($3::timestamptz AT TIME ZONE coalesce(region_zone(e.region), $4))::date
FROM employees e WHERE e.id = ANY ($1::int[]) ORDER BY e.id;

-- name: employees_on_policy
-- Employees among $1 that are on policy $2 and that a caller of region $3 may take off it.
SELECT a.employee AS id FROM assignments a JOIN employees e ON e.id = a.employee
WHERE a.employee = ANY ($1::int[]) AND a.policy = $2 AND a.ended_on IS NULL
  AND e.region IN (SELECT descendant FROM region_paths WHERE ancestor = $3);

-- name: unassign_employees!
UPDATE assignments a
SET ended_on = greatest(a.started_on, ($3::timestamptz AT TIME ZONE coalesce(region_zone(e.region), $4))::date)
FROM employees e
WHERE e.id = a.employee AND a.employee = ANY ($1::int[]) AND a.policy = $2 AND a.ended_on IS NULL;
