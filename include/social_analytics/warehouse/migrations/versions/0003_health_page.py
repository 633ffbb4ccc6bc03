"""What only the health page needs: names, and where a job's log is."""

from alembic import op

revision = "0003"
down_revision = "0002"

TABLES = """
CREATE TABLE analytics.organization (
    organization_id  text PRIMARY KEY,
    name             text NOT NULL
);
CREATE TABLE analytics.integration (
    integration_id   text PRIMARY KEY,
    organization_id  text NOT NULL,
    provider         text NOT NULL,
    name             text NOT NULL,
    first_day        date NOT NULL,
    last_day         date NOT NULL,
    is_active        boolean NOT NULL,
    listed_at        timestamptz NOT NULL
);
COMMENT ON TABLE analytics.integration IS 'Each integration that was ever listed, as Postiz had it then';
COMMENT ON COLUMN analytics.integration.first_day IS 'The earliest day that it was listed for';
COMMENT ON COLUMN analytics.integration.is_active IS 'Whether the latest whole listing had it';
-- Its names come with the next listing.
INSERT INTO analytics.integration
SELECT DISTINCT ON (integration_id) integration_id, organization_id, provider, integration_id,
    min(date) OVER whole, max(date) OVER whole, true, '-infinity'
FROM analytics.ingest_job
WINDOW whole AS (PARTITION BY integration_id)
ORDER BY integration_id, date DESC;

ALTER TABLE analytics.ingest_job ADD COLUMN map_index integer;
COMMENT ON COLUMN analytics.ingest_job.map_index IS
    'Of the mapped task in dag_run_id that started the job last';
-- For what is to be cured, among millions of days that are not.
CREATE INDEX ingest_job_failed ON analytics.ingest_job (date) WHERE status = 'failed';
-- For an organization's days: a channel that the provider has no data for does not make them incomplete.
CREATE INDEX ingest_job_no_data ON analytics.ingest_job (organization_id, date) WHERE status = 'no_data';
-- For an organization's posts of late.
CREATE INDEX content_by_organization ON analytics.content (organization_id, published_at);
"""


def upgrade() -> None:
    """Add them."""
    op.execute(TABLES)
