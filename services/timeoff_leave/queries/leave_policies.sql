-- name: leave_policies
-- $1: region of the caller
SELECT p.custom_id AS "customId", p.name, p.description, p.region, p.status,
       p.effective_start AS "effectiveStartDate", p.pay_hours_per_day AS "payHoursPerDay",
       to_char(make_date(2000, p.reset_month, 1), 'FMMONTH') AS "balanceResetReferenceMonth",
       p.resets_per_year AS "balanceResetsPerYear",
       p.start_period::timestamp AT TIME ZONE 'UTC' AS "startPeriodDate",
       p.end_period::timestamp AT TIME ZONE 'UTC' AS "endPeriodDate", p.id
FROM leave_policies p
WHERE p.region IN (SELECT region FROM related_regions WHERE viewer = $1)

-- name: add_leave_policy
INSERT INTO leave_policies (custom_id, name, description, region, status, effective_start, pay_hours_per_day,
                            reset_month, resets_per_year, start_period, end_period)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) RETURNING id;

-- name: policy_to_use
-- $2: region of the caller; `reached` tells whether the policy is defined in it or below
SELECT p.*, p.region IN (SELECT descendant FROM region_paths WHERE ancestor = $2) AS reached
FROM leave_policies p
WHERE p.id = $1 AND p.region IN (SELECT region FROM related_regions WHERE viewer = $2)
FOR SHARE OF p;

-- name: policy_to_change
SELECT p.*, p.region IN (SELECT descendant FROM region_paths WHERE ancestor = $2) AS reached
FROM leave_policies p
WHERE p.id = $1 AND p.region IN (SELECT region FROM related_regions WHERE viewer = $2)
FOR UPDATE OF p;

-- name: items_of_policies
SELECT policy AS owner, item AS id FROM policy_items WHERE policy = ANY ($1::int[]) ORDER BY policy, item;

-- name: employees_of_policies
SELECT policy AS owner, employee AS id FROM assignments
WHERE policy = ANY ($1::int[]) AND ended_on IS NULL ORDER BY policy, employee;
