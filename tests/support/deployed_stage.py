"""A stage whose Airflow is a deployment of the compose file."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

import psycopg

from tests.support.deployment import Deployment
from tests.support.stage import DAY, Stage

#: The days that catch-up runs when the DAG is unpaused.
CATCH_UP = [DAY - timedelta(days=n) for n in range(4, -1, -1)]
MAX_ACTIVE_RUNS = 3
MAX_CONCURRENT_TASKS = 4


@dataclass(kw_only=True)
class DeployedStage(Stage):
    """A stage whose Airflow is a deployment of the compose file."""

    deployment: Deployment

    @property
    def api_port(self) -> int:
        """The port of the stand-in for the Graph API. A task that waits for it has a connection there."""
        return int(self.sandbox.url.rsplit(":", 1)[1])

    def reconnect(self) -> None:
        """Connect to the databases again after one of them was down."""
        self.postiz.close()
        self.analytics.close()
        self.postiz = psycopg.connect(self.deployment.dsn("postiz", "demo-postiz"), autocommit=True)
        self.analytics = psycopg.connect(self.deployment.dsn("analytics"), autocommit=True)
