-- The customers that channels have, by name. The name is that of the latest listing.
SELECT DISTINCT ON (lower(label), id, organization_id) id, label, organization_id
FROM (
    SELECT customer_id AS id, organization_id, listed_at,
        first_value(coalesce(customer_name, customer_id)) OVER (
            PARTITION BY customer_id, organization_id ORDER BY listed_at DESC
        ) AS label
    FROM analytics.integration
    WHERE customer_id IS NOT NULL
) AS named
ORDER BY lower(label), id, organization_id
