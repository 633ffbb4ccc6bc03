-- The providers of the channels of an organization, or of a customer, also of former ones, and how many channels are
-- active.
SELECT provider, count(*) FILTER (WHERE is_active) AS channels
FROM analytics.integration
WHERE organization_id = %(organization)s AND (%(customer)s::text IS NULL OR customer_id = %(customer)s)
GROUP BY provider
ORDER BY provider
