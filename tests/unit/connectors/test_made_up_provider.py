"""The made-up provider: adding its folder adds it, and removing the folder removes it."""

from __future__ import annotations

from contextlib import nullcontext
from datetime import UTC, date, datetime

from include.sandbox.stand_ins import stand_ins
from include.social_analytics.connectors import (
    advice_on,
    lookback_days,
    names_by_identifier,
    provider_named,
    providers,
)
from include.social_analytics.days import day_ended_everywhere_at
from include.social_analytics.errors import ErrorCode
from include.social_analytics.settings import Settings
from tests.support.made_up import registered


def test_a_provider_is_added_by_its_folder_alone() -> None:
    before = list(providers()), list(stand_ins())
    with registered():
        assert list(providers()) == ["chatter", *before[0]] == list(stand_ins())
        assert names_by_identifier()["chatter-business"] == "chatter"
        assert advice_on("chatter", ErrorCode.TOKEN_INVALID).startswith("Make a new key in Chatter")
        assert provider_named("chatter").secrets("key:se:cret") == ("key", "se:cret")
    assert (list(providers()), list(stand_ins())) == before
    assert "chatter-business" not in names_by_identifier()


def test_the_look_back_covers_the_provider_whose_figures_become_final_last() -> None:
    for known in (nullcontext(), registered()):
        with known:
            last = max(provider.final_after_days for provider in providers().values())
            assert lookback_days(Settings(lookback_days=1)) == last
            assert lookback_days(Settings(lookback_days=last + 1)) == last + 1


def test_a_day_ends_when_it_has_ended_for_every_provider() -> None:
    with registered():
        end, zone = day_ended_everywhere_at(date(2026, 11, 20))
    assert (end, zone.key) == (datetime(2026, 11, 21, 8, tzinfo=UTC), "America/Los_Angeles")
