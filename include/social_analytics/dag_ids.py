"""The ids of the DAGs and of the daily DAG's tasks. It imports nothing, so any module may import it."""

from __future__ import annotations

DAILY_DAG = "social_analytics_daily"
DEADLINE_DAG = "social_analytics_deadline"
REPORTS_DAG = "social_analytics_reports"

LIST_TASK = "list_active_integrations"
INGEST_TASK = "analytics_ingest"
AGGREGATE_TASK = "analytics_aggregate"
CHECK_TASK = "check_coverage"

#: The daily DAG's tasks, in their order.
FLOW = (LIST_TASK, INGEST_TASK, AGGREGATE_TASK, CHECK_TASK)
