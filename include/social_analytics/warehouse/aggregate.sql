-- One day's figures per organization. Reads the day's jobs by ingest_job_by_date and its figures by
-- integration_metric_daily_by_date, so it costs what the day holds and not what the history does.
-- An integration has at most one job and one figure of each metric for the day; a figure counts for
-- the organization that the job names. sum() is null, not 0, when nobody reported.
INSERT INTO analytics.organization_daily
    (organization_id, provider, metric, date, value, integrations_expected, integrations_reported, aggregated_at)
SELECT organization_id, provider, organization_name, %(day)s, sum(value),
       count(*), count(value), statement_timestamp()
FROM (
    -- An account that was removed in Postiz and connected again is another integration, for the same days too
    -- once they are run again. It counts once: with a figure if any of them has one, then of the job that
    -- ended well, then of the one read last.
    SELECT DISTINCT ON (job.organization_id, job.provider, catalogue.organization_name,
                        coalesce(job.account_id, job.integration_id))
           job.organization_id, job.provider, catalogue.organization_name, figure.value
    FROM analytics.ingest_job AS job
    JOIN unnest(%(providers)s::text[], %(metrics)s::text[], %(organization_names)s::text[])
         AS catalogue (provider, metric, organization_name) ON catalogue.provider = job.provider
    LEFT JOIN analytics.integration_metric_daily AS figure
         ON figure.date = %(day)s AND figure.integration_id = job.integration_id
        AND figure.metric = catalogue.metric
    WHERE job.date = %(day)s
    ORDER BY job.organization_id, job.provider, catalogue.organization_name,
             coalesce(job.account_id, job.integration_id), figure.value IS NULL,
             job.status = ANY (%(well)s) DESC, job.observed_at DESC, job.integration_id DESC
) AS account
GROUP BY organization_id, provider, organization_name
