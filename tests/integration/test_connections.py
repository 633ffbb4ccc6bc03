"""Airflow's connections, given as environment variables: found, missing, and wrong."""

from __future__ import annotations

import json
import socket
from datetime import date, timedelta

import psycopg
import pytest
from airflow.sdk.bases.secrets_backend import BaseSecretsBackend
from structlog.testing import capture_logs

from include.sandbox.postgres import EmbeddedPostgres
from include.social_analytics import cooldown as cooldowns
from include.social_analytics.connectors.base import Account
from include.social_analytics.connectors.facebook.connector import connect, facebook_graph
from include.social_analytics.connectors.reading import Window
from include.social_analytics.cooldown import LocalCooldown, RedisCooldown, shared_cooldown
from include.social_analytics.databases import open_analytics, open_postiz
from include.social_analytics.errors import ErrorCode, JobError
from include.social_analytics.graph_api.connection import graph_connection
from include.social_analytics.settings import Settings
from tests.support.scripted_http import Answer, scripted_server


def test_postiz_is_only_ever_read(monkeypatch, postgres: EmbeddedPostgres, postiz_database: str):
    monkeypatch.setenv("AIRFLOW_CONN_POSTIZ_DB", postgres.airflow_connection(postiz_database))
    with (
        pytest.raises(JobError, match="read-only transaction"),
        open_postiz() as connection,
        connection.transaction(),
    ):
        connection.execute('DELETE FROM "Integration"')


def test_opening_the_analytics_database_migrates_it(monkeypatch, postgres: EmbeddedPostgres):
    postgres.create_database("to_be_migrated")
    monkeypatch.setenv("AIRFLOW_CONN_ANALYTICS_DB", postgres.airflow_connection("to_be_migrated"))
    with open_analytics() as connection:
        assert connection.execute("SELECT count(*) FROM analytics.ingest_job").fetchone() == (0,)


@pytest.mark.parametrize(("opener", "name"), [(open_postiz, "postiz_db"), (open_analytics, "analytics_db")])
def test_a_missing_connection_gives_one_sentence_that_names_it(monkeypatch, opener, name):
    monkeypatch.delenv(f"AIRFLOW_CONN_{name.upper()}", raising=False)
    with pytest.raises(JobError) as missing, opener():
        pass
    assert missing.value.code is ErrorCode.CONFIG_INVALID
    assert missing.value.reason == (
        f"The Airflow connection '{name}' is missing: set AIRFLOW_CONN_{name.upper()}, "
        "or add it under Admin, Connections."
    )


SECRET = "hunter2"


@pytest.mark.parametrize(
    "value",
    [
        f"postgresql://reader:se#{SECRET}@host/postiz",
        f"postgresql://reader:{SECRET}@host:many/postiz",
        f'{{"conn_type": "postgres", "password": "{SECRET}"',
        f'{{"conn_type": "postgres", "password": "{SECRET}", "colour": "red"}}',
        '{"conn_type": "postgres", "password": 12345}',
        "http://user:pw://one://two",
        " ",
    ],
    ids=["a special character", "port", "half of JSON", "unknown field", "a number", "two hosts", "blank"],
)
@pytest.mark.parametrize(
    ("name", "use"),
    [
        ("postiz_db", lambda: open_postiz().__enter__()),
        ("facebook_graph", facebook_graph),
        ("analytics_redis", facebook_graph),
    ],
    ids=["required", "optional", "Redis"],
)
def test_a_connection_that_cannot_be_read_is_never_taken_for_a_missing_one(monkeypatch, name, use, value):
    monkeypatch.setenv(f"AIRFLOW_CONN_{name.upper()}", value)
    with pytest.raises(JobError) as refused:
        use()
    assert refused.value.code is ErrorCode.CONFIG_INVALID
    assert refused.value.reason == (
        f"The Airflow connection {name!r} is set but cannot be read: write it as JSON, or percent-encode the "
        "special characters in its URI, for example # as %23."
    )
    assert refused.value.__cause__ is None
    assert refused.value.__suppress_context__


class Locked(BaseSecretsBackend):
    """A store of secrets that does not answer."""

    def get_conn_value(self, conn_id: str, team_name: str | None = None) -> str | None:
        raise ConnectionError(f"no route to the vault, token {SECRET}")


def test_a_store_of_secrets_that_is_down_is_never_taken_for_a_missing_connection(monkeypatch):
    monkeypatch.setattr("airflow.sdk.configuration._secrets_backend_cache", {})  # of this process
    monkeypatch.setenv("AIRFLOW__SECRETS__BACKEND", f"{__name__}.Locked")
    monkeypatch.setenv("AIRFLOW__WORKERS__SECRETS_BACKEND", f"{__name__}.Locked")
    with pytest.raises(JobError) as refused:
        facebook_graph()
    assert refused.value.code is ErrorCode.UNEXPECTED
    assert refused.value.reason == (
        "Locked cannot be asked for the Airflow connection 'facebook_graph': ConnectionError."
    )


@pytest.mark.parametrize("extra", ["[1]", '"text"', "7", "{half"])
@pytest.mark.parametrize(
    ("name", "use"),
    [
        ("postiz_db", lambda: open_postiz().__enter__()),
        ("facebook_graph", facebook_graph),
        ("analytics_redis", facebook_graph),
    ],
    ids=["required", "optional", "Redis"],
)
def test_an_extra_that_is_no_object_is_refused_and_named(monkeypatch, name, use, extra):
    known = {"conn_type": "postgres", "host": "nowhere", "extra": extra}
    monkeypatch.setenv(f"AIRFLOW_CONN_{name.upper()}", json.dumps(known))
    with pytest.raises(JobError) as refused:
        use()
    assert refused.value.code is ErrorCode.CONFIG_INVALID
    assert refused.value.reason == (
        f'The extra of the Airflow connection {name!r} must be a JSON object, such as {{"name": "value"}}.'
    )


def test_a_connection_of_another_type_is_refused(monkeypatch):
    monkeypatch.setenv("AIRFLOW_CONN_POSTIZ_DB", "mysql://root@localhost/postiz")
    with pytest.raises(JobError, match="must be of type postgres, not 'mysql'"), open_postiz():
        pass


def test_a_server_that_is_down_is_a_transient_error(monkeypatch, tmp_path):
    monkeypatch.setenv("AIRFLOW_CONN_POSTIZ_DB", json.dumps({"conn_type": "postgres", "host": str(tmp_path)}))
    with pytest.raises(JobError) as down, open_postiz():
        pass
    assert down.value.code is ErrorCode.STORAGE_UNAVAILABLE


def test_a_database_without_postizs_tables_is_a_configuration_error(monkeypatch, postgres: EmbeddedPostgres):
    monkeypatch.setenv("AIRFLOW_CONN_POSTIZ_DB", postgres.airflow_connection("postgres"))
    with pytest.raises(JobError, match="'postiz_db'") as wrong, open_postiz() as connection:
        connection.execute('SELECT "id" FROM "Integration"')
    assert wrong.value.code is ErrorCode.CONFIG_INVALID


def test_an_error_of_the_query_itself_passes_through(monkeypatch, postgres: EmbeddedPostgres):
    monkeypatch.setenv("AIRFLOW_CONN_POSTIZ_DB", postgres.airflow_connection("postgres"))
    with pytest.raises(psycopg.errors.DivisionByZero), open_postiz() as connection:
        connection.execute("SELECT 1 / 0")


def test_without_a_connection_the_graph_api_is_metas_server(monkeypatch):
    monkeypatch.delenv("AIRFLOW_CONN_FACEBOOK_GRAPH", raising=False)
    graph = facebook_graph()
    assert (graph.base_url, graph.api_version, graph.app_secret) == (
        "https://graph.facebook.com",
        "v25.0",
        None,
    )
    assert isinstance(graph.cooldown, LocalCooldown)


@pytest.mark.parametrize(
    ("connection", "base_url"),
    [
        ({"host": "graph.example"}, "https://graph.example"),
        ({"host": "127.0.0.1", "schema": "http", "port": 8099}, "http://127.0.0.1:8099"),
        ({"host": "http://127.0.0.1:8099/"}, "http://127.0.0.1:8099"),
        ({"host": "http://127.0.0.1/", "port": 8099}, "http://127.0.0.1:8099"),
    ],
)
def test_the_graph_apis_address_comes_from_its_connection(monkeypatch, connection, base_url):
    settings = {"conn_type": "http", "password": "app-secret", "extra": {"api_version": "v26.0"}}
    monkeypatch.setenv("AIRFLOW_CONN_FACEBOOK_GRAPH", json.dumps(settings | connection))
    graph = facebook_graph()
    assert (graph.base_url, graph.api_version, graph.app_secret) == (base_url, "v26.0", "app-secret")


@pytest.mark.parametrize(
    "connection",
    [
        {"host": "http://graph.example:8080/path"},
        {"host": "HTTP://graph.example:8080"},
        {"host": "graph.example", "schema": "http", "port": 8080},
        # Not loopback, though it looks like it.
        {"host": "http://127.0.0.1@graph.example:8080"},
        {"host": "http://graph.example:8080\\@127.0.0.1"},
        # Only JSON's true allows it.
        {"host": "http://graph.example:8080", "extra": {"allow_http": "false"}},
        {"host": "http://graph.example:8080", "extra": {"allow_http": 1}},
    ],
)
def test_a_token_never_goes_out_in_clear(monkeypatch, connection):
    monkeypatch.setenv("AIRFLOW_CONN_FACEBOOK_GRAPH", json.dumps({"conn_type": "http"} | connection))
    with pytest.raises(JobError) as refused:
        facebook_graph()
    assert refused.value.code is ErrorCode.CONFIG_INVALID
    assert refused.value.reason == (
        "The Airflow connection 'facebook_graph' would send tokens in clear to http://graph.example:8080: "
        "write https://graph.example:8080 as its host. Only for a stand-in of the API: "
        'add {"allow_http": true} to its extra.'
    )


@pytest.mark.parametrize(
    "connection",
    [
        {"host": "http://localhost:8099"},
        {"host": "http://[::1]:8099"},
        {"host": "http://127.8.0.1:8099"},
        {"host": "http://demo:8080/facebook", "extra": {"allow_http": True}},
        {"host": "https://graph.example"},
    ],
)
def test_a_stand_in_may_be_reached_over_plain_http(monkeypatch, connection):
    monkeypatch.setenv("AIRFLOW_CONN_FACEBOOK_GRAPH", json.dumps({"conn_type": "http"} | connection))
    assert facebook_graph().base_url == connection["host"]


def test_an_address_that_is_no_url_is_refused_and_named(monkeypatch):
    connection = {"conn_type": "http", "host": "http://[graph.example"}
    monkeypatch.setenv("AIRFLOW_CONN_FACEBOOK_GRAPH", json.dumps(connection))
    with pytest.raises(JobError, match="'facebook_graph' is not a valid URL") as refused:
        facebook_graph()
    assert refused.value.code is ErrorCode.CONFIG_INVALID


@pytest.mark.parametrize("version", ["25", "v25.0/../..", 25.0, "latest"])
def test_an_invalid_api_version_is_refused_and_named(monkeypatch, version):
    settings = {"conn_type": "http", "extra": {"api_version": version}}
    monkeypatch.setenv("AIRFLOW_CONN_FACEBOOK_GRAPH", json.dumps(settings))
    with pytest.raises(JobError, match="api_version") as refused:
        facebook_graph()
    assert refused.value.code is ErrorCode.CONFIG_INVALID


def test_each_graph_api_provider_has_its_own_host_version_and_app(monkeypatch):
    monkeypatch.setenv("AIRFLOW_CONN_FACEBOOK_GRAPH", json.dumps({"conn_type": "http", "host": "elsewhere"}))
    monkeypatch.setenv("AIRFLOW_CONN_THREADS_GRAPH", json.dumps({"conn_type": "http", "password": "secret"}))
    graph = graph_connection("threads", "threads_graph", "graph.threads.net", "v1.0")
    assert (graph.base_url, graph.api_version, graph.app_secret) == (
        "https://graph.threads.net",
        "v1.0",
        "secret",
    )


def test_the_facebook_connector_finds_its_connection_by_itself(monkeypatch):
    with scripted_server(Answer({"data": []})) as server:
        settings = {"conn_type": "http", "host": server.base_url, "extra": {"api_version": "v26.0"}}
        monkeypatch.setenv("AIRFLOW_CONN_FACEBOOK_GRAPH", json.dumps(settings))
        reader = connect(Settings(request_backoff=0)).reader(Account("one", "facebook", "1001", ("token",)))
        reader.read(Window(date(2026, 11, 20), lookback_days=3, post_window_days=28))
    assert server.paths == ["/v26.0/1001/insights", "/v26.0/1001/published_posts"]


def test_with_a_redis_connection_the_cooldown_is_shared(monkeypatch):
    monkeypatch.setenv("AIRFLOW_CONN_ANALYTICS_REDIS", "redis://127.0.0.1:1/0")
    assert isinstance(facebook_graph().cooldown, RedisCooldown)


def test_a_redis_that_never_answers_delays_no_task(monkeypatch):
    monkeypatch.setattr(cooldowns, "REDIS_TIMEOUT", 0.05)
    # It accepts connections and never answers.
    with socket.create_server(("127.0.0.1", 0)) as silent:
        monkeypatch.setenv("AIRFLOW_CONN_ANALYTICS_REDIS", f"redis://127.0.0.1:{silent.getsockname()[1]}/0")
        cooldown = facebook_graph().cooldown
        assert cooldown.remaining() is None
        cooldown.start(timedelta(minutes=1))
        assert cooldown.remaining() is not None


def test_workers_share_a_cooldown_by_provider_app_and_host_and_show_no_password(monkeypatch):
    # No Redis listens there: the log line about it names the key.
    monkeypatch.setenv("AIRFLOW_CONN_ANALYTICS_REDIS", "redis://127.0.0.1:1/0")
    with capture_logs() as lines:
        shared_cooldown("threads", "threads_graph", "https://user:pw@graph.threads.net:8443/").remaining()
    assert [line["key"] for line in lines if line["event"] == "shared cooldown not reachable"] == [
        "social_analytics:cooldown:threads:threads_graph:graph.threads.net"
    ]
