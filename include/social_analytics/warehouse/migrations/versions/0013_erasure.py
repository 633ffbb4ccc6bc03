"""When a run first found a channel or an organization deleted in Postiz, and when a channel was erased."""

from alembic import op

revision = "0013"
down_revision = "0012"

COLUMNS = """
ALTER TABLE analytics.integration
    ADD COLUMN deleted_in_postiz_at timestamptz,
    ADD COLUMN erased_at timestamptz;
ALTER TABLE analytics.organization ADD COLUMN deleted_in_postiz_at timestamptz;
"""


def upgrade() -> None:
    """Add the columns; they are null in existing rows."""
    op.execute(COLUMNS)
