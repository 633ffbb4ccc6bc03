"""Days without data whose figures came later; and an index on the jobs that each run's check looks at."""

from alembic import op

revision = "0009"
down_revision = "0008"

CHANGES = """
-- Earlier versions left a job at no_data when the look-back of a later day brought its figures in.
UPDATE analytics.ingest_job AS job
SET status = 'recovered'
-- By the index on jobs without data, and the figures' primary key.
WHERE status = 'no_data' AND EXISTS (
    SELECT FROM analytics.integration_metric_daily AS figure
    WHERE figure.integration_id = job.integration_id AND figure.date = job.date
      AND figure.metric <> 'posts_published' AND figure.value IS NOT NULL
);
-- For each run's check: the jobs of any day that have not ended, and those that wait for their provider.
CREATE INDEX ingest_job_waiting ON analytics.ingest_job (date)
    WHERE status IN ('queued', 'running', 'pending');
"""


def upgrade() -> None:
    """Mend the rows and make the index; a million jobs take some seconds."""
    op.execute(CHANGES)
