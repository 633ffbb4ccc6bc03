-- For each metric, two totals over the channels of an organization, or of a customer, that reported every day of both
-- periods: "first" to "last", and as many days before. Of a gauge, the last day of each period counts. A customer must
-- have had the channel on each of these days. No rows if there are more than "most" channels.
WITH channel AS MATERIALIZED (
    SELECT integration_id
    FROM analytics.integration
    WHERE %(customer)s::text IS NULL AND organization_id = %(organization)s AND provider = %(provider)s
    UNION ALL
    -- By the index on customers.
    SELECT integration_id
    FROM analytics.ingest_job
    WHERE customer_id = %(customer)s AND organization_id = %(organization)s AND provider = %(provider)s
      AND date = %(last)s
)
SELECT metric, count(*) AS channels, sum(total) AS total, sum(previous) AS previous
FROM channel
CROSS JOIN unnest(%(metrics)s::text[], %(are_gauges)s::boolean[]) AS wanted (metric, is_gauge)
CROSS JOIN LATERAL (
    -- By the primary key: the aggregate keeps the planner from reading the whole table.
    SELECT count(*) AS days, sum(value) FILTER (WHERE date >= %(first)s) AS total,
        sum(value) FILTER (WHERE date < %(first)s) AS previous
    FROM analytics.integration_metric_daily AS figure
    WHERE figure.integration_id = channel.integration_id AND figure.metric = wanted.metric
      AND date BETWEEN %(first)s::date - %(days)s AND %(last)s
      AND (NOT is_gauge OR date IN (%(first)s::date - 1, %(last)s))
      AND figure.organization_id = %(organization)s AND value IS NOT NULL
      AND (%(customer)s::text IS NULL OR %(customer)s = (
          SELECT customer_id FROM analytics.ingest_job AS job WHERE job.job_id = figure.job_id
      ))
) AS figures
WHERE (SELECT count(*) FROM channel) <= %(most)s
  AND figures.days = 2 * CASE WHEN is_gauge THEN 1 ELSE %(days)s END
GROUP BY metric
