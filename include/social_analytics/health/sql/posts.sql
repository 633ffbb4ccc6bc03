-- The posts of an organization, or of a customer, of a period, newest first, with their latest totals. A post without
-- totals is a row, too.
SELECT integration_id, coalesce(integration.name, integration_id) AS integration_name, content_id, kind, message,
    permalink, published_at, postiz_post_id, totals_read_on AS read_on, coalesce(totals, '{{}}'::jsonb) AS figures
FROM analytics.content LEFT JOIN analytics.integration USING (integration_id)
-- By the index on organizations.
WHERE content.organization_id = %(organization)s AND content.provider = %(provider)s
  AND published_at >= %(begin)s AND published_at < %(end)s AND {of_customer}
ORDER BY published_at DESC, integration_id, content_id
LIMIT %(most)s
