-- One day's figures per organization. Reads the day's jobs by ingest_job_by_date and its figures by
-- integration_metric_daily_by_date, so it costs what the day holds and not what the history does.
-- An integration has at most one job and one figure of each metric for the day; a figure counts for
-- the organization that the job names. sum() is null, not 0, when nobody reported.
-- An account that was removed in Postiz and connected again is another integration, for the same days too once
-- they are run again; it counts once: by the job that ended well, of several by the one read last.
INSERT INTO analytics.organization_daily
    (organization_id, provider, metric, date, value, integrations_expected, integrations_reported, aggregated_at)
SELECT job.organization_id, job.provider, catalogue.organization_name, %(day)s, sum(figure.value),
       count(*), count(figure.value), statement_timestamp()
FROM analytics.ingest_job AS job
JOIN unnest(%(providers)s::text[], %(metrics)s::text[], %(organization_names)s::text[])
     AS catalogue (provider, metric, organization_name) ON catalogue.provider = job.provider
LEFT JOIN analytics.integration_metric_daily AS figure
     ON figure.date = %(day)s AND figure.integration_id = job.integration_id AND figure.metric = catalogue.metric
WHERE job.date = %(day)s
  AND NOT EXISTS (
      SELECT
      FROM analytics.ingest_job AS again
      WHERE again.date = %(day)s AND again.organization_id = job.organization_id
        AND again.provider = job.provider AND again.account_id = job.account_id
        AND (again.status = ANY (%(well)s), again.observed_at, again.integration_id)
          > (job.status = ANY (%(well)s), job.observed_at, job.integration_id)
  )
GROUP BY job.organization_id, job.provider, catalogue.organization_name
