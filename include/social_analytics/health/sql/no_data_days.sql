-- How many of an organization's integrations have no data, on the days when there are any.
SELECT date, count(*) AS jobs
FROM analytics.ingest_job
-- By the index on jobs without data. The planner uses it only for exactly this literal.
WHERE status = 'no_data' AND organization_id = %(organization)s AND provider = %(provider)s
  AND date BETWEEN %(first)s AND %(last)s
GROUP BY date
