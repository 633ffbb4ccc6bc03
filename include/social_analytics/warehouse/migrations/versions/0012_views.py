"""What the views stand on: how metrics add up, which figures are complete, posts' latest totals, indexes."""

from alembic import op

revision = "0012"
down_revision = "0011"

CHANGES = """
CREATE TABLE analytics.metric (
    provider             text NOT NULL,
    metric               text NOT NULL,
    kind                 text NOT NULL CHECK (kind IN ('flow', 'gauge', 'unique')),
    unit                 text NOT NULL,
    organization_metric  text NOT NULL,
    source_metric        text NOT NULL,
    PRIMARY KEY (provider, metric)
);

ALTER TABLE analytics.organization_daily ADD COLUMN is_complete boolean NOT NULL DEFAULT true;
-- Of the figures so far, most are complete: only the others are written. The aggregate judges new ones alike.
UPDATE analytics.organization_daily AS figure
SET is_complete = false
FROM (
    SELECT organization_id, date, provider, metric
    FROM analytics.organization_daily
    LEFT JOIN (
        SELECT organization_id, date, provider,
            count(DISTINCT coalesce(account_id, integration_id)) AS accounts
        FROM analytics.ingest_job
        WHERE status = 'no_data'
        GROUP BY organization_id, date, provider
    ) AS no_data USING (organization_id, date, provider)
    LEFT JOIN (
        SELECT DISTINCT integration.organization_id, aggregated.date, integration.provider
        FROM (SELECT DISTINCT organization_id, date, provider FROM analytics.organization_daily) AS aggregated
        JOIN analytics.integration USING (organization_id, provider)
        LEFT JOIN analytics.ingest_job AS job
            ON job.integration_id = integration.integration_id AND job.date = aggregated.date
        WHERE expected_from <= aggregated.date AND (is_active OR last_day >= aggregated.date)
          AND job.job_id IS NULL
    ) AS unread USING (organization_id, date, provider)
    WHERE value IS NULL OR unread.date IS NOT NULL
       OR integrations_reported + CASE WHEN metric = 'posts_published' THEN 0 ELSE coalesce(accounts, 0) END
          < integrations_expected
) AS incomplete
WHERE figure.organization_id = incomplete.organization_id AND figure.date = incomplete.date
  AND figure.provider = incomplete.provider AND figure.metric = incomplete.metric;
ALTER TABLE analytics.organization_daily ALTER COLUMN is_complete SET DEFAULT false;

-- Of an organization's posts of a year, the latest snapshots take seconds to find.
ALTER TABLE analytics.content ADD COLUMN totals jsonb, ADD COLUMN totals_read_on date,
    -- Of these, totals has those that the provider has. One that is null there makes the sum null.
    ADD COLUMN engagements numeric GENERATED ALWAYS AS (
        CASE WHEN totals ?| '{reactions,comments,shares,saves}'::text[]
                  AND totals -> 'reactions' IS DISTINCT FROM 'null'
                  AND totals -> 'comments' IS DISTINCT FROM 'null'
                  AND totals -> 'shares' IS DISTINCT FROM 'null'
                  AND totals -> 'saves' IS DISTINCT FROM 'null'
             THEN coalesce((totals ->> 'reactions')::numeric, 0)
                  + coalesce((totals ->> 'comments')::numeric, 0)
                  + coalesce((totals ->> 'shares')::numeric, 0)
                  + coalesce((totals ->> 'saves')::numeric, 0) END
    ) STORED;
UPDATE analytics.content AS post
SET totals = latest.totals, totals_read_on = newest.read_on
FROM analytics.content AS same
CROSS JOIN LATERAL (
    -- By the primary key.
    SELECT max(snapshot_date) AS read_on
    FROM analytics.content_metric_snapshot AS snapshot
    WHERE snapshot.integration_id = same.integration_id AND snapshot.content_id = same.content_id
) AS newest
CROSS JOIN LATERAL (
    SELECT jsonb_object_agg(metric, value) AS totals
    FROM analytics.content_metric_snapshot AS snapshot
    WHERE snapshot.integration_id = same.integration_id AND snapshot.content_id = same.content_id
      AND snapshot_date = newest.read_on
) AS latest
WHERE post.integration_id = same.integration_id AND post.content_id = same.content_id
  AND newest.read_on IS NOT NULL;

-- For a customer's days.
CREATE INDEX ingest_job_by_customer ON analytics.ingest_job (customer_id, date) WHERE customer_id IS NOT NULL;
CREATE INDEX integration_by_customer ON analytics.integration (customer_id) WHERE customer_id IS NOT NULL;
"""


def upgrade() -> None:
    """Add them; a million jobs take some seconds, a million posts some minutes. views.sql has the views."""
    op.execute(CHANGES)
