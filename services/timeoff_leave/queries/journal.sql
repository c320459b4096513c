-- name: load_standings
-- Employees with the policy that they are on, if any, and a row for each of its items, if any. `since` is the date
-- from which on an item gives leave: that of the assignment, of its link, or of a return, whichever is last.
SELECT e.id AS employee, e.status = 'ACTIVE' AS active, z.zone, a.policy,
       greatest(a.started_on, (l.linked_at AT TIME ZONE z.zone)::date, (e.returned_at AT TIME ZONE z.zone)::date)
           AS since,
       p.reset_month, p.resets_per_year, p.pay_hours_per_day,
       i.leave_type, i.entitlement_unit, i.quantity, i.carry_over, i.carry_over_limit
FROM employees e
CROSS JOIN LATERAL (SELECT coalesce(region_zone(e.region), $2) AS zone) z
LEFT JOIN assignments a ON a.employee = e.id AND a.ended_on IS NULL
LEFT JOIN leave_policies p ON p.id = a.policy
LEFT JOIN policy_items l ON l.policy = a.policy
LEFT JOIN leave_policy_items i ON i.id = l.item
WHERE e.id = ANY($1::integer[])
ORDER BY e.id, i.leave_type;

-- name: load_sums
SELECT employee, leave_type, period_start, period_months,
       coalesce(sum(days) FILTER (WHERE NOT pending), 0) AS days,
       coalesce(-sum(days) FILTER (WHERE pending), 0) AS pending,
       bool_or(kind = 'grant') AS granted,
       bool_or(kind = 'carry_over') AS carried,
       bool_or(kind = 'set') AS was_set
FROM postings
WHERE employee = ANY($1::integer[]) AND ($2::integer[] IS NULL OR leave_type = ANY($2::integer[]))
GROUP BY employee, leave_type, period_start, period_months;

-- name: load_taken
-- What a request holds: its takes less what was given back.
SELECT leave_type, policy, period_start, period_months, pending, -sum(days) AS days
FROM postings
WHERE leave_request = $1
GROUP BY leave_type, policy, period_start, period_months, pending
HAVING sum(days) <> 0;

-- name: append_postings!
INSERT INTO postings (employee, leave_type, policy, period_start, period_months, kind, days, pending,
                      leave_request, description, recorded_at)
SELECT *, $11::timestamptz
FROM unnest($1::integer[], $2::integer[], $3::integer[], $4::date[], $5::integer[], $6::text[], $7::numeric[],
            $8::boolean[], $9::integer[], $10::text[]);
