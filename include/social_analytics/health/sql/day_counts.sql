-- Each day's jobs by status and error, with the number of integrations that should have a job then. A day
-- without jobs has one row.
WITH common AS MATERIALIZED ({common_failures}), changes AS MATERIALIZED (
    -- Once inactive, an integration is expected until the last day that it was listed for.
    SELECT change.day, sum(change.by) AS by
    FROM analytics.integration, LATERAL (
        VALUES (expected_from, 1),
            (greatest(CASE WHEN is_active THEN %(last)s ELSE last_day END + 1, expected_from), -1)
    ) AS change (day, by)
    WHERE (%(organization)s::text IS NULL OR organization_id = %(organization)s)
      AND (%(customer)s::text IS NULL OR customer_id = %(customer)s)
      AND (%(provider)s::text IS NULL OR provider = %(provider)s)
    GROUP BY change.day
), shown AS MATERIALIZED (
    SELECT shown.day::date, (SELECT coalesce(sum(by), 0)::bigint FROM changes WHERE day <= shown.day) AS expected
    FROM generate_series(%(first)s::date, %(last)s::date, interval '1 day') AS shown (day)
), jobs AS (
    SELECT date AS day, status, error_code, false AS is_common, count(*) AS jobs,
        count(*) FILTER (WHERE date >= expected_from AND (is_active OR date <= last_day)) AS expected_jobs
    -- By the index on date.
    FROM analytics.ingest_job AS job LEFT JOIN analytics.integration USING (integration_id)
    WHERE date BETWEEN %(first)s AND %(last)s AND status <> 'failed'
      AND (%(organization)s::text IS NULL OR job.organization_id = %(organization)s)
      AND (%(customer)s::text IS NULL OR integration.customer_id = %(customer)s)
      AND (%(provider)s::text IS NULL OR job.provider = %(provider)s)
    GROUP BY date, status, error_code
    UNION ALL
    SELECT date AS day, status, error_code, {is_common} AS is_common, count(*) AS jobs,
        count(*) FILTER (WHERE date >= expected_from AND (is_active OR date <= last_day)) AS expected_jobs
    -- By the index on failures. The planner uses it only for exactly this literal.
    FROM analytics.ingest_job AS job LEFT JOIN analytics.integration USING (integration_id)
    WHERE date BETWEEN %(first)s AND %(last)s AND status = 'failed'
      AND (%(organization)s::text IS NULL OR job.organization_id = %(organization)s)
      AND (%(customer)s::text IS NULL OR integration.customer_id = %(customer)s)
      AND (%(provider)s::text IS NULL OR job.provider = %(provider)s)
    GROUP BY date, status, error_code, is_common
)
SELECT shown.day, shown.expected, jobs.status, coalesce(jobs.jobs, 0) AS jobs,
    coalesce(jobs.expected_jobs, 0) AS expected_jobs, coalesce({is_complete}, false) AS is_complete
FROM shown LEFT JOIN jobs USING (day)
ORDER BY shown.day
