-- The views of the schema analytics, for people and tools. warehouse.migrate runs this file after each upgrade.
-- A view keeps its columns: new ones come last, and a migration first drops a view that must change otherwise.
-- A figure is null where something is missing. What each null means is said in comments.sql.

-- A post with its totals as its latest reading had them.
CREATE OR REPLACE VIEW analytics.post_latest AS
SELECT organization_id, integration_id, content_id, provider, published_at, kind, message, permalink,
    postiz_post_id, totals_read_on AS read_on,
    (totals ->> 'views')::numeric AS views, (totals ->> 'reach')::numeric AS reach,
    (totals ->> 'clicks')::numeric AS clicks, (totals ->> 'reactions')::numeric AS reactions,
    (totals ->> 'comments')::numeric AS comments, (totals ->> 'shares')::numeric AS shares,
    (totals ->> 'saves')::numeric AS saves,
    engagements
FROM analytics.content
-- An account that was connected again is a new integration with the same posts. Each is here once, of the
-- integration that read it last. By the index on organizations and times.
WHERE NOT EXISTS (
    SELECT
    FROM analytics.content AS again
    WHERE again.organization_id = content.organization_id AND again.published_at = content.published_at
      AND again.provider = content.provider AND again.content_id = content.content_id
      AND (again.updated_at, again.integration_id) > (content.updated_at, content.integration_id)
);

-- What a post gained between two readings. Posts are found by the index on organizations and times, the readings
-- of each by the primary key.
CREATE OR REPLACE VIEW analytics.post_daily_gain AS
SELECT content.organization_id, content.integration_id, content.content_id, content.provider,
    content.published_at, reading.metric, reading.date, reading.value, reading.value - earlier.value AS gain,
    reading.date - earlier.date AS days
FROM analytics.content
CROSS JOIN LATERAL (
    -- They are distinct anyhow. The word keeps the planner from reading whole months instead of one post after
    -- another.
    SELECT DISTINCT metric, snapshot_date AS date, value
    FROM analytics.content_metric_snapshot AS snapshot
    WHERE snapshot.integration_id = content.integration_id AND snapshot.content_id = content.content_id
      -- Only the months in which the post was read. A day more: a provider's calendar may differ from UTC's.
      AND snapshot_date BETWEEN (content.first_seen_at AT TIME ZONE 'UTC')::date - 1
                            AND (content.updated_at AT TIME ZONE 'UTC')::date + 1
) AS reading
LEFT JOIN LATERAL (
    -- The reading before that has a number.
    SELECT value, snapshot_date AS date
    FROM analytics.content_metric_snapshot AS snapshot
    WHERE snapshot.integration_id = content.integration_id AND snapshot.content_id = content.content_id
      AND snapshot.metric = reading.metric AND snapshot_date < reading.date AND value IS NOT NULL
      AND snapshot_date >= (content.first_seen_at AT TIME ZONE 'UTC')::date - 1
    ORDER BY snapshot_date DESC
    LIMIT 1
) AS earlier ON reading.value IS NOT NULL;

-- Each ISO week, Monday to Sunday. An organization's days are found by the primary key, a week's by the index on dates.
CREATE OR REPLACE VIEW analytics.organization_week AS
SELECT figure.organization_id, figure.provider, figure.metric, period.week,
    CASE WHEN metric.kind = 'gauge'
         THEN sum(value) FILTER (WHERE is_complete AND figure.date = period.week + period.days - 1)
         WHEN count(*) FILTER (WHERE is_complete) = period.days THEN sum(value) END AS value,
    CASE WHEN metric.kind = 'gauge'
         THEN (array_agg(value ORDER BY figure.date DESC) FILTER (WHERE value IS NOT NULL))[1]
         ELSE sum(value) END AS value_so_far,
    count(*) FILTER (WHERE is_complete)::integer AS days_complete, period.days
FROM (
    SELECT first_week + 7 * number AS week, 7 AS days
    FROM (
        SELECT date_trunc('week', min(date)::timestamp)::date AS first_week, max(date) AS last_day
        FROM analytics.organization_daily
    ) AS known, generate_series(0, (last_day - first_week) / 7) AS number
) AS period
JOIN analytics.organization_daily AS figure
    ON figure.date BETWEEN period.week AND period.week + period.days - 1
JOIN analytics.metric ON metric.provider = figure.provider AND metric.organization_metric = figure.metric
GROUP BY figure.organization_id, figure.provider, figure.metric, metric.kind, period.week, period.days;

-- Each calendar month. An organization's days are found by the primary key, a month's by the index on dates.
CREATE OR REPLACE VIEW analytics.organization_month AS
SELECT figure.organization_id, figure.provider, figure.metric, period.month,
    CASE WHEN metric.kind = 'gauge'
         THEN sum(value) FILTER (WHERE is_complete AND figure.date = period.month + period.days - 1)
         WHEN count(*) FILTER (WHERE is_complete) = period.days THEN sum(value) END AS value,
    CASE WHEN metric.kind = 'gauge'
         THEN (array_agg(value ORDER BY figure.date DESC) FILTER (WHERE value IS NOT NULL))[1]
         ELSE sum(value) END AS value_so_far,
    count(*) FILTER (WHERE is_complete)::integer AS days_complete, period.days
FROM (
    SELECT month::date AS month, (month + interval '1 month')::date - month::date AS days
    FROM (
        SELECT date_trunc('month', min(date)::timestamp) AS first_month, max(date)::timestamp AS last_day
        FROM analytics.organization_daily
    ) AS known, generate_series(first_month, last_day, interval '1 month') AS month
) AS period
JOIN analytics.organization_daily AS figure
    ON figure.date BETWEEN period.month AND period.month + period.days - 1
JOIN analytics.metric ON metric.provider = figure.provider AND metric.organization_metric = figure.metric
GROUP BY figure.organization_id, figure.provider, figure.metric, metric.kind, period.month, period.days;

-- Engagements for each view.
CREATE OR REPLACE VIEW analytics.engagement_rate AS
SELECT organization_id, provider, date, engagements, views,
    round(engagements / nullif(views, 0), 6) AS engagement_rate
FROM (
    SELECT organization_id, provider, date,
        max(value) FILTER (WHERE metric = 'engagements' AND is_complete) AS engagements,
        max(value) FILTER (WHERE metric = 'views' AND is_complete) AS views
    FROM analytics.organization_daily
    WHERE metric IN ('engagements', 'views')
    GROUP BY organization_id, provider, date
) AS parts;

-- When posts do best, by the hours of the session's time zone.
CREATE OR REPLACE VIEW analytics.best_hours AS
SELECT organization_id, provider, extract(isodow FROM published_at)::integer AS weekday,
    extract(hour FROM published_at)::integer AS hour, count(*)::integer AS posts,
    (percentile_cont(0.5) WITHIN GROUP (ORDER BY engagements))::numeric AS median_engagements
FROM analytics.post_latest
-- At its last reading a post must have had its first week.
WHERE read_on >= (published_at AT TIME ZONE 'UTC')::date + 7 AND engagements IS NOT NULL
GROUP BY 1, 2, 3, 4;

-- As organization_daily (aggregate.sql has the rules), of each customer. A customer's days are found by
-- ingest_job_by_customer, a day's by ingest_job_by_date, and their figures by the primary key.
CREATE OR REPLACE VIEW analytics.customer_daily AS
SELECT day.organization_id, day.customer_id, day.provider, day.metric, day.date, day.value,
    day.integrations_expected, day.integrations_reported,
    day.is_reported AND NOT EXISTS (
        -- By integration_by_customer, and by the primary key of jobs, as jobs.py makes it.
        SELECT
        FROM analytics.integration AS listed
        WHERE listed.customer_id = day.customer_id AND listed.provider = day.provider
          AND listed.expected_from <= day.date AND (listed.is_active OR listed.last_day >= day.date)
          AND NOT EXISTS (
              SELECT FROM analytics.ingest_job AS job
              WHERE job.job_id = 'analytics-ingest:' || listed.integration_id || ':'
                    || to_char(day.date, 'YYYY-MM-DD')
          )
    ) AS is_complete
FROM (
    SELECT organization_id, customer_id, provider, metric, date, sum(value) AS value,
        count(*)::integer AS integrations_expected, count(value)::integer AS integrations_reported,
        count(value) > 0
            AND bool_and(value IS NOT NULL OR (status = 'no_data' AND metric <> 'posts_published'))
            AS is_reported
    FROM (
        SELECT DISTINCT ON (job.organization_id, job.customer_id, job.provider, metric.organization_metric,
                            job.date, coalesce(job.account_id, job.integration_id))
            job.organization_id, job.customer_id, job.provider, metric.organization_metric AS metric, job.date,
            job.status, figure.value
        FROM analytics.ingest_job AS job
        JOIN analytics.metric ON metric.provider = job.provider
        LEFT JOIN LATERAL (
            -- With the limit the planner does not read the whole table.
            SELECT value
            FROM analytics.integration_metric_daily AS stored
            WHERE stored.integration_id = job.integration_id AND stored.metric = metric.metric
              AND stored.date = job.date
            LIMIT 1
        ) AS figure ON true
        WHERE job.customer_id IS NOT NULL
        ORDER BY job.organization_id, job.customer_id, job.provider, metric.organization_metric, job.date,
            coalesce(job.account_id, job.integration_id), figure.value IS NULL,
            job.status = ANY ({complete_statuses}) DESC, job.observed_at DESC, job.integration_id DESC
    ) AS account
    GROUP BY organization_id, customer_id, provider, metric, date
) AS day;

-- How fresh each provider's figures are. It looks back four weeks from the newest day that was listed.
CREATE OR REPLACE VIEW analytics.freshness AS
SELECT listed.provider, complete.day AS newest_complete_day, stored.day AS newest_day, reading.last_reading_at,
    listed.channels, CASE WHEN stored.day IS NOT NULL THEN behind.channels END AS channels_behind
FROM (
    SELECT provider, max(last_day) AS last_day, count(*) FILTER (WHERE is_active)::integer AS channels
    FROM analytics.integration
    GROUP BY provider
) AS listed
LEFT JOIN LATERAL (
    -- Back from day to day, no further than the first complete one.
    WITH RECURSIVE back AS (
        SELECT listed.last_day + 1 AS day, false AS is_complete
        UNION ALL
        SELECT back.day - 1, ({newest_complete}) IS NOT NULL
        FROM back
        WHERE NOT back.is_complete AND back.day > listed.last_day - 27
    )
    SELECT max(day) AS day FROM back WHERE is_complete
) AS complete ON true
LEFT JOIN LATERAL (
    -- By the index on dates.
    SELECT date AS day
    FROM analytics.ingest_job AS job
    WHERE job.provider = listed.provider AND job.status = ANY ({complete_statuses})
      AND job.date BETWEEN listed.last_day - 27 AND listed.last_day
    ORDER BY date DESC
    LIMIT 1
) AS stored ON true
LEFT JOIN LATERAL (
    SELECT max(observed_at) AS last_reading_at
    FROM analytics.ingest_job AS job
    WHERE job.provider = listed.provider AND job.date BETWEEN listed.last_day - 6 AND listed.last_day
) AS reading ON true
LEFT JOIN LATERAL (
    SELECT count(*)::integer AS channels
    FROM analytics.integration
    WHERE integration.provider = listed.provider AND is_active AND expected_from <= stored.day AND NOT EXISTS (
        SELECT
        FROM analytics.ingest_job AS job
        WHERE job.integration_id = integration.integration_id AND job.date = stored.day
          AND job.status = ANY ({complete_statuses})
    )
) AS behind ON true;
