"""The compose file's demo: fills a database once, lets the reader in, and answers."""

from __future__ import annotations

import signal
import subprocess
import sys

import psycopg
import pytest
import requests

from include.sandbox.local_airflow import PROJECT, free_port
from include.social_analytics import postiz
from include.social_analytics.connectors import names_by_identifier


@pytest.fixture
def database(postgres):
    """A URL of an empty database, and a connection string of the demo's reader there."""
    postgres.create_database("demo")
    yield postgres.dsn("demo")
    with psycopg.connect(postgres.dsn("demo"), autocommit=True) as superuser:
        superuser.execute("DROP OWNED BY social_analytics_reader; DROP ROLE social_analytics_reader")
    postgres.drop_database("demo")


def test_it_fills_an_empty_database_once_and_answers_for_its_channels(database, postgres):
    found = []
    for _ in range(2):
        port = free_port()
        demo = subprocess.Popen(
            [sys.executable, "-m", "include.sandbox.demo", "--port", str(port), "--postiz", database],
            cwd=PROJECT,
            stdout=subprocess.PIPE,
            text=True,
        )
        try:
            assert demo.stdout.readline() == f"Sandbox Graph API on http://127.0.0.1:{port}\n"
            reader = f"host={postgres.socket_directory} user=social_analytics_reader dbname=demo"
            with psycopg.connect(reader, autocommit=True) as connection:
                [channels] = postiz.active_integrations(connection, names_by_identifier())
                ids = [channel.id for channel in channels]
                accounts = postiz.accounts(connection, ids, names_by_identifier(), mask=lambda token: None)
            answers = [
                requests.get(
                    f"http://127.0.0.1:{port}/v25.0/{account.provider_account_id}",
                    headers={"Authorization": f"Bearer {account.token}"},
                    timeout=10,
                ).status_code
                for account in accounts.values()
            ]
            # A few of the demo's channels are broken.
            assert answers.count(200) > len(answers) / 2
            found.append(ids)
        finally:
            demo.send_signal(signal.SIGTERM)
            demo.communicate(timeout=10)
        assert demo.returncode == 0
    assert len(found[0]) > 10
    assert found[0] == found[1]
