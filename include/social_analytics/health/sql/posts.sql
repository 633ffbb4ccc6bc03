-- An organization's posts of a period, newest first, with their latest totals. A post without totals is a row, too.
SELECT content.integration_id, coalesce(integration.name, content.integration_id) AS integration_name,
    content.content_id, content.kind, content.message, content.permalink, content.published_at,
    content.postiz_post_id, latest.read_on, coalesce(latest.figures, '{{}}'::jsonb) AS figures
FROM (
    SELECT * FROM analytics.content
    -- By the index on organizations.
    WHERE organization_id = %(organization)s AND provider = %(provider)s
      AND published_at >= %(begin)s AND published_at < %(end)s
    ORDER BY published_at DESC, integration_id, content_id
    LIMIT %(most)s
) AS content
LEFT JOIN analytics.integration USING (integration_id)
LEFT JOIN LATERAL (
    -- By the primary key.
    SELECT max(newest.snapshot_date) AS read_on, jsonb_object_agg(newest.metric, newest.value) AS figures
    FROM (
        SELECT DISTINCT ON (metric) metric, value, snapshot_date
        FROM analytics.content_metric_snapshot AS snapshot
        WHERE snapshot.integration_id = content.integration_id AND snapshot.content_id = content.content_id
          AND snapshot.snapshot_date >= %(first)s
        ORDER BY metric, snapshot_date DESC
    ) AS newest
) AS latest ON true
ORDER BY published_at DESC, integration_id, content_id
