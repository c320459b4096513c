-- name: counts_of_policies
-- How many items a policy has, and how many employees that region $2 sees are on it.
SELECT p.id,
       (SELECT count(*) FROM policy_items i WHERE i.policy = p.id) AS items,
       (SELECT count(*) FROM assignments a JOIN employees e ON e.id = a.employee
        WHERE a.policy = p.id AND a.ended_on IS NULL
          AND e.region IN (SELECT descendant FROM region_paths WHERE ancestor = $2)) AS employees
FROM leave_policies p WHERE p.id = ANY ($1::int[]);
