"""The registry of providers."""

from __future__ import annotations

import subprocess
import sys

import pytest

from include.social_analytics.connectors import PROVIDERS, open_connector
from include.social_analytics.connectors.facebook.insights import SOURCES
from include.social_analytics.cooldown import LocalCooldown
from include.social_analytics.errors import ErrorCode, JobError
from include.social_analytics.graph_api import GraphConnection
from include.social_analytics.settings import Settings

GRAPH = GraphConnection("https://graph.facebook.com", "v25.0", LocalCooldown(), app_secret="app-secret")


@pytest.mark.parametrize("provider", PROVIDERS)
def test_every_provider_opens(provider: str) -> None:
    connector = open_connector(provider, settings=Settings(), graph=GRAPH)
    assert connector.provider == provider
    assert connector.timezone.key == "America/Los_Angeles"


def test_an_unknown_provider_is_a_clear_error() -> None:
    with pytest.raises(JobError, match="no connector for the provider 'friendster'") as caught:
        open_connector("friendster", settings=Settings(), graph=GRAPH)
    assert caught.value.code is ErrorCode.CONFIG_INVALID


def test_listing_the_providers_loads_no_http_client() -> None:
    script = (
        "import sys, include.social_analytics.connectors as c; assert c.PROVIDERS\n"
        "assert not {'requests', 'urllib3', 'redis', 'airflow'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", script], check=True)


def test_a_connection_does_not_show_its_app_secret() -> None:
    assert "app-secret" not in repr(GRAPH)


def test_every_catalogue_metric_but_the_counted_one_is_asked_for() -> None:
    assert list(SOURCES) == [
        "page_media_view",
        "page_total_media_view_unique",
        "page_post_engagements",
        "page_daily_follows",
        "page_daily_unfollows_unique",
        "page_follows",
        "page_views_total",
    ]
