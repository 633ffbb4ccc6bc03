-- Whether any listing has been stored.
SELECT EXISTS (SELECT FROM analytics.integration) AS is_true
