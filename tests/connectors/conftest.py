"""Each test of the suite runs once for each provider."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

import psycopg
import pytest

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
