-- name: leave_requests
-- $1: region of the caller. Days are looked up for the rows of the page only.
SELECT r.id, r.custom_id AS "customId", r.employee, r.leave_type AS "leaveType",
       r.leave_policy AS "leavePolicy", r.status, r.start_date AS "startDate", r.end_date AS "endDate",
       r.start_date_time AS "startDateTime",
       (SELECT array_agg(on_date ORDER BY on_date) FROM leave_request_days WHERE leave_request = r.id) AS dates,
       (SELECT array_agg(minutes ORDER BY on_date) FROM leave_request_days WHERE leave_request = r.id) AS minutes,
       (SELECT round(sum(minutes) / r.full_day, 4) FROM leave_request_days WHERE leave_request = r.id)
           AS "totalDays",
       r.reason, r.time_zone AS "timeZone", r.created_on AS "createdOn", r.updated_on AS "updatedOn"
FROM leave_requests r
JOIN employees e ON e.id = r.employee
WHERE e.region IN (SELECT descendant FROM region_paths WHERE ancestor = $1)

-- name: find_request_employee
-- Whose request it is, if the caller's region sees that employee.
SELECT r.employee
FROM leave_requests r
JOIN employees e ON e.id = r.employee
JOIN region_paths v ON v.descendant = e.region AND v.ancestor = $2
WHERE r.id = $1;

-- name: load_request
-- A request with its days in order, and the rule of the policy under which it was made.
SELECT r.*, p.reset_month, p.resets_per_year, d.dates, d.minutes
FROM leave_requests r
JOIN leave_policies p ON p.id = r.leave_policy
CROSS JOIN LATERAL (
    SELECT array_agg(on_date ORDER BY on_date) AS dates, array_agg(minutes ORDER BY on_date) AS minutes
    FROM leave_request_days WHERE leave_request = r.id
) d
WHERE r.id = $1;

-- name: load_held_dates
-- What other live requests of an employee hold between two dates.
SELECT d.on_date, d.minutes, r.full_day
FROM leave_requests r
JOIN leave_request_days d ON d.leave_request = r.id AND d.on_date BETWEEN $3 AND $4
WHERE r.employee = $1 AND r.id IS DISTINCT FROM $2
  AND r.status IN ('PENDING', 'APPROVED') AND r.start_date <= $4 AND r.end_date >= $3;

-- name: is_custom_id_used
SELECT EXISTS (SELECT FROM leave_requests WHERE lower(custom_id) = lower($1));

-- name: load_leave_type_status
-- It is not archived before the request is there.
SELECT status FROM leave_types WHERE id = $1 FOR KEY SHARE;

-- name: insert_request
INSERT INTO leave_requests (custom_id, employee, leave_type, leave_policy, status, start_date, end_date,
                            start_date_time, full_day, reason, time_zone, created_on, updated_on)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $12)
RETURNING id;

-- name: change_request!
UPDATE leave_requests
SET leave_type = $2, status = $3, start_date = $4, end_date = $5, start_date_time = $6, reason = $7,
    updated_on = $8
WHERE id = $1;

-- name: remove_request_days!
DELETE FROM leave_request_days WHERE leave_request = $1;

-- name: insert_request_days!
INSERT INTO leave_request_days (leave_request, on_date, minutes)
SELECT $1, * FROM unnest($2::date[], $3::numeric[]);
