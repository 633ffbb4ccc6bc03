"""What an error may say about a failed request."""

from __future__ import annotations

import pytest

from include.social_analytics.http.failures import identifier, redact


def test_a_short_secret_and_a_proof_are_removed_too() -> None:
    text = "Invalid appsecret_proof=abcdef0123 for page-token-1 and https://x.test/a?q#f"
    assert redact(text, ["page-token-1", ""]) == (
        "Invalid appsecret_proof=[redacted] for [redacted] and https://x.test/a"
    )


def test_an_ordinary_message_stays_as_it_is() -> None:
    text = (
        "(#100) Object with ID '1234567890123456_122101234567890123' does not exist, cannot be loaded due to "
        "missing permissions, or page_video_complete_views_30s_repeat_views? Error validating access token: "
    )
    assert redact(text).startswith(text[:140])
    assert (
        redact("What? Why is this OAuth access token wrong?") == "What? Why is this OAuth access token wrong?"
    )


@pytest.mark.parametrize("value", ["quotaExceeded", "7", "PERMISSION_DENIED", "AbC-1_d", "a/b+c=", "65601.1"])
def test_a_code_or_trace_id_is_kept_unchanged(value: str) -> None:
    assert identifier(value) == value


@pytest.mark.parametrize(
    "value",
    ["", "two words", "a\x00b", "ü", "\ud800", "a" * 101, "the-secret", "EAAtoken0123456789", 190, None, []],
)
def test_an_invalid_code_or_trace_id_or_a_possible_secret_is_left_out(value: object) -> None:
    assert identifier(value, ["the-secret"]) is None
