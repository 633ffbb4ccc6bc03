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
"""


def upgrade() -> None:
    """Add the columns. Every channel's past is still to be read."""
    op.execute(COLUMNS)
