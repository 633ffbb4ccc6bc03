-- An organization's posts of a period, newest first, with their latest totals. A post without totals is a row, too.
SELECT post.integration_id, coalesce(integration.name, post.integration_id) AS integration_name, post.content_id,
    post.kind, post.message, post.permalink, post.published_at, post.postiz_post_id, post.read_on,
    coalesce(content.totals, '{{}}'::jsonb) AS figures
-- Each post of an account once. By the index on organizations, and by the primary key.
FROM analytics.post_latest AS post
JOIN analytics.content USING (integration_id, content_id)
LEFT JOIN analytics.integration USING (integration_id)
WHERE post.organization_id = %(organization)s AND post.provider = %(provider)s
  AND post.published_at >= %(begin)s AND post.published_at < %(end)s
ORDER BY post.published_at DESC, post.integration_id, post.content_id
LIMIT %(most)s
