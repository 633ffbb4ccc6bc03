-- An organization's figures on a provider.
SELECT metric, date, value, integrations_reported AS reported, integrations_expected AS expected
FROM analytics.organization_daily
WHERE organization_id = %(organization)s AND provider = %(provider)s AND date BETWEEN %(first)s AND %(last)s
