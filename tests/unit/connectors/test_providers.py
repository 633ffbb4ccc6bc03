"""The registry of providers; and nothing outside a provider's own package names it."""

from __future__ import annotations

import io
import re
import subprocess
import sys
import tokenize
from pathlib import Path

import pytest

from include.social_analytics import connectors
from include.social_analytics.connectors import (
    advice_on,
    names_by_identifier,
    provider_named,
    providers,
)
from include.social_analytics.connectors.facebook.insights import SOURCES
from include.social_analytics.cooldown import LocalCooldown
from include.social_analytics.errors import ErrorCode, JobError
from include.social_analytics.graph_api import GraphConnection
from include.social_analytics.metrics import CONTENT_METRICS, DAILY_METRICS
from include.social_analytics.settings import Settings

PROJECT = Path(__file__).resolve().parents[3]

#: The packages of Meta's networks, of LinkedIn's pages, and of those whose day ends in Los Angeles, too.
AT_HOME = (
    "include/social_analytics/connectors/facebook/",
    "include/social_analytics/connectors/instagram/",
    "include/social_analytics/connectors/linkedin_page/",
    "include/social_analytics/connectors/threads/",
    "include/social_analytics/connectors/youtube/",
    "include/social_analytics/graph_api/",
    "include/sandbox/stand_ins/facebook/",
    "include/sandbox/stand_ins/instagram/",
    "include/sandbox/stand_ins/linkedin_page/",
    "include/sandbox/stand_ins/threads/",
    "include/sandbox/stand_ins/youtube/",
)
#: Files with examples of connections, which name the providers.
CONNECTIONS = ("include/sandbox/demo.env", ".env.example", "airflow_settings.example.yaml")
NAMES = re.compile(r"(?i:facebook|instagram|linkedin|threads_graph)|\bMeta\b|Los Angeles")
#: In these files a page is the health page.
OF_THE_HEALTH_PAGE = ("include/social_analytics/health/", "plugins/social_analytics.py")
#: Phrases in which a page is not a Facebook page.
OTHER_PAGES = re.compile(
    r"""@page | health\ page | health_page | HTML\ page | page\ by\ page | page\ of\ (a|the)\ listing
      | page\ of\ \d+\ posts | pages\ of\ a\ listing | page\.js | page\.css | linkedin-page
      | "page",\ a?\ ?"channel"  # what a provider calls an account
    """,
    re.VERBOSE,
)
PAGE = re.compile(r"\b[Pp]ages?\b")


@pytest.mark.parametrize("name", providers())
def test_every_provider_connects_without_a_call_and_declares_known_metrics(name: str, monkeypatch) -> None:
    provider = provider_named(name)
    if provider.required_connection:
        connection = '{"conn_type": "http", "login": "an id", "password": "a secret"}'
        monkeypatch.setenv(f"AIRFLOW_CONN_{provider.required_connection.upper()}", connection)
    assert provider.required_connection in (None, *provider.connections)
    assert provider.name == name
    assert provider.identifiers
    assert set(provider.two_step_identifiers) <= set(provider.identifiers)
    assert set(provider.metrics) <= set(DAILY_METRICS)
    assert set(provider.content_metrics) <= set(CONTENT_METRICS)
    assert 0 < provider.final_after_days <= provider.history_days
    assert "" not in (provider.access, provider.quota, provider.calls)
    assert provider.connect(Settings()).reader


@pytest.mark.parametrize("name", providers())
def test_a_provider_that_needs_refresh_tokens_has_a_script_that_grants_them_and_no_other_has_one(
    name,
) -> None:
    script = PROJECT / "include" / "deploy" / "roles" / f"postiz_reader_{name}.sql"
    address = provider_named(name).token_address
    assert script.exists() == (address is not None)
    if address is not None:
        assert address.startswith("https://")
        granted = re.findall(r"\"providerIdentifier\" = '(\S+)'", script.read_text())
        assert tuple(granted) == provider_named(name).identifiers


def test_no_identifier_belongs_to_two_providers() -> None:
    assert len(names_by_identifier()) == sum(len(one.identifiers) for one in providers().values())


def test_an_unknown_provider_gives_a_clear_error() -> None:
    with pytest.raises(JobError, match="no connector for the provider 'friendster'") as caught:
        provider_named("friendster")
    assert caught.value.code is ErrorCode.CONFIG_INVALID


def test_advice_comes_from_the_provider_and_else_from_the_error_code() -> None:
    assert "page" in advice_on("facebook", ErrorCode.OBJECT_NOT_FOUND)
    assert advice_on("facebook", ErrorCode.NETWORK) == ErrorCode.NETWORK.advice
    assert advice_on("friendster", ErrorCode.OBJECT_NOT_FOUND) == ErrorCode.OBJECT_NOT_FOUND.advice


def test_listing_the_providers_loads_no_http_client() -> None:
    script = (
        "import sys, include.social_analytics.connectors as c; assert c.providers()\n"
        "assert not {'requests', 'urllib3', 'redis', 'airflow'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", script], check=True, cwd=PROJECT)


def test_a_connection_does_not_show_its_app_secret() -> None:
    connection = GraphConnection("https://graph.here", "v25.0", LocalCooldown(), app_secret="app-secret")
    assert "app-secret" not in repr(connection)


def test_every_catalogue_metric_except_the_counted_one_is_requested() -> None:
    assert list(SOURCES) == [
        "page_media_view",
        "page_total_media_view_unique",
        "page_post_engagements",
        "page_daily_follows",
        "page_daily_unfollows_unique",
        "page_follows",
        "page_views_total",
    ]


# Names of providers


def shipped() -> dict[str, str]:
    """The text of the deployed files and of the docs, by path."""
    tops = ("include", "dags", "plugins", ".astro", ".ci")
    files = [path for top in tops for path in sorted((PROJECT / top).rglob("*")) if path.is_file()]
    files += [path for path in sorted(PROJECT.iterdir()) if path.is_file()]
    prose = {".md", ".lock", ".pyc"}
    return {
        str(path.relative_to(PROJECT)): path.read_text()
        for path in files
        if path.suffix not in prose and path.name not in (".git", ".env")
    }


def prose_of(path: str, text: str) -> list[tuple[int, str]]:
    """The numbered lines of prose: in Python, those of comments and strings."""
    if not path.endswith(".py"):
        return list(enumerate(text.splitlines(), 1))
    return [
        (token.start[0] + offset, line)
        for token in tokenize.generate_tokens(io.StringIO(text).readline)
        if token.type in (tokenize.COMMENT, tokenize.STRING)
        for offset, line in enumerate(token.string.splitlines())
    ]


def test_only_facebooks_own_package_names_facebook_meta_or_its_zone() -> None:
    found = [
        f"{path}:{number}: {line.strip()}"
        for path, text in shipped().items()
        if not path.startswith((*AT_HOME, *CONNECTIONS))
        for number, line in enumerate(text.splitlines(), 1)
        if NAMES.search(line)
    ]
    assert not found, "\n" + "\n".join(found)


def test_only_facebooks_own_package_calls_a_channel_a_page() -> None:
    found = [
        f"{path}:{number}: {line.strip()}"
        for path, text in shipped().items()
        if not path.startswith((*AT_HOME, *OF_THE_HEALTH_PAGE))
        for number, line in prose_of(path, text)
        if PAGE.search(OTHER_PAGES.sub("", line))
    ]
    assert not found, "\n" + "\n".join(found)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"name": "facebook"}, "another provider has its name"),
        ({"identifiers": ("twin", "facebook")}, "one of its identifiers"),
        ({"metrics": {"likes": "likes"}}, "not in the catalogue of metrics: likes"),
        ({"content_metrics": {"likes": "likes"}}, "not in the catalogue of metrics: likes"),
    ],
)
def test_a_declaration_that_contradicts_another_one_is_refused(monkeypatch, tmp_path, fields, words) -> None:
    (tmp_path / "twin").mkdir()
    (tmp_path / "twin" / "__init__.py").write_text(
        "from dataclasses import replace\n"
        "from include.social_analytics.connectors.facebook import PROVIDER as FACEBOOK\n"
        f"PROVIDER = replace(FACEBOOK, **{{'name': 'twin', 'identifiers': ('twin',)}} | {fields!r})\n"
    )
    monkeypatch.setattr(connectors, "__path__", [*connectors.__path__, str(tmp_path)])
    monkeypatch.delitem(sys.modules, f"{connectors.__name__}.twin", raising=False)
    connectors.providers.cache_clear()
    try:
        with pytest.raises(ValueError, match=words):
            connectors.providers()
    finally:
        monkeypatch.undo()
        sys.modules.pop(f"{connectors.__name__}.twin", None)
        connectors.providers.cache_clear()
