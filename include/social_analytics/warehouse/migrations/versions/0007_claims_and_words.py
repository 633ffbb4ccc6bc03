"""The owner of a job in one column, and providers' error codes as text: YouTube's are not numbers."""

from alembic import op

revision = "0007"
down_revision = "0006"

# One rewrite of the table: some seconds for a million jobs.
COLUMNS = """
ALTER TABLE analytics.ingest_job
    ALTER COLUMN provider_code TYPE text,
    ALTER COLUMN provider_subcode TYPE text,
    ALTER COLUMN first_try TYPE text USING dag_run_id || '#' || first_try;
ALTER TABLE analytics.ingest_job RENAME COLUMN first_try TO claimed_by;
COMMENT ON COLUMN analytics.ingest_job.claimed_by IS
    'The task that claimed the job: its run, and its first try since it was cleared. Null until then';
COMMENT ON COLUMN analytics.ingest_job.attempts IS
    'How often the job was started. With claimed_by it tells which start may end the job';
COMMENT ON COLUMN analytics.ingest_job.observed_at IS
    'When the latest reading began, by this database''s clock';
"""


def upgrade() -> None:
    """Change the columns; their values stay."""
    op.execute(COLUMNS)
