-- The providers of an organization's channels, also of former ones, and how many channels are active.
SELECT provider, count(*) FILTER (WHERE is_active) AS channels
FROM analytics.integration
WHERE organization_id = %(organization)s
GROUP BY provider
ORDER BY provider
