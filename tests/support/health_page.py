"""The health page on loopback, without Airflow around it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Thread

import uvicorn
from fastapi import FastAPI

from include.sandbox.local_airflow import free_port
from include.social_analytics.health.app import app


@contextmanager
def served() -> Iterator[str]:
    """Serve the health page in an Airflow without runs; yields its URL."""
    airflow = FastAPI()
    airflow.mount("/social-analytics", app)
    airflow.get("/api/v2/dags/{dag_id}/dagRuns")(lambda: {"dag_runs": [], "total_entries": 0})
    port = free_port()
    server = uvicorn.Server(uvicorn.Config(airflow, port=port, log_level="warning"))
    thread = Thread(target=server.run)
    thread.start()
    try:
        while not server.started:
            time.sleep(0.01)
        yield f"http://127.0.0.1:{port}/social-analytics/"
    finally:
        server.should_exit = True
        thread.join()
