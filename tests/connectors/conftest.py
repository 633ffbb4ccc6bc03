"""Each test of the suite runs once for each provider."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

import psycopg
import pytest
from psycopg import sql

from include.sandbox.postgres import EmbeddedPostgres
from include.sandbox.postiz_db import insert_integration, insert_organization
from include.sandbox.serving import listen, together
from include.sandbox.stand_ins import stand_ins
from include.social_analytics.connectors import provider_named
from tests.connectors.case import Arranged
from tests.connectors.cases import CASES
from tests.connectors.trial import Sent, Trial, latest_day, recording
from tests.support.made_up import registered


@pytest.fixture(autouse=True, scope="module")
def _made_up() -> Iterator[None]:
    with registered():
        yield


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run each test for each provider, and a test with situations for each that the provider can be in.

    ``@pytest.mark.situations(…)`` lists them; the test gets one as ``situation``.
    """
    if "trial" not in metafunc.fixturenames:
        return
    marker = metafunc.definition.get_closest_marker("situations")
    if marker is None:
        metafunc.parametrize("trial", sorted(CASES), indirect=True)
        return
    pairs = [
        pytest.param(name, situation, id=f"{name}-{situation.name.lower()}")
        for name, case in sorted(CASES.items())
        for situation in marker.args
        if isinstance(case.situations[situation], Arranged)
    ]
    metafunc.parametrize(("trial", "situation"), pairs, indirect=["trial"])


@pytest.fixture(scope="module")
def _databases(
    postgres: EmbeddedPostgres, postiz_template: str, analytics_template: str
) -> Iterator[list[str]]:
    names = ["conformance_postiz", "conformance_analytics"]
    for name, template in zip(names, (postiz_template, analytics_template), strict=True):
        postgres.create_database(name, template)
    yield [postgres.dsn(name) for name in names]
    for name in names:
        postgres.drop_database(name)


@pytest.fixture
def postiz(_databases: list[str]) -> Iterator[psycopg.Connection]:
    """A connection to an empty Postiz."""
    yield from _emptied(_databases[0])


@pytest.fixture
def analytics(_databases: list[str]) -> Iterator[psycopg.Connection]:
    """A connection to a migrated, empty analytics database."""
    yield from _emptied(_databases[1])


def _emptied(dsn: str) -> Iterator[psycopg.Connection]:
    """A connection to a database whose rows are deleted afterwards: a new one takes longer than a test."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        yield connection
    with psycopg.connect(dsn) as connection:
        # No foreign key is checked, so their order does not matter.
        connection.execute("SET session_replication_role = replica")
        for schema, table in connection.execute(
            "SELECT schemaname, tablename FROM pg_tables WHERE schemaname IN ('public', 'analytics')"
            " AND tablename <> 'alembic_version'"
        ).fetchall():
            connection.execute(sql.SQL("DELETE FROM {}").format(sql.Identifier(schema, table)))


@pytest.fixture
def trial(
    request: pytest.FixtureRequest,
    postiz: psycopg.Connection,
    analytics: psycopg.Connection,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Trial]:
    """One provider's account in a Postiz, and its stand-in on a real socket, mounted as in the demo."""
    now = datetime.now(UTC)
    day = latest_day(provider_named(request.param), now)
    case = CASES[request.param](now, day)
    insert_organization(postiz, "acme")
    insert_integration(postiz, "one", "acme", case.account, refreshToken=case.refresh_token)
    sent: list[Sent] = []
    with listen(recording(together({request.param: case.api}), sent)) as url:
        for name, connection in stand_ins()[request.param].environment(f"{url}/{request.param}").items():
            monkeypatch.setenv(name, connection)
        yield Trial(case, day, postiz, analytics, sent)
