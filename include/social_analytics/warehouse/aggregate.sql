-- One day's figures per organization, or of some organizations. Reads the day's jobs by ingest_job_by_date and its figures by
-- integration_metric_daily_by_date: the cost depends on the day, not on the history.
-- An integration has at most one job and one figure of each metric for the day. A figure counts for the
-- job's organization. sum() is null, not 0, when no integration reported.
INSERT INTO analytics.organization_daily
    (organization_id, provider, metric, date, value, integrations_expected, integrations_reported, aggregated_at,
     is_complete)
SELECT organization_id, provider, organization_name, %(day)s, sum(value),
       count(*), count(value), statement_timestamp(),
       -- An account that the provider has no data for need not report. Its posts are counted all the same.
       count(value) > 0 AND bool_and(value IS NOT NULL OR (status = 'no_data' AND metric <> 'posts_published'))
       AND bool_and(unread.provider IS NULL)
FROM (
    -- An account that was removed in Postiz and connected again is a new integration. Both may have jobs for
    -- the same day. The account counts once: first choice is a row with a figure, then the job that is
    -- complete, then the latest reading.
    SELECT DISTINCT ON (job.organization_id, job.provider, catalogue.organization_name,
                        coalesce(job.account_id, job.integration_id))
           job.organization_id, job.provider, catalogue.metric, catalogue.organization_name, job.status,
           figure.value
    FROM analytics.ingest_job AS job
    JOIN unnest(%(providers)s::text[], %(metrics)s::text[], %(organization_names)s::text[])
         AS catalogue (provider, metric, organization_name) ON catalogue.provider = job.provider
    LEFT JOIN analytics.integration_metric_daily AS figure
         ON figure.date = %(day)s AND figure.integration_id = job.integration_id
        AND figure.metric = catalogue.metric
    WHERE job.date = %(day)s
      AND (%(organizations)s::text[] IS NULL OR job.organization_id = ANY (%(organizations)s))
    ORDER BY job.organization_id, job.provider, catalogue.organization_name,
             coalesce(job.account_id, job.integration_id), figure.value IS NULL,
             job.status = ANY (%(complete)s) DESC, job.observed_at DESC, job.integration_id DESC
) AS account
LEFT JOIN (
    -- Channels that should have a job for the day and have none: a narrowed run, or a failed listing.
    SELECT DISTINCT organization_id, provider
    FROM analytics.integration
    WHERE expected_from <= %(day)s AND (is_active OR last_day >= %(day)s) AND NOT EXISTS (
        SELECT FROM analytics.ingest_job AS job
        WHERE job.date = %(day)s AND job.integration_id = integration.integration_id
    )
) AS unread USING (organization_id, provider)
GROUP BY organization_id, provider, organization_name
