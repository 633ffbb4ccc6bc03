-- Whether an organization has figures on a provider in a period, or a customer of it. By the primary key, and by the
-- index on customers: a customer has figures, complete or not, on each day with a job.
SELECT CASE WHEN %(customer)s::text IS NULL THEN EXISTS (
    SELECT FROM analytics.organization_daily
    WHERE organization_id = %(organization)s AND provider = %(provider)s AND date BETWEEN %(first)s AND %(last)s
) ELSE EXISTS (
    SELECT FROM analytics.ingest_job
    WHERE customer_id = %(customer)s AND organization_id = %(organization)s AND provider = %(provider)s
      AND date BETWEEN %(first)s AND %(last)s
) END AS is_true
