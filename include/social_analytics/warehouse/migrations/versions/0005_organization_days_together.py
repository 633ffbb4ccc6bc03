"""An organization's figures of a day beside one another: the aggregate replaces them all in one place."""

from alembic import op

revision = "0005"
down_revision = "0004"

KEY = """
ALTER TABLE analytics.organization_daily
    DROP CONSTRAINT organization_daily_pkey,
    ADD PRIMARY KEY (organization_id, date, provider, metric);
"""


def upgrade() -> None:
    """Order the key anew; 3 million rows take some seconds."""
    op.execute(KEY)
