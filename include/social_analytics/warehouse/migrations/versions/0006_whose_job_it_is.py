"""The task that claimed a job, and the account that the job reads."""

from alembic import op

revision = "0006"
down_revision = "0005"

COLUMNS = """
ALTER TABLE analytics.ingest_job ADD COLUMN first_try integer, ADD COLUMN queued_at timestamptz,
    ADD COLUMN account_id text;
COMMENT ON COLUMN analytics.ingest_job.first_try IS
    'The first try, in the run or since it was cleared, of the task that claimed the job; null until one did';
COMMENT ON COLUMN analytics.ingest_job.queued_at IS 'When the job was last asked for';
COMMENT ON COLUMN analytics.ingest_job.account_id IS
    'The provider''s id of what was read: the same in each integration that it is or was connected by';
"""


def upgrade() -> None:
    """Add the columns; they are null in existing rows."""
    op.execute(COLUMNS)
