"""The profile `monitoring`: Prometheus reads its files, and its alerts fire only when they should."""

from __future__ import annotations

import subprocess
from pathlib import Path

from include.sandbox.local_airflow import PROJECT


def promtool(*arguments: str | Path) -> None:
    done = subprocess.run(["promtool", *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_prometheus_reads_its_configuration_and_rules():
    promtool("check", "config", PROJECT / "include/deploy/monitoring/prometheus.yaml")


def test_each_alert_fires_when_it_should_and_at_no_other_time():
    promtool("test", "rules", Path(__file__).with_name("alerts.yaml"))
