-- All organizations, by name.
SELECT DISTINCT organization_id AS id, coalesce(organization.name, organization_id) AS label
FROM analytics.integration LEFT JOIN analytics.organization USING (organization_id)
ORDER BY label, id
