-- How much of what a run listed is done, by it or by another run. A row that is queued again still has the
-- time of its earlier start.
SELECT count(*) AS all, count(*) FILTER (WHERE done) AS done,
    count(*) FILTER (WHERE done AND status = %(failed)s) AS failed
-- By the index on date.
FROM analytics.ingest_job JOIN analytics.integration USING (integration_id),
    LATERAL (SELECT started_at >= %(since)s AND status <> ALL (%(open)s)) AS ended (done)
WHERE date = %(day)s AND listed_at >= %(since)s
  AND (%(organization)s::text IS NULL OR integration.organization_id = %(organization)s)
  AND (%(customer)s::text IS NULL OR integration.customer_id = %(customer)s)
  AND (%(integrations)s::text[] IS NULL OR integration_id = ANY (%(integrations)s))
