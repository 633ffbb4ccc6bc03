"""A provider that no line of the project names: its folder is added, and a real scheduler runs it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any

import psycopg
import pytest

from include.sandbox.local_airflow import LocalAirflow
from include.sandbox.postgres import EmbeddedPostgres
from include.sandbox.postiz_db import insert_integration
from include.sandbox.serving import listen, together
from include.sandbox.stand_ins import stand_ins
from include.sandbox.stand_ins.facebook.graph_api import GraphApi
from include.sandbox.stand_ins.facebook.world import World, make_page
from tests.support.made_up import project_with_it, registered
from tests.support.stage import DAY, Run, Stage, expected, statsd

#: The oldest day that a room's look-back still covers, and a Facebook page's doesn't.
OLDEST = DAY - timedelta(days=3)


@pytest.fixture(scope="module")
def _made_up() -> Iterator[None]:
    with registered():
        yield


@pytest.fixture(scope="module")
def rooms(_made_up: None) -> Any:
    """The made-up provider's stand-in, with four rooms."""
    from include.sandbox.stand_ins.chatter.api import ChatterApi
    from include.sandbox.stand_ins.chatter.world import World as Rooms
    from include.sandbox.stand_ins.chatter.world import make_room

    now = datetime.now(UTC)
    return ChatterApi(Rooms([make_room(number) for number in range(1, 5)], now=lambda: now))


@pytest.fixture(scope="module")
def stage(
    postgres: EmbeddedPostgres, postiz_template: str, tmp_path_factory: pytest.TempPathFactory, rooms: Any
) -> Iterator[Stage]:
    """A running Airflow on the project with the provider's folder added, and both stand-ins."""
    now = datetime.now(UTC)
    pages = GraphApi(World([make_page(number) for number in range(1, 5)], now=lambda: now))
    for name, template in (("made_up_postiz", postiz_template), ("made_up_analytics", "template1")):
        postgres.create_database(name, template)
    postgres.create_database("made_up_airflow")
    home = tmp_path_factory.mktemp("airflow")
    project = project_with_it(tmp_path_factory.mktemp("made_up"))
    with (
        psycopg.connect(postgres.dsn("made_up_postiz"), autocommit=True) as postiz,
        psycopg.connect(postgres.dsn("made_up_analytics"), autocommit=True) as analytics,
        listen(together({"facebook": pages, "chatter": rooms})) as url,
        statsd() as (port, metrics),
    ):
        environment = {
            "PYTHONPATH": str(project),
            "AIRFLOW__CORE__DAGS_FOLDER": str(project / "dags"),
            "AIRFLOW__CORE__PLUGINS_FOLDER": str(project / "plugins"),
            "AIRFLOW__METRICS__STATSD_ON": "True",
            "AIRFLOW__METRICS__STATSD_PORT": str(port),
            "AIRFLOW__METRICS__STATSD_INFLUXDB_ENABLED": "True",
            # Only the runs that the tests start.
            "AIRFLOW__SCHEDULER__USE_JOB_SCHEDULE": "False",
            "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "False",
            "AIRFLOW_CONN_POSTIZ_DB": postgres.airflow_connection("made_up_postiz"),
            "AIRFLOW_CONN_ANALYTICS_DB": postgres.airflow_connection("made_up_analytics"),
            **stand_ins()["facebook"].environment(f"{url}/facebook"),
            **stand_ins()["chatter"].environment(f"{url}/chatter"),
            "SOCIAL_ANALYTICS_START_DATE": OLDEST.isoformat(),
            "SOCIAL_ANALYTICS_LOOKBACK_DAYS": "1",
            # One batch with channels of both providers.
            "SOCIAL_ANALYTICS_MAX_MAPPED_TASKS": "1",
            "SOCIAL_ANALYTICS_RETRY_DELAY": "0",
            "SOCIAL_ANALYTICS_MAX_RETRY_DELAY": "1",
            "SOCIAL_ANALYTICS_REQUEST_BACKOFF": "0",
        }
        with LocalAirflow(home, postgres.sqlalchemy_url("made_up_airflow"), environment) as airflow:
            yield Stage(
                airflow, pages.world, pages, postiz, analytics, home, iter(list(pages.world.pages.values())),
                count(1), metrics,
            )  # fmt: skip
    for name in ("made_up_postiz", "made_up_analytics", "made_up_airflow"):
        postgres.drop_database(name)


def test_its_figures_are_read_stored_and_aggregated_beside_facebooks(stage: Stage, rooms: Any) -> None:
    organization, pages = stage.organization(2)
    healthy, other, broken, _ = rooms.world.rooms.values()
    for room in (healthy, other, broken):
        insert_integration(stage.postiz, room.id, organization, room)
    rooms.faults.set(broken.id, rooms.fault_type("token_revoked"))

    earlier = stage.run(date=OLDEST.isoformat())
    assert earlier.state == "success", why(stage, earlier)
    assert stage.job(healthy, OLDEST)["status"] == "succeeded"
    # It is not the rooms' latest day, so values as of now are not stored for it.
    assert figures(stage, organization, "chatter", OLDEST)["followers"] == (None, 0, 3)

    rooms.world.restate(healthy.id, OLDEST, 200)
    stage.world.restate(pages[0].id, OLDEST, 200)
    before = figures(stage, organization, "facebook", OLDEST)["views"]
    latest = stage.run()
    assert latest.state == "success", why(stage, latest)

    members = sum(rooms.world.members(room.id) for room in (healthy, other))
    people = sum(rooms.world.value(room.id, "people", DAY) for room in (healthy, other))
    chatter = figures(stage, organization, "chatter", DAY)
    assert chatter["followers"] == (members, 2, 3)
    assert chatter["reach_summed"] == (people, 2, 3)
    assert set(chatter) == {"reach_summed", "engagements", "followers"}
    facebook = figures(stage, organization, "facebook", DAY)
    assert facebook["views"] == (expected(stage, pages, "page_media_view"), 2, 2)
    [cheered] = stage.rows(
        "SELECT count(DISTINCT metric) AS metrics, count(DISTINCT content_id) > 20 AS many"
        " FROM analytics.content_metric_snapshot WHERE integration_id = %s",
        healthy.id,
    )
    assert cheered == {"metrics": 2, "many": True}

    # Its figures are final after three days, whatever the setting; Facebook's are after two.
    people = sum(rooms.world.value(room.id, "people", OLDEST) for room in (healthy, other))
    assert figures(stage, organization, "chatter", OLDEST)["reach_summed"] == (people, 2, 3)
    assert figures(stage, organization, "facebook", OLDEST)["views"] == before

    job = stage.job(broken)
    assert (job["status"], job["error_code"]) == ("failed", "token_invalid")
    assert (job["provider"], job["provider_code"]) == ("chatter", "tokenRevoked")
    assert not any(part in job["reason"] for part in broken.token.split(":"))

    tagged = [line for line in stage.metrics if "provider=chatter" in line]
    for metric in (
        "ingest.jobs",
        "ingest.http_calls",
        "coverage",
        "newest_complete_day.end",
        "on_time_until",
    ):
        assert [line for line in tagged if line.startswith(f"airflow.social_analytics.{metric},")], metric
    assert [line for line in tagged if "error_code=token_invalid" in line]
    logs = "".join(path.read_text() for path in Path(stage.home, "logs").rglob("*.log"))
    assert "tokenRevoked" in logs
    assert not [
        room.id for room in rooms.world.rooms.values() for part in room.token.split(":") if part in logs
    ]


def figures(stage: Stage, organization: str, provider: str, day: object) -> dict[str, tuple[Any, int, int]]:
    """An organization's day at one provider: metric -> value, integrations reported and expected."""
    rows = stage.rows(
        "SELECT * FROM analytics.organization_daily"
        " WHERE organization_id = %s AND provider = %s AND date = %s",
        organization,
        provider,
        day,
    )
    return {
        row["metric"]: (row["value"], row["integrations_reported"], row["integrations_expected"])
        for row in rows
    }


def why(stage: Stage, run: Run) -> str:
    """What the failed tasks of a run say."""
    failed = [one for one in run.instances if one["state"] == "failed"]
    return json.dumps([(one["task_id"], stage.airflow.failure_of(run.run_id, one)) for one in failed])
