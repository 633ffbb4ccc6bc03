"""The compose file's demo: it fills a database once, lets the reader role in, and serves the stand-ins."""

from __future__ import annotations

import json
import signal
import subprocess
import sys

import psycopg
import pytest
import requests

from include.sandbox.demo import environment
from include.sandbox.local_airflow import PROJECT, free_port
from include.sandbox.stand_ins import stand_ins
from include.social_analytics import postiz
from include.social_analytics.connectors import names_by_identifier, providers
from include.social_analytics.databases import Database


@pytest.fixture
def database(postgres):
    """The URL of an empty database, and a connection string for the demo's reader role."""
    postgres.create_database("demo")
    yield postgres.dsn("demo")
    with psycopg.connect(postgres.dsn("demo"), autocommit=True) as superuser:
        superuser.execute("DROP OWNED BY social_analytics_reader; DROP ROLE social_analytics_reader")
    postgres.drop_database("demo")


def test_the_demo_fills_an_empty_database_once_and_serves_its_channels(database, postgres):
    found = []
    identifiers = names_by_identifier()
    for _ in range(2):
        port = free_port()
        demo = subprocess.Popen(
            [sys.executable, "-m", "include.sandbox.demo", "--port", str(port), "--postiz", database],
            cwd=PROJECT,
            stdout=subprocess.PIPE,
            text=True,
        )
        try:
            url = f"http://127.0.0.1:{port}"
            assert (
                demo.stdout.readline()
                == f"Stand-ins on {', '.join(f'{url}/{name}' for name in providers())}\n"
            )
            reader = f"host={postgres.socket_directory} user=social_analytics_reader dbname=demo"
            with psycopg.connect(reader, autocommit=True) as connection:
                reader = Database("postiz_db", connection)
                [channels] = postiz.active_integrations(reader, identifiers)
                ids = [channel.id for channel in channels]
                accounts = postiz.accounts(
                    reader, ids, identifiers, may=postiz.may_read(reader), mask=lambda token: None
                )
            answers = [
                requests.get(
                    f"{url}/facebook/v25.0/{account.provider_account_id}",
                    headers={"Authorization": f"Bearer {account.secrets[0]}"},
                    timeout=10,
                ).status_code
                for account in accounts.values()
                if account.identifier == "facebook"
            ]
            needed = [
                one for one in accounts.values() if providers()[identifiers[one.identifier]].token_address
            ]
            # One was reconnected in Postiz, which then has no refresh token.
            assert [bool(one.refresh_token) for one in needed].count(False) == 1 < len(needed)
            # A few of the demo's channels are broken.
            assert answers.count(200) > len(answers) / 2
            assert len(requests.get(f"{url}/sandbox/calls", timeout=10).json()["facebook"]) == len(answers)
            found.append(ids)
        finally:
            demo.send_signal(signal.SIGTERM)
            demo.communicate(timeout=10)
        assert demo.returncode == 0
    assert len(found[0]) > 10
    assert found[0] == found[1]


def test_every_provider_has_a_stand_in():
    assert list(stand_ins()) == list(providers())


@pytest.mark.parametrize("provider", providers())
def test_a_stand_in_declares_the_connections_of_its_provider(provider):
    declared = providers()[provider]
    assert set(stand_ins()[provider].connections("http://here")) <= set(declared.connections)
    accounts = stand_ins()[provider].make_demo().accounts
    assert {account.identifier for account in accounts} <= set(declared.identifiers)
    assert len({account.id for account in accounts}) == len(accounts)


def test_listing_the_stand_ins_loads_no_web_server():
    script = (
        "import sys, include.sandbox.stand_ins as s; assert s.stand_ins()\n"
        "assert not {'uvicorn', 'starlette', 'requests', 'airflow'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", script], check=True, cwd=PROJECT)


def test_the_connections_to_the_demo_are_those_that_its_stand_ins_declare():
    path = PROJECT / "include" / "sandbox" / "demo.env"
    lines = [
        line.partition("=") for line in path.read_text().splitlines() if line.startswith("AIRFLOW_CONN_")
    ]
    given = {name: json.loads(value.strip("'")) for name, _, value in lines if value.startswith(("'{", "{"))}
    wanted = environment({provider: f"http://demo:8080/{provider}" for provider in stand_ins()})
    assert given == {name: json.loads(connection) for name, connection in wanted.items()}
