-- The best of the latest posts of an organization, or of a customer, by one metric as it stood when it was last read.
WITH latest AS MATERIALIZED (
    SELECT integration_id, content_id, message, permalink, kind, published_at
    -- By the index on organizations.
    FROM analytics.content
    WHERE organization_id = %(organization)s AND provider = %(provider)s
      AND published_at >= %(begin)s AND published_at < %(end)s AND {of_customer}
    ORDER BY published_at DESC
    LIMIT %(compared)s
), counted AS (
    -- An account that was connected again is a new integration with the same posts.
    SELECT DISTINCT ON (content_id) latest.*, newest.value, newest.snapshot_date
    FROM latest CROSS JOIN LATERAL (
        -- By the primary key.
        SELECT value, snapshot_date
        FROM analytics.content_metric_snapshot AS snapshot
        WHERE snapshot.integration_id = latest.integration_id AND snapshot.content_id = latest.content_id
          AND metric = %(ranked_by)s AND snapshot_date >= %(first)s
        ORDER BY snapshot_date DESC
        LIMIT 1
    ) AS newest
    WHERE newest.value IS NOT NULL
    ORDER BY content_id, newest.snapshot_date DESC, integration_id
), best AS (
    SELECT * FROM counted ORDER BY value DESC, published_at DESC LIMIT %(best)s
)
SELECT best.integration_id, coalesce(integration.name, integration_id) AS integration_name, message, permalink,
    kind, published_at, best.snapshot_date AS read_on,
    (SELECT jsonb_object_agg(metric, value) FROM analytics.content_metric_snapshot AS snapshot
     WHERE snapshot.integration_id = best.integration_id AND snapshot.content_id = best.content_id
       AND snapshot.snapshot_date = best.snapshot_date) AS figures,
    (SELECT count(*) FROM latest) AS compared
FROM best LEFT JOIN analytics.integration USING (integration_id)
ORDER BY value DESC, published_at DESC
