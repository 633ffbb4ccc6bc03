"""The asset that other DAGs can be scheduled on. ``docs/tables-and-metrics.md`` has an example."""

from airflow.sdk import Asset

#: The table ``organization_daily``; each day is a partition. Airflow's connection stands for the server: the
#: DAG file must not read it. "x-" because Airflow wants a server in a URI of "postgres".
ORGANIZATION_DAILY = Asset(
    name="social_analytics_organization_daily",
    uri="x-postgres://analytics_db/analytics/organization_daily",
)
