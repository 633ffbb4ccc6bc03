"""The cooldown of one process, and the key that workers share in Redis."""

from __future__ import annotations

from datetime import timedelta

from include.social_analytics.cooldown import LocalCooldown, cooldown_key


def test_a_cooldown_is_off_until_started() -> None:
    assert LocalCooldown().remaining() is None


def test_a_cooldown_ends_by_itself() -> None:
    cooldown = LocalCooldown()
    cooldown.start(timedelta())
    assert cooldown.remaining() is None


def test_a_shorter_cooldown_never_shortens_a_longer_one() -> None:
    cooldown = LocalCooldown()
    cooldown.start(timedelta(hours=1))
    cooldown.start(timedelta(seconds=1))
    left = cooldown.remaining()
    assert left is not None
    assert timedelta(minutes=59) < left <= timedelta(hours=1)


def test_each_provider_and_app_has_a_key_of_its_own() -> None:
    assert (
        cooldown_key("facebook", "facebook_graph", "graph.facebook.com")
        == "social_analytics:cooldown:facebook:facebook_graph:graph.facebook.com"
    )
