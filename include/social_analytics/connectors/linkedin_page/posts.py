"""A page's posts with their totals: https://learn.microsoft.com/linkedin/marketing/community-management/shares/posts-api."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal

import structlog

from include.social_analytics.connectors.linkedin_page import PROVIDER
from include.social_analytics.connectors.linkedin_page.restli import (
    Client,
    encoded,
    list_of,
    moment_of,
    read_pages,
)
from include.social_analytics.connectors.linkedin_page.statistics import SHARES
from include.social_analytics.connectors.reading import (
    Content,
    Posts,
    Window,
    costs_only,
    posts_published,
    unlisted,
)
from include.social_analytics.errors import JobError
from include.social_analytics.json_values import at, text

log = structlog.get_logger(__name__)

#: The most that the API allows.
PAGE_SIZE = 100
#: The API lists posts by their creation. A post that was scheduled so long before is still found.
SCHEDULED_AHEAD = timedelta(days=7)
#: The two kinds of posts: the beginning of a URN, and the parameter for statistics. A call has only one kind.
KINDS_OF_URN: Mapping[str, str] = {"urn:li:share:": "shares", "urn:li:ugcPost:": "ugcPosts"}
#: As many URNs as keep the URL far below LinkedIn's limit of 4,000 characters.
BATCH_SIZE = 50
MAX_MESSAGE_LENGTH = 20_000
_PERMALINK = "https://www.linkedin.com/feed/update/{}"

_KINDS = {"article": "link", "multiImage": "album", "poll": "poll", "event": "event"}
_MEDIA = re.compile(r"urn:li:(image|video|document):")
#: In a post's text LinkedIn writes @[Name](urn:li:…) and {hashtag|\#|word}, and escapes its own signs.
_MENTION = re.compile(r"@\[([^\]]{1,500})\]\(urn:li:[^)]{1,200}\)")
_HASHTAG = re.compile(r"\{hashtag\|\\?#\|([^}]{1,200})\}")
_ESCAPED = re.compile(r"\\([\\|{}@\[\]()<>#*_~])")


@dataclass(frozen=True)
class _Post:
    """A post whose URN and moment of publication are known; the other fields as the API gave them."""

    urn: str
    published_at: datetime
    fields: Mapping[str, object]

    @property
    def day(self) -> date:
        return self.published_at.date()


def read_posts(client: Client, page: str, window: Window) -> Posts:
    """The posts of the window: a call for 100 posts, and one for the totals of 50 of each kind.

    A failed listing costs neither the day's figures nor the posts that came before.

    :param page: the page's URN.
    :raises JobError: for a failure that is about the whole account (:attr:`ErrorCode.ends_reading`).
    """
    if window.is_past:
        return Posts()
    first = window.first_listed_day
    missing: list[str] = []
    posts: dict[str, _Post] = {}
    is_complete = False
    try:
        malformed = _list_posts(client, page, first, window.day, posts)
        is_complete = malformed == 0
        if malformed:
            missing.append(f"Posts without an id or a date: {malformed}.")
    except JobError as error:
        if error.code.ends_reading:
            raise
        log.warning("listing broken off", errorCode=error.code, reason=error.reason, items=len(posts))
        missing += unlisted("posts", error, some=bool(posts))
    shown = [post for post in posts.values() if post.day >= window.first_post_day]
    totals = _totals(client, page, [post.urn for post in shown], missing)
    return Posts(
        content=tuple(_content(post, totals.get(post.urn, {})) for post in shown),
        published=posts_published((post.day for post in posts.values()), window.days) if is_complete else {},
        missing=tuple(missing),
    )


def _list_posts(client: Client, page: str, first: date, last: date, posts: dict[str, _Post]) -> int:
    """Put the posts published from ``first`` to ``last`` into ``posts``, where they stay if a page fails.

    :returns: how many posts have no id or no moment of publication.
    """
    oldest = datetime.combine(first, time.min, UTC) - SCHEDULED_AHEAD
    malformed = 0
    question = {"q": "author", "author": encoded(page), "sortBy": "CREATED"}
    for elements in read_pages(client, "posts", question, page_size=PAGE_SIZE):
        created = None
        for element in elements:
            created = moment_of(element.get("createdAt")) or created
            if not _is_published(element):
                continue
            urn, published = text(element.get("id"), 200), moment_of(element.get("publishedAt"))
            if urn is None or published is None:
                malformed += 1
            elif first <= published.date() <= last:
                posts.setdefault(urn, _Post(urn, published, element))
        if created is not None and created < oldest:
            break
    return malformed


def _is_published(element: Mapping[str, object]) -> bool:
    """Whether a post is on the page: it is no draft, and no advertisement that only its audience sees."""
    return element.get("lifecycleState") == "PUBLISHED" and at(element, "adContext", "isDsc") is not True


def _totals(
    client: Client, page: str, urns: list[str], missing: list[str]
) -> dict[str, dict[str, Decimal | None]]:
    """Each post's totals by our names; None where the API leaves a post out, absent where a call failed."""
    totals: dict[str, dict[str, Decimal | None]] = {}
    for beginning, parameter in KINDS_OF_URN.items():
        of_kind = [urn for urn in urns if urn.startswith(beginning)]
        with costs_only(f"Totals of posts ({parameter})", missing):
            for start in range(0, len(of_kind), BATCH_SIZE):
                batch = of_kind[start : start + BATCH_SIZE]
                given = _totals_of_batch(client, page, parameter, batch)
                unknown = dict.fromkeys(PROVIDER.content_metrics)
                totals |= {urn: given.get(urn, unknown) for urn in batch}
    return totals


def _totals_of_batch(
    client: Client, page: str, parameter: str, urns: list[str]
) -> dict[str, dict[str, Decimal | None]]:
    found: dict[str, dict[str, Decimal | None]] = {}
    question = {**SHARES.question(page), parameter: list_of(urns)}
    for elements in read_pages(client, SHARES.resource, question):
        for element in elements:
            figures = SHARES.figures(element, PROVIDER.content_metrics)
            for urn in (element.get("share"), element.get("ugcPost")):
                if isinstance(urn, str):
                    found[urn] = {name: figures[its] for name, its in PROVIDER.content_metrics.items()}
    return found


def _content(post: _Post, totals: Mapping[str, Decimal | None]) -> Content:
    return Content(
        content_id=post.urn,
        published_at=post.published_at,
        kind=_kind(post.fields),
        message=_message(post.fields.get("commentary")),
        permalink=_PERMALINK.format(post.urn),
        metrics=totals,
    )


def _kind(fields: Mapping[str, object]) -> str:
    if fields.get("reshareContext"):
        return "reshare"
    content = fields.get("content")
    if not isinstance(content, dict) or not content:
        return "text"
    media = _MEDIA.match(str(at(content, "media", "id")))
    return media[1] if media else next((kind for name, kind in _KINDS.items() if name in content), "post")


def _message(commentary: object) -> str | None:
    """A post's text as people see it."""
    written = text(commentary, MAX_MESSAGE_LENGTH)
    if written is None:
        return None
    return _ESCAPED.sub(r"\1", _HASHTAG.sub(r"#\1", _MENTION.sub(r"\1", written)))
