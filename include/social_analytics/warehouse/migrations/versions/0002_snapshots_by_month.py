"""Snapshots in a partition for each month: years of them do not slow the daily write."""

from alembic import op

revision = "0002"
down_revision = "0001"

PARTITIONED = """
ALTER TABLE analytics.content_metric_snapshot RENAME TO content_metric_snapshot_unpartitioned;
ALTER INDEX analytics.content_metric_snapshot_pkey RENAME TO content_metric_snapshot_unpartitioned_pkey;
CREATE TABLE analytics.content_metric_snapshot (
    LIKE analytics.content_metric_snapshot_unpartitioned INCLUDING ALL
) PARTITION BY RANGE (snapshot_date);
COMMENT ON TABLE analytics.content_metric_snapshot IS 'Lifetime totals as they stood when read on that date';
DO $$
DECLARE
    first_day date;
BEGIN
    FOR first_day IN
        SELECT DISTINCT date_trunc('month', snapshot_date)::date
        FROM analytics.content_metric_snapshot_unpartitioned
    LOOP
        EXECUTE format(
            'CREATE TABLE analytics.%I PARTITION OF analytics.content_metric_snapshot '
            'FOR VALUES FROM (%L) TO (%L)',
            'content_metric_snapshot_' || to_char(first_day, 'YYYY_MM'),
            first_day, (first_day + interval '1 month')::date
        );
    END LOOP;
END $$;
INSERT INTO analytics.content_metric_snapshot SELECT * FROM analytics.content_metric_snapshot_unpartitioned;
DROP TABLE analytics.content_metric_snapshot_unpartitioned;
"""


def upgrade() -> None:
    """Move the existing rows into partitions."""
    op.execute(PARTITIONED)
