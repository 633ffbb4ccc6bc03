-- For each metric, two totals over an organization's channels that reported every day of both periods: "first" to
-- "last", and as many days before. Of a gauge, the last day of each period counts.
SELECT metric, count(*) AS channels, sum(total) AS total, sum(previous) AS previous
FROM (
    SELECT figure.metric, sum(value) FILTER (WHERE figure.date >= %(first)s) AS total,
        sum(value) FILTER (WHERE figure.date < %(first)s) AS previous
    FROM analytics.integration
    CROSS JOIN unnest(%(metrics)s::text[], %(are_gauges)s::boolean[]) AS wanted (metric, is_gauge)
    -- By the primary key.
    JOIN analytics.integration_metric_daily AS figure
        ON figure.integration_id = integration.integration_id AND figure.metric = wanted.metric
        AND figure.date BETWEEN %(first)s::date - %(days)s AND %(last)s
        AND (NOT is_gauge OR figure.date IN (%(first)s::date - 1, %(last)s))
    WHERE integration.organization_id = %(organization)s AND integration.provider = %(provider)s
      AND figure.organization_id = %(organization)s AND figure.value IS NOT NULL
    GROUP BY figure.integration_id, figure.metric, is_gauge
    HAVING count(*) = 2 * CASE WHEN is_gauge THEN 1 ELSE %(days)s END
) AS channel
GROUP BY metric
