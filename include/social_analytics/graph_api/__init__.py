"""Meta's Graph API, for every connector that reads from it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from include.social_analytics.cooldown import Cooldown


@dataclass(frozen=True)
class GraphConnection:
    """Where the API is and how to call it; holds no account's token.

    ``base_url`` is scheme and host (``https://graph.facebook.com``), ``api_version`` like ``v25.0``.
    With an ``app_secret`` each request proves that it comes from the app (``appsecret_proof``).
    All calls on the same app's quota share ``cooldown``.
    """

    base_url: str
    api_version: str
    cooldown: Cooldown
    app_secret: str | None = field(default=None, repr=False)
