-- The posts of an organization, or of a customer, of a period, newest first, with their latest totals. A post without
-- totals is a row, too. A post of an account that was connected again is one row.
SELECT content.integration_id, coalesce(integration.name, content.integration_id) AS integration_name,
    content.content_id, content.kind, content.message, content.permalink, content.published_at,
    content.postiz_post_id, totals_read_on AS read_on, coalesce(totals, '{{}}'::jsonb) AS figures
-- The view by the index on organizations, the totals by the primary key.
FROM analytics.post_latest JOIN analytics.content USING (integration_id, content_id)
LEFT JOIN analytics.integration USING (integration_id)
WHERE post_latest.organization_id = %(organization)s AND post_latest.provider = %(provider)s
  AND post_latest.published_at >= %(begin)s AND post_latest.published_at < %(end)s AND {of_customer}
ORDER BY content.published_at DESC, content.integration_id, content.content_id
LIMIT %(most)s
