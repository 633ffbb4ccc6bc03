"""Airflow's connections, by their ids."""

from __future__ import annotations

from airflow.sdk import Connection
from airflow.sdk.exceptions import AirflowNotFoundException


def find_connection(conn_id: str) -> Connection | None:
    """Airflow's connection ``conn_id``, or ``None`` where there is none."""
    try:
        known: Connection = Connection.get(conn_id)
    except AirflowNotFoundException:
        return None
    return known
