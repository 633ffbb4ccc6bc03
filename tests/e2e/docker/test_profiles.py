"""What a deployment may have besides: profiles, another port, a path behind a proxy."""

from __future__ import annotations

import requests

from tests.e2e.docker.test_deployment import CHANNEL, log_in


def test_the_ui_and_the_tasks_work_below_a_path_and_on_another_port(stage):
    stage.composed.write_env(
        AIRFLOW_PORT="8090", AIRFLOW_BASE_URL="http://localhost:8090/airflow", AIRFLOW_METRICS="True"
    )
    stage.composed.up(profiles=("demo", "flower", "monitoring"))
    stage.airflow = stage.composed.api()
    assert log_in(stage.airflow.url, stage.airflow.password).url.rstrip("/") == stage.airflow.url
    stage.wait_for(stage.airflow.knows_the_dag)
    run = stage.ended(stage.start(integration_ids=[CHANNEL]))
    assert run.state == "success"
    assert {one["try_number"] for one in run.instances} == {1}
    login = requests.get(f"{stage.airflow.url}/social-analytics/", timeout=30)
    assert (login.status_code, login.json()) == (401, {"detail": "Not authenticated"})


def test_flower_shows_the_worker_to_the_admin_alone(stage):
    url = "http://localhost:5555/workers"
    assert requests.get(url, timeout=30).status_code == 401
    [worker] = stage.composed.containers("worker")
    admin = ("admin", stage.airflow.password)
    stage.wait_for(
        lambda: f"worker@{worker['Config']['Hostname']}" in requests.get(url, auth=admin, timeout=30).text
    )


def test_prometheus_gets_the_metrics_of_a_run_and_has_the_rules(stage):
    def query(expression: str) -> list:
        answer = requests.get("http://localhost:9090/api/v1/query", params={"query": expression}, timeout=30)
        return answer.json()["data"]["result"]

    stage.wait_for(lambda: query('social_analytics_ingest_jobs{provider="facebook"}'))
    rules = requests.get("http://localhost:9090/api/v1/rules", timeout=30).json()["data"]["groups"]
    assert [group["name"] for group in rules] == ["social-analytics"]
