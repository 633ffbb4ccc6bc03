"""Which channels' past was read."""

from alembic import op

revision = "0011"
down_revision = "0010"

COLUMNS = """
ALTER TABLE analytics.integration
    ADD COLUMN history_read_at timestamptz,
    ADD COLUMN history_asked_on date,
    ADD COLUMN history_tries integer NOT NULL DEFAULT 0,
    ADD COLUMN history_to_add_from date;
COMMENT ON COLUMN analytics.integration.history_read_at IS
    'When the days before the channel was connected were read. Null: not yet';
COMMENT ON COLUMN analytics.integration.history_asked_on IS 'The day of the run that asked for them last';
COMMENT ON COLUMN analytics.integration.history_tries IS
    'How often they were asked for. A spent quota does not count';
COMMENT ON COLUMN analytics.integration.history_to_add_from IS
    'From this day on, they are not in organization_daily yet. Null: nothing to add';
COMMENT ON COLUMN analytics.integration.first_day IS
    'The earliest day that it was listed for, or that was read as its past';
COMMENT ON COLUMN analytics.ingest_job.started_at IS
    'When the job was first started. Null in a day that was read as the channel''s past, with many others';
"""


def upgrade() -> None:
    """Add the columns. Every channel's past is still to be read."""
    op.execute(COLUMNS)
