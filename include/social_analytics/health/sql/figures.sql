-- An organization's figures on a provider, or a customer's.
SELECT metric, date, value, integrations_reported AS reported, integrations_expected AS expected
FROM analytics.organization_daily
WHERE %(customer)s::text IS NULL AND organization_id = %(organization)s AND provider = %(provider)s
  AND date BETWEEN %(first)s AND %(last)s
UNION ALL
SELECT metric, date, value, integrations_reported, integrations_expected
FROM analytics.customer_daily
WHERE customer_id = %(customer)s AND organization_id = %(organization)s AND provider = %(provider)s
  AND date BETWEEN %(first)s AND %(last)s
