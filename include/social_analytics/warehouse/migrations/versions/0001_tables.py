"""The tables of the daily job."""

from alembic import op

revision = "0001"
down_revision = None

TABLES = """
CREATE TABLE analytics.ingest_job (
    job_id            text PRIMARY KEY,
    organization_id   text NOT NULL,
    integration_id    text NOT NULL,
    provider          text NOT NULL,
    date              date NOT NULL,
    status            text NOT NULL CHECK (status IN
                      ('queued', 'running', 'succeeded', 'no_data', 'pending', 'failed', 'recovered')),
    error_class       text CHECK (error_class IN ('transient', 'permanent')),
    error_code        text,
    provider_code     integer,
    provider_subcode  integer,
    reason            text,
    trace_id          text,
    attempts          integer NOT NULL DEFAULT 0,
    http_calls        integer NOT NULL DEFAULT 0,
    metric_rows       integer NOT NULL DEFAULT 0,
    content_rows      integer NOT NULL DEFAULT 0,
    is_backfill       boolean NOT NULL,
    dag_run_id        text NOT NULL,
    observed_at       timestamptz,
    started_at        timestamptz,
    finished_at       timestamptz
);
COMMENT ON TABLE analytics.ingest_job IS 'One row for each integration and day that was ever to be ingested';
COMMENT ON COLUMN analytics.ingest_job.observed_at IS
    'When the latest reading began, by this database''s clock';
-- For the aggregate, which counts a day's jobs.
CREATE INDEX ingest_job_by_date ON analytics.ingest_job (date);

CREATE TABLE analytics.integration_metric_daily (
    integration_id    text NOT NULL,
    metric            text NOT NULL,
    date              date NOT NULL,
    organization_id   text NOT NULL,
    provider          text NOT NULL,
    value             numeric,
    source_metric     text NOT NULL,
    observed_at       timestamptz NOT NULL,
    job_id            text NOT NULL,
    PRIMARY KEY (integration_id, metric, date)
);
COMMENT ON COLUMN analytics.integration_metric_daily.value IS 'Null where the provider gave no number';
-- For the aggregate, which reads one day of all integrations.
CREATE INDEX integration_metric_daily_by_date ON analytics.integration_metric_daily (date);

CREATE TABLE analytics.content (
    integration_id    text NOT NULL,
    content_id        text NOT NULL,
    organization_id   text NOT NULL,
    provider          text NOT NULL,
    published_at      timestamptz NOT NULL,
    kind              text NOT NULL,
    message           text,
    permalink         text,
    postiz_post_id    text,
    first_seen_at     timestamptz NOT NULL,
    updated_at        timestamptz NOT NULL,
    PRIMARY KEY (integration_id, content_id)
);

CREATE TABLE analytics.content_metric_snapshot (
    integration_id    text NOT NULL,
    content_id        text NOT NULL,
    metric            text NOT NULL,
    snapshot_date     date NOT NULL,
    value             numeric,
    observed_at       timestamptz NOT NULL,
    PRIMARY KEY (integration_id, content_id, metric, snapshot_date)
);
COMMENT ON TABLE analytics.content_metric_snapshot IS 'Lifetime totals as they stood when read on that date';

CREATE TABLE analytics.organization_daily (
    organization_id        text NOT NULL,
    provider               text NOT NULL,
    metric                 text NOT NULL,
    date                   date NOT NULL,
    value                  numeric,
    integrations_expected  integer NOT NULL,
    integrations_reported  integer NOT NULL,
    aggregated_at          timestamptz NOT NULL,
    PRIMARY KEY (organization_id, provider, metric, date)
);
-- For the aggregate, which replaces a day.
CREATE INDEX organization_daily_by_date ON analytics.organization_daily (date);

CREATE TABLE analytics.unsupported_metric (
    provider       text NOT NULL,
    api_version    text NOT NULL,
    metric         text NOT NULL,
    first_seen_at  timestamptz NOT NULL,
    last_seen_at   timestamptz NOT NULL,
    reason         text NOT NULL,
    PRIMARY KEY (provider, api_version, metric)
);
"""


def upgrade() -> None:
    """Create them."""
    op.execute(TABLES)
