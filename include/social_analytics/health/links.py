"""The page's links into Airflow's UI, relative to Airflow's root."""

from __future__ import annotations

from urllib.parse import quote

from include.social_analytics.dag_ids import DAILY_DAG, INGEST_TASK


def log_url(run_id: str, map_index: int | None) -> str:
    """The log of the mapped task that worked on a job. Without its index: the run."""
    run = f"dags/{DAILY_DAG}/runs/{quote(run_id, safe='')}"
    return run if map_index is None else f"{run}/tasks/{INGEST_TASK}/mapped/{map_index}"
