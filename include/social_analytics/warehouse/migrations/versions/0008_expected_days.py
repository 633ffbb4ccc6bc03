"""From which day on a channel should have a job for each day, and an index for what readings lack."""

from alembic import op

revision = "0008"
down_revision = "0007"

COLUMNS = """
ALTER TABLE analytics.integration ADD COLUMN expected_from date;
-- A backfill of an earlier day says nothing about the days between.
UPDATE analytics.integration AS known
SET expected_from = coalesce(regular.first_day, greatest(known.last_day, known.listed_at::date - 1))
FROM analytics.integration
LEFT JOIN (
    SELECT integration_id, min(date) AS first_day
    FROM analytics.ingest_job
    WHERE NOT is_backfill
    GROUP BY integration_id
) AS regular USING (integration_id)
WHERE known.integration_id = integration.integration_id;
ALTER TABLE analytics.integration ALTER COLUMN expected_from SET NOT NULL;
COMMENT ON COLUMN analytics.integration.expected_from IS
    'From this day on it should have a job for each day. Earlier days are there if a run was asked for them';
-- For what stored readings lack, among millions of days that lack nothing.
CREATE INDEX ingest_job_reason ON analytics.ingest_job (date)
    WHERE status IN ('succeeded', 'no_data', 'pending', 'recovered') AND reason IS NOT NULL;
"""


def upgrade() -> None:
    """Add them; a million jobs take some seconds."""
    op.execute(COLUMNS)
