-- For each metric, two totals over an organization's channels that reported every day of both periods: "first" to
-- "last", and as many days before. Of a gauge, the last day of each period counts. No rows for an organization of
-- more than "most" channels.
SELECT metric, count(*) AS channels, sum(total) AS total, sum(previous) AS previous
FROM analytics.integration
CROSS JOIN unnest(%(metrics)s::text[], %(are_gauges)s::boolean[]) AS wanted (metric, is_gauge)
CROSS JOIN LATERAL (
    -- By the primary key: the aggregate keeps the planner from reading the whole table.
    SELECT count(*) AS days, sum(value) FILTER (WHERE date >= %(first)s) AS total,
        sum(value) FILTER (WHERE date < %(first)s) AS previous
    FROM analytics.integration_metric_daily AS figure
    WHERE figure.integration_id = integration.integration_id AND figure.metric = wanted.metric
      AND date BETWEEN %(first)s::date - %(days)s AND %(last)s
      AND (NOT is_gauge OR date IN (%(first)s::date - 1, %(last)s))
      AND figure.organization_id = %(organization)s AND value IS NOT NULL
) AS channel
WHERE integration.organization_id = %(organization)s AND integration.provider = %(provider)s
  AND (SELECT count(*) FROM analytics.integration
       WHERE organization_id = %(organization)s AND provider = %(provider)s) <= %(most)s
  AND channel.days = 2 * CASE WHEN is_gauge THEN 1 ELSE %(days)s END
GROUP BY metric
