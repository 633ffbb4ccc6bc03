"""Which channels a run lists, by what this deployment can read."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import psycopg
import pytest
from airflow.sdk.exceptions import AirflowFailException
from airflow.sdk.execution_time.context import set_current_context
from structlog.testing import capture_logs

from include.sandbox.local_airflow import PROJECT
from include.sandbox.postgres import EmbeddedPostgres
from include.sandbox.postiz_db import insert_integration, insert_organization
from include.sandbox.stand_ins.facebook.world import make_page
from include.sandbox.stand_ins.youtube.world import make_channel
from include.social_analytics.batches import integrations_of
from include.social_analytics.databases import Database
from include.social_analytics.days import label_of
from include.social_analytics.tasks.list_integrations import list_active_integrations
from include.social_analytics.warehouse.ledger import states
from tests.support.bench import DAY
from tests.support.made_up import registered

ROLES = PROJECT / "include" / "deploy" / "roles"
CHATTER = json.dumps({"conn_type": "http", "host": "http://127.0.0.1:9"})


@pytest.fixture(autouse=True)
def _made_up() -> Iterator[None]:
    with registered():
        yield


@pytest.fixture
def listed(
    postgres: EmbeddedPostgres, postiz: psycopg.Connection, analytics: psycopg.Connection, monkeypatch
) -> Callable[..., tuple[list[str], dict[str, Any]]]:
    """A function that runs the listing, of two pages and a room: the ids that it lists, and its log."""
    databases = {"POSTIZ_DB": postiz, "ANALYTICS_DB": analytics}
    for variable, database in databases.items():
        monkeypatch.setenv(f"AIRFLOW_CONN_{variable}", postgres.airflow_connection(database.info.dbname))
    insert_organization(postiz, "acme")
    for number in (1, 2):
        insert_integration(postiz, f"page-{number}", "acme", make_page(number))
    insert_integration(postiz, "room", "acme", make_page(3), providerIdentifier="chatter-business")

    def run(**params: object) -> tuple[list[str], dict[str, Any]]:
        dag_run = SimpleNamespace(
            run_id="run", run_type="scheduled", logical_date=label_of(DAY), run_after=label_of(DAY), conf={}
        )
        context: Any = {"dag_run": dag_run, "params": params, "ti": None}
        with set_current_context(context), capture_logs() as lines:
            batches = list_active_integrations()
        log = {line["event"]: line for line in lines}
        return [one.id for batch in batches for one in integrations_of(batch)], log

    return run


def test_a_provider_without_the_connection_that_it_requires_is_left_out_and_the_log_names_it(listed) -> None:
    ids, log = listed()
    assert ids == ["page-1", "page-2"]
    assert log["channels listed"]["leftOut"] == {"no_connection": 1}
    assert log["channels left out"]["reason"] == (
        "Chatter is not read: the Airflow connection 'chatter_api' is missing."
    )


def test_a_provider_without_its_grant_is_left_out_and_the_log_names_the_script(
    listed, postiz, postgres, monkeypatch
) -> None:
    insert_integration(postiz, "channel", "acme", make_channel(1))
    postiz.execute((ROLES / "postiz_reader.sql").read_bytes())
    monkeypatch.setenv("AIRFLOW_CONN_CHATTER_API", CHATTER)
    monkeypatch.setenv("AIRFLOW_CONN_GOOGLE_API", CHATTER)
    reader = json.loads(postgres.airflow_connection(postiz.info.dbname))
    monkeypatch.setenv("AIRFLOW_CONN_POSTIZ_DB", json.dumps(reader | {"login": "social_analytics_reader"}))
    try:
        ids, log = listed()
        assert ids == ["page-1", "page-2", "room"]
        assert log["channels listed"]["leftOut"] == {"no_refresh_token_grant": 1}
        assert "postiz_reader_youtube.sql" in log["channels left out"]["reason"]
        postiz.execute((ROLES / "postiz_reader_youtube.sql").read_bytes())
        ids, log = listed()
        assert ids == ["channel", "page-1", "page-2", "room"]
        assert "channels left out" not in log
    finally:
        postiz.execute("DROP OWNED BY social_analytics_reader CASCADE; DROP ROLE social_analytics_reader")


def test_a_provider_with_its_connection_is_listed(listed, monkeypatch) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_CHATTER_API", CHATTER)
    ids, log = listed()
    assert ids == ["page-1", "page-2", "room"]
    assert "channels left out" not in log


def test_a_connection_that_is_set_but_cannot_be_read_is_not_missing(listed, monkeypatch) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_CHATTER_API", '{"conn_type": "http", "extra": "no object"}')
    ids, _ = listed()
    assert ids == ["page-1", "page-2", "room"]


def test_nothing_is_said_of_a_missing_connection_that_no_channel_needs(listed, postiz) -> None:
    postiz.execute("""DELETE FROM "Integration" WHERE "id" = 'room'""")
    _, log = listed()
    assert "channels left out" not in log


def test_only_the_providers_that_the_setting_names_are_read(listed, monkeypatch, analytics) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_CHATTER_API", CHATTER)
    monkeypatch.setenv("SOCIAL_ANALYTICS_PROVIDERS", "chatter")
    ids, log = listed()
    assert ids == ["room"]
    assert log["channels listed"]["leftOut"] == {"provider_off": 2}
    jobs = [f"analytics-ingest:{id_}:{DAY}" for id_ in ("page-1", "page-2", "room")]
    assert [state.job_id for state in states(Database("analytics_db", analytics), jobs)] == jobs[2:]


def test_a_channel_that_is_no_longer_read_is_no_longer_expected(listed, monkeypatch, analytics) -> None:
    listed()
    monkeypatch.setenv("AIRFLOW_CONN_CHATTER_API", CHATTER)
    monkeypatch.setenv("SOCIAL_ANALYTICS_PROVIDERS", "chatter")
    listed()
    active = analytics.execute("SELECT integration_id FROM analytics.integration WHERE is_active").fetchall()
    assert active == [("room",)]


def test_a_run_that_asks_for_a_channel_that_is_not_read_says_why(listed) -> None:
    with pytest.raises(AirflowFailException, match="integration_ids 'room' is no_connection"):
        listed(integration_ids=["room"])
