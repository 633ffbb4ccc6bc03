-- Each day's jobs by status and error, with the number of integrations that were known then. A day without
-- jobs has one row.
WITH common AS MATERIALIZED ({common_failures}), changes AS MATERIALIZED (
    -- An integration is known from the first day that it was listed for. Once inactive, it is known until the
    -- last one.
    SELECT change.day, sum(change.by) AS by
    FROM analytics.integration, LATERAL (
        VALUES (first_day, 1), (CASE WHEN is_active THEN %(last)s ELSE last_day END + 1, -1)
    ) AS change (day, by)
    WHERE (%(organization)s::text IS NULL OR organization_id = %(organization)s)
      AND (%(provider)s::text IS NULL OR provider = %(provider)s)
    GROUP BY change.day
), known AS MATERIALIZED (
    SELECT shown.day::date, (SELECT coalesce(sum(by), 0)::bigint FROM changes WHERE day <= shown.day) AS known
    FROM generate_series(%(first)s::date, %(last)s::date, interval '1 day') AS shown (day)
), jobs AS (
    SELECT date AS day, status, error_code, false AS is_common, count(*) AS jobs
    -- By the index on date.
    FROM analytics.ingest_job
    WHERE date BETWEEN %(first)s AND %(last)s AND status <> 'failed'
      AND (%(organization)s::text IS NULL OR organization_id = %(organization)s)
      AND (%(provider)s::text IS NULL OR provider = %(provider)s)
    GROUP BY date, status, error_code
    UNION ALL
    -- By the index on failures. The planner uses it only for exactly this literal.
    SELECT date AS day, status, error_code, {is_common} AS is_common, count(*) AS jobs
    FROM analytics.ingest_job AS job
    WHERE date BETWEEN %(first)s AND %(last)s AND status = 'failed'
      AND (%(organization)s::text IS NULL OR organization_id = %(organization)s)
      AND (%(provider)s::text IS NULL OR provider = %(provider)s)
    GROUP BY date, status, error_code, is_common
)
SELECT known.day, known.known, jobs.status, coalesce(jobs.jobs, 0) AS jobs,
    coalesce({is_complete}, false) AS is_complete
FROM known LEFT JOIN jobs USING (day)
ORDER BY known.day
