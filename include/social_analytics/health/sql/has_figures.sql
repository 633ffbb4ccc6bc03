-- Whether an organization has figures on a provider in a period. By the primary key.
SELECT EXISTS (
    SELECT FROM analytics.organization_daily
    WHERE organization_id = %(organization)s AND provider = %(provider)s AND date BETWEEN %(first)s AND %(last)s
) AS is_true
