-- How many of an organization's channels have no figure of a metric on a day although nothing failed: they have
-- no data. And how many have no job (then the metric is null). Only days and metrics when there are any. Of a
-- customer: the channels that it had on the day, or, without a job, that it has now.
WITH read AS MATERIALIZED (
    SELECT integration_id, day::date, job.status, coalesce(job.account_id, integration_id) AS account,
        day >= expected_from AND (is_active OR day <= last_day) AS is_expected
    FROM analytics.integration
    CROSS JOIN generate_series(%(first)s::date, %(last)s::date, interval '1 day') AS shown (day)
    LEFT JOIN LATERAL (
        SELECT status, account_id, customer_id
        FROM analytics.ingest_job
        -- By the primary key, as jobs.py makes it. With the limit the planner does not read the whole table.
        WHERE job_id = 'analytics-ingest:' || integration.integration_id || ':' || to_char(day, 'YYYY-MM-DD')
        LIMIT 1
    ) AS job ON true
    WHERE organization_id = %(organization)s AND provider = %(provider)s
      AND (%(customer)s::text IS NULL OR %(customer)s =
           CASE WHEN job.status IS NULL THEN integration.customer_id ELSE job.customer_id END)
), no_data AS (
    -- An account that was connected again is a new integration, and counts once.
    SELECT day, array_agg(integration_id) AS integrations
    FROM read
    WHERE status IS NOT NULL
    GROUP BY day, account
    HAVING bool_or(status = 'no_data')
)
SELECT day AS date, metric, count(*) AS channels
FROM no_data CROSS JOIN unnest(%(metrics)s::text[]) AS metric
WHERE NOT EXISTS (
    -- By the primary key.
    SELECT
    FROM analytics.integration_metric_daily AS figure
    WHERE figure.integration_id = ANY (integrations) AND figure.metric = metric.metric AND figure.date = day
      AND figure.value IS NOT NULL
)
GROUP BY day, metric
UNION ALL
SELECT day, NULL, count(*)
FROM read
WHERE is_expected AND status IS NULL
GROUP BY day
