"""When a run first found a channel or an organization deleted in Postiz, and when a channel was erased."""

from alembic import op

revision = "0013"
down_revision = "0012"

COLUMNS = """
ALTER TABLE analytics.integration
    ADD COLUMN deleted_in_postiz_at timestamptz,
    ADD COLUMN erased_at timestamptz;
COMMENT ON COLUMN analytics.integration.deleted_in_postiz_at IS
    'When a run first found the channel or its organization deleted in Postiz. Null if it is not';
COMMENT ON COLUMN analytics.integration.erased_at IS
    'When its names, its posts'' texts and its account''s ids were erased. Null if they are there';
ALTER TABLE analytics.organization ADD COLUMN deleted_in_postiz_at timestamptz;
COMMENT ON COLUMN analytics.organization.deleted_in_postiz_at IS
    'When a run first found the organization deleted in Postiz. Null if it is not';
"""


def upgrade() -> None:
    """Add the columns; they are null in existing rows."""
    op.execute(COLUMNS)
