"""The customer of each channel and of each job: in Postiz, a group of an organization's channels."""

from alembic import op

revision = "0010"
down_revision = "0009"

COLUMNS = """
ALTER TABLE analytics.integration ADD COLUMN customer_id text, ADD COLUMN customer_name text;
COMMENT ON COLUMN analytics.integration.customer_id IS
    'Its customer in Postiz when it was last listed. Null without one, and where the role may not read it';
COMMENT ON COLUMN analytics.integration.customer_name IS 'The customer''s name in Postiz, for people';
ALTER TABLE analytics.ingest_job ADD COLUMN customer_id text;
COMMENT ON COLUMN analytics.ingest_job.customer_id IS
    'The channel''s customer on that day: the first that a run of the day found in Postiz';
"""


def upgrade() -> None:
    """Add the columns; they are null in existing rows."""
    op.execute(COLUMNS)
