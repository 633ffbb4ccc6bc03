"""What the last alert was about, so that the next one is sent only when something has changed."""

from alembic import op

revision = "0004"
down_revision = "0003"

TABLE = """
CREATE TABLE analytics.alert (
    one          boolean PRIMARY KEY DEFAULT true CHECK (one),
    fingerprint  text NOT NULL,
    sent_at      timestamptz NOT NULL
);
COMMENT ON TABLE analytics.alert IS 'One row: the last alert. An empty fingerprint: all was well again';
"""


def upgrade() -> None:
    """Add it."""
    op.execute(TABLE)
