"""What the listings of posts have in common on Meta's networks."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime

import structlog

from include.social_analytics.graph_api.days import pacific_day
from include.social_analytics.json_values import at, moment, text

log = structlog.get_logger(__name__)

_LAST_SEGMENT = re.compile(r"/([\w-]{1,100})/?(?:[?#]|$)", re.ASCII)


@dataclass(frozen=True)
class ListedPost:
    """A post whose identity and day are known; the other fields as the API gave them."""

    id: str
    published_at: datetime
    fields: Mapping[str, object]

    @property
    def day(self) -> date:
        """The Pacific day of its publication."""
        return pacific_day(self.published_at)


def listed_posts(
    items: Iterable[object], first: date, last: date, *, published: str
) -> dict[str, ListedPost]:
    """The usable posts from ``first`` to ``last``, by id.

    :param published: the field with the time of publication.
    """
    posts: dict[str, ListedPost] = {}
    malformed = 0
    for item in items:
        post_id, published_at = text(at(item, "id"), 200), moment(at(item, published))
        if not isinstance(item, dict) or post_id is None or published_at is None:
            malformed += 1
        elif first <= pacific_day(published_at) <= last:
            posts.setdefault(post_id, ListedPost(post_id, published_at, item))
    if malformed:
        log.warning("malformed posts skipped", posts=malformed)
    return posts


def shortcode(permalink: str | None) -> tuple[str, ...]:
    """The code that ends a post's permalink, if any: another name of the post.

    Postiz always has the permalink, and not always the post's id. Hosts differ: threads.net, threads.com.
    """
    found = _LAST_SEGMENT.search((permalink or "").partition("?")[0])
    return (found[1],) if found else ()
