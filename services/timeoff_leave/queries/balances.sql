-- name: leave_balances
-- $1: region of the caller. A period is there from its opening on; what it holds is the sum of its postings,
-- which is looked up for the rows of the page only. Bounds are local times here, see the record.
SELECT g.employee || '-' || g.leave_type || '-' || to_char(g.period_start, 'YYYY-MM-DD') AS id,
       g.employee,
       to_char(g.period_start, 'YYYY-MM-DD') || '-' || g.period_months AS "periodId",
       (SELECT coalesce(sum(p.days), 0) FROM postings p
        WHERE p.employee = g.employee AND p.leave_type = g.leave_type AND p.period_start = g.period_start
          AND p.period_months = g.period_months AND NOT p.pending) AS "balanceDays",
       (SELECT sum(p.days) FROM postings p
        WHERE p.employee = g.employee AND p.leave_type = g.leave_type AND p.period_start = g.period_start
          AND p.period_months = g.period_months) AS "balanceDaysIncludingPending",
       region_zone(e.region) AS "timeZone",
       g.period_start::timestamp AS "periodStartDateTime",
       g.period_start::timestamp + make_interval(months => g.period_months) AS "periodEndDateTime",
       g.leave_type AS "leaveType",
       g.period_start, g.period_months
FROM postings g
JOIN employees e ON e.id = g.employee
WHERE g.kind IN ('grant', 'open')
  AND (g.kind = 'grant' OR NOT EXISTS (
        SELECT FROM postings o
        WHERE o.employee = g.employee AND o.leave_type = g.leave_type AND o.period_start = g.period_start
          AND o.kind = 'grant'))
  AND e.region IN (SELECT descendant FROM region_paths WHERE ancestor = $1)

-- name: employees_in_sight
-- Which of these employees a region sees.
SELECT id FROM employees
WHERE id = ANY ($1::integer[]) AND region IN (SELECT descendant FROM region_paths WHERE ancestor = $2);
