-- One day's figures per organization. Reads the day's jobs by ingest_job_by_date and its figures by
-- integration_metric_daily_by_date, so it costs what the day holds and not what the history does.
INSERT INTO analytics.organization_daily
    (organization_id, provider, metric, date, value, integrations_expected, integrations_reported, aggregated_at)
SELECT jobs.organization_id, jobs.provider, catalogue.organization_name, %(day)s, figures.value,
       jobs.expected, coalesce(figures.reported, 0), clock_timestamp()
FROM (
    SELECT organization_id, provider, count(*) AS expected
    FROM analytics.ingest_job
    WHERE date = %(day)s
    GROUP BY organization_id, provider
) AS jobs
JOIN unnest(%(providers)s::text[], %(metrics)s::text[], %(organization_names)s::text[])
     AS catalogue (provider, metric, organization_name) USING (provider)
LEFT JOIN (
    SELECT organization_id, provider, metric, sum(value) AS value, count(value) AS reported
    FROM analytics.integration_metric_daily
    WHERE date = %(day)s
    GROUP BY organization_id, provider, metric
) AS figures USING (organization_id, provider, metric)
