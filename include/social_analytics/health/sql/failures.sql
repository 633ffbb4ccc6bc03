-- The integrations with a failed day, each with its latest failure. The longest failing come first. Each
-- provider and error has at most "most" rows, and each row has the counts of all of them. A job that has not
-- ended although its run has is a failure too.
WITH common AS MATERIALIZED ({common_failures}), failed AS (
    SELECT integration_id, min(date) AS since, array_agg(date ORDER BY date) AS days,
        (array_agg(job_id ORDER BY date DESC))[1] AS latest
    FROM (
        SELECT job_id, integration_id, date, organization_id, customer_id, provider
        FROM analytics.ingest_job
        -- By the index on failures. The planner uses it only for exactly this literal.
        WHERE status = 'failed' AND date BETWEEN %(first)s AND %(last)s
        UNION ALL
        SELECT job_id, integration_id, date, organization_id, customer_id, provider
        FROM analytics.ingest_job
        -- By the index on date.
        WHERE date = ANY (%(open_days)s) AND status = ANY (%(open)s) AND dag_run_id = ANY (%(ended_runs)s)
    ) AS job
    WHERE (%(organization)s::text IS NULL OR organization_id = %(organization)s)
      AND (%(customer)s::text IS NULL
           OR integration_id IN (SELECT integration_id FROM analytics.integration WHERE customer_id = %(customer)s))
      AND (%(customer_then)s::text IS NULL OR customer_id = %(customer_then)s)
      AND (%(provider)s::text IS NULL OR provider = %(provider)s)
    GROUP BY integration_id
), named AS (
    SELECT failed.*, job.date, job.organization_id, job.provider, job.reason, job.trace_id, job.map_index,
        job.dag_run_id AS run_id, {is_common} AS is_common,
        CASE WHEN EXISTS (
            -- It works again if a later day is complete, or pending: then the API answers. But a day that was
            -- never published needs figures. The search goes back from the last day, by the primary key: the
            -- ids of an integration's jobs differ only in the day at their end (jobs.py).
            SELECT
            FROM generate_series(%(last)s::date, job.date + 1, interval '-1 day') AS later (day)
            JOIN analytics.ingest_job AS later_job
                ON later_job.job_id = left(job.job_id, -length('YYYY-MM-DD')) || to_char(later.day, 'YYYY-MM-DD')
            WHERE later_job.status = ANY (%(complete_statuses)s)
               OR (later_job.status = 'pending' AND job.error_code IS DISTINCT FROM %(not_published)s)
        ) THEN %(works_again)s
        ELSE coalesce(job.error_code, CASE job.status WHEN 'failed' THEN %(unexpected)s ELSE %(run_ended)s END)
        END AS error_code
    FROM failed JOIN analytics.ingest_job AS job ON job.job_id = failed.latest
), ranked AS (
    SELECT *, row_number() OVER (alike ORDER BY since, integration_id) AS place,
        count(*) OVER alike AS integrations, min(since) OVER alike AS oldest, max(date) OVER alike AS newest
    FROM named
    WINDOW alike AS (PARTITION BY provider, error_code, is_common AND error_code <> %(works_again)s)
)
SELECT ranked.error_code, ranked.is_common, ranked.provider, integrations, oldest, newest,
    integration_id AS id, coalesce(integration.name, integration_id) AS name,
    ranked.organization_id, coalesce(organization.name, ranked.organization_id) AS organization_name,
    integration.customer_id, customer_name, since, days, reason, trace_id, run_id, map_index
FROM ranked
LEFT JOIN analytics.integration USING (integration_id)
LEFT JOIN analytics.organization ON organization.organization_id = ranked.organization_id
WHERE place <= %(most)s
ORDER BY since, id
