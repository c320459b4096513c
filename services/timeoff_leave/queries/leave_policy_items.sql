-- name: leave_policy_items
-- $1: region of the caller
SELECT i.custom_id AS "customId", i.name, i.description, i.entitlement_unit AS "entitlementUnit", i.quantity,
       i.region, i.leave_type AS "leaveType", i.accrual_rate AS "accrualRate", i.carry_over AS "carryOver",
       i.carry_over_limit AS "carryOverLimit", i.id
FROM leave_policy_items i
WHERE i.region IN (SELECT region FROM related_regions WHERE viewer = $1)

-- name: leave_type_to_use
-- A type that an item of region $2 may have: of all regions, of this one or of one above it.
SELECT t.id, t.status FROM leave_types t
WHERE t.id = $1 AND (t.region IS NULL OR t.region IN (SELECT ancestor FROM region_paths WHERE descendant = $2))
FOR SHARE OF t;

-- name: add_leave_policy_item
INSERT INTO leave_policy_items (custom_id, name, description, entitlement_unit, quantity, accrual_rate, region,
                                leave_type, carry_over, carry_over_limit)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) RETURNING id;

-- name: items_to_assign
-- Items that a policy of region $2 may have: of its region, or of one above it.
SELECT i.id, i.leave_type FROM leave_policy_items i
WHERE i.id = ANY ($1::int[]) AND i.region IN (SELECT ancestor FROM region_paths WHERE descendant = $2);

-- name: leave_types_of_policy
-- One row for each item, whether it was there or is about to come.
SELECT i.leave_type FROM leave_policy_items i
WHERE i.id IN (SELECT item FROM policy_items WHERE policy = $1) OR i.id = ANY ($2::int[]);

-- name: add_policy_items!
INSERT INTO policy_items (policy, item, linked_at) SELECT $1, unnest($2::int[]), $3 ON CONFLICT DO NOTHING;

-- name: count_policy_items
SELECT count(*) FROM policy_items WHERE policy = $1 AND item = ANY ($2::int[]);

-- name: remove_policy_items!
DELETE FROM policy_items WHERE policy = $1 AND item = ANY ($2::int[]);
