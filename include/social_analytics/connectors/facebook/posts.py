"""A page's posts with their totals: https://developers.facebook.com/docs/graph-api/reference/page/feed."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal

import structlog

from include.social_analytics.connectors.facebook import PROVIDER
from include.social_analytics.connectors.facebook.refusals import is_about_a_metric, withheld
from include.social_analytics.connectors.reading import (
    Content,
    Posts,
    UnsupportedMetric,
    Window,
    as_sentence,
    posts_published,
    unlisted,
)
from include.social_analytics.errors import ErrorClass, ErrorCode, JobError
from include.social_analytics.graph_api.client import GraphClient
from include.social_analytics.graph_api.days import midnight
from include.social_analytics.graph_api.paging import Listing, items_of, may_be_one_item, read_listing
from include.social_analytics.graph_api.posts import ListedPost, listed_posts
from include.social_analytics.json_values import amount, at, objects, text

log = structlog.get_logger(__name__)

#: Meta's lifetime metrics of a post -> ours. The others come with the post's own fields.
SOURCES: Mapping[str, str] = {
    source: name for name, source in PROVIDER.content_metrics.items() if source.startswith("post_")
}
#: Counts that come with a post: our metric -> the field. Each needs a permission that a token may lack.
COUNTS: Mapping[str, str] = {
    "comments": "comments.limit(0).summary(true)",
    "reactions": "reactions.limit(0).summary(total_count)",
}
FIELDS = "id,created_time,message,permalink_url,status_type,shares,attachments{media_type,type,target{id}}"
#: Enough to count a post whose other fields fail.
BARE_FIELDS = "id,created_time"

#: Facebook's own limit for a post.
MAX_MESSAGE_LENGTH = 63_206
#: The API's answers to questions about a post that has no insights, such as a story.
_HAS_NO_INSIGHTS = frozenset({ErrorCode.REQUEST_INVALID, ErrorCode.OBJECT_NOT_FOUND})
#: Days that are left out behind a post that no listing passes: the first that works.
DAYS_TO_PASS = (0, 1, 3, 7, 14)
#: After so many posts in a row without an answer, the others are not asked for.
MAX_FAILURES_IN_A_ROW = 3
_VIDEO_IN_PERMALINK = re.compile(r"/(?:reel|videos)/(?:[^/?]+/)?(\d{1,30})", re.ASCII)

Totals = dict[str, Decimal | None]


def read_posts(client: GraphClient, page_id: str, window: Window) -> Posts:
    """The posts of the window, with their totals as they stand now: one call per 100 posts.

    A failure costs only what it is about: one post, one metric, one count, or the posts. When the listing
    still fails after the client's own tries, there are no posts today: a listing that always fails must not
    cost the day's figures, nor all of Airflow's tries every day. The next day's reading lists them again.

    :raises JobError: for a failure that is about the whole account (:attr:`ErrorCode.ends_reading`).
    """
    if window.is_past:
        return Posts()
    first = window.first_listed_day
    request = _PostListing(client, page_id, window, first)
    listing = request.read()
    by_post = _InsightsByPost(client, request.sources, request.refused)
    posts = _posts(listing.items, first, window.day)
    content = []
    for post in posts.values():
        if post.day >= window.first_post_day:
            insights = (
                _nested_totals(post.fields, request.sources) if request.is_nested else by_post.totals(post.id)
            )
            content.append(_content(post, insights, request.counts))
    bare = _posts(listing.bare, first, window.day)
    missing = [*unlisted("posts", listing.error, some=bool(posts))]
    if bare:
        missing.append(f"Posts that the API fails to give in full: {len(bare)}.")
    return Posts(
        content=tuple(content),
        published=posts_published((post.day for post in (bare | posts).values()), window.days)
        if listing.complete
        else {},
        unsupported=tuple(
            UnsupportedMetric(client.api_version, source, error.reason)
            for source, error in request.refused.items()
        ),
        withheld=request.withheld,
        missing=(*missing, *by_post.missing),
    )


class _PostListing:
    """Lists the posts, and asks for less with each of them where the API refuses something.

    A metric that the API refuses for every page is not asked for while it was refused within a week. A count
    that it refuses for want of a permission is this page's own matter: it is asked for every day, which costs
    one call. What was lately refused to any page only decides which counts are left out first.
    """

    def __init__(self, client: GraphClient, page_id: str, window: Window, first: date) -> None:
        self._client = client
        self._path = (page_id, "published_posts")
        self._first, self._last = first, window.day
        self._since, self._until = midnight(first), midnight(window.day + timedelta(days=1))
        self._lately = {one.source_metric for one in window.refused if one.api_version == client.api_version}
        refused = withheld(window, client.api_version)
        self.withheld = tuple(refused[source] for source in SOURCES if source in refused)
        #: What is asked for: metrics of insights (Meta's name -> ours), and counts.
        self.sources = {source: name for source, name in SOURCES.items() if source not in refused}
        self.counts = tuple(COUNTS)
        #: Whether the insights come with the posts; if not, they are asked for post by post.
        self.is_nested = True
        #: By Meta's name, what the API refuses.
        self.refused: dict[str, JobError] = {}

    def read(self) -> Listing:
        """The listing with as much as the API gives; its ``error`` if it cannot be read to its end.

        If one post has no insights (a story, a reel), the API refuses a listing with insights. Then the posts
        are listed without them.

        :raises JobError: for a failure that is about the whole account.
        """
        listing = self._list()
        while (error := listing.error) and _may_give_less(listing):
            if self.is_nested and _is_about_a_metric(error) and self._leave_out_metrics():
                listing = self._list()
            elif self.counts and error.code is ErrorCode.PERMISSION_MISSING:
                listing = self._leave_out_counts(error)
            elif self.is_nested:
                log.warning("posts with insights refused, asking post by post", reason=error.reason)
                self.is_nested = False
                listing = self._list()
            else:
                break
        if error and may_be_one_item(error):
            return self._with_the_posts_before(listing)
        return listing

    def _list(self, end: date | None = None) -> Listing:
        """:param end: list only posts before this day."""
        fields = [FIELDS, *(COUNTS[name] for name in self.counts)]
        if self.is_nested and self.sources:
            fields.append(f"insights.metric({','.join(self.sources)})")
        return read_listing(
            self._client,
            self._path,
            fields=",".join(fields),
            bare_fields=BARE_FIELDS,
            since=self._since,
            until=midnight(end) if end else self._until,
        )

    def _with_the_posts_before(self, listing: Listing) -> Listing:
        """Add the posts of earlier days to a listing, newest first, that a post breaks off at any size."""
        reached = min(
            (post.day for post in _posts(listing.items, self._first, self._last).values()),
            default=self._last,
        )
        ends = [end for n in DAYS_TO_PASS if (end := reached - timedelta(days=n)) > self._first]
        # If the oldest posts fail, too, it is not one post.
        if not ends or not self._answers(ends[-1]):
            return listing
        rest = self._list(next((end for end in ends[:-1] if self._answers(end)), ends[-1]))
        return replace(listing, items=listing.items + rest.items, bare=listing.bare + rest.bare)

    def _answers(self, end: date) -> bool:
        """Whether the API gives the newest post before a day."""
        return self._gives(BARE_FIELDS, midnight(end)) is None

    def _gives(self, fields: str, until: int) -> JobError | None:
        """Why the API does not give these fields of one post; None if it does."""
        try:
            self._client.get(*self._path, fields=fields, limit=1, since=self._since, until=until)
        except JobError as error:
            if error.code.ends_reading:
                raise
            return error
        return None

    def _leave_out_metrics(self) -> bool:
        """Find the metrics that the API refuses, by a small call for each; returns whether there are any."""
        refused = {}
        for source in self.sources:
            error = self._gives(f"id,insights.metric({source})", self._until)
            if error and _is_about_a_metric(error):
                refused[source] = error
        if len(refused) == len(self.sources):
            return False  # Then it may be the post that has no insights: the posts themselves will tell.
        for source in refused:
            del self.sources[source]
        self.refused |= refused
        return bool(refused)

    def _leave_out_counts(self, error: JobError) -> Listing:
        """List without the counts that need a permission that the token lacks. The API names none of them."""
        wanted = self.counts
        likely = tuple(name for name in wanted if name not in self._lately)
        attempts: list[tuple[tuple[str, ...], bool]] = [((), self.is_nested), ((), False)]
        if likely != wanted:
            attempts.insert(0, (likely, self.is_nested))
        for counts, is_nested in dict.fromkeys(attempts):
            self.counts, self.is_nested = counts, is_nested
            listing = self._list()
            if not _needs_permission(listing):
                break
        else:
            return listing
        if not listing.error and (likely == wanted or self.counts != likely):
            for name in wanted:
                self.counts = (name,)
                with_it = self._list()
                if not with_it.error:
                    listing = with_it
                    break
            else:
                self.counts = ()
        self.refused |= {name: error for name in wanted if name not in self.counts}
        return listing


def _posts(items: Iterable[object], first: date, last: date) -> dict[str, ListedPost]:
    return listed_posts(items, first, last, published="created_time")


def _content(post: ListedPost, insights: Totals, counts: Collection[str]) -> Content:
    """The post with its totals.

    :param counts: those that were asked for.
    """
    fields = post.fields
    attachments = objects(at(fields, "attachments", "data"))
    permalink = text(fields.get("permalink_url"), 2000)
    video = _VIDEO_IN_PERMALINK.search(permalink or "")
    other_ids = [text(at(attachment, "target", "id"), 200) for attachment in attachments]
    other_ids.append(video[1] if video else None)
    kinds = [*(text(attachment.get("media_type"), 50) for attachment in attachments[:1])]
    kinds += [text(fields.get("status_type"), 50), "post"]
    totals = dict(insights)
    for name in counts:
        if totals.get(name) is None:
            totals[name] = amount(at(fields, name, "summary", "total_count"))
    return Content(
        content_id=post.id,
        published_at=post.published_at,
        kind=next(filter(None, kinds)),
        message=text(fields.get("message"), MAX_MESSAGE_LENGTH),
        permalink=permalink,
        also_known_as=tuple(dict.fromkeys(i for i in other_ids if i and i != post.id)),
        metrics={
            **totals,
            # The API leaves out this count when it is zero, and no other.
            "shares": amount(at(fields, "shares", "count")) if "shares" in fields else Decimal(0),
        },
    )


def _nested_totals(fields: Mapping[str, object], sources: Mapping[str, str]) -> Totals:
    """The totals that came with a listed post; empty for a post that has no insights."""
    items = at(fields, "insights", "data")
    return _totals(items, sources) if isinstance(items, list) else {}


def _totals(items: list[object], sources: Mapping[str, str]) -> Totals:
    """One total for each of ``sources``; None where ``items`` has no number for it."""
    totals: Totals = dict.fromkeys(sources.values())
    for item in objects(items):
        name = sources.get(str(item.get("name")))
        values = objects(item.get("values"))
        if name and values and item.get("period", "lifetime") == "lifetime" and totals[name] is None:
            totals[name] = amount(values[0].get("value"))
    return totals


class _InsightsByPost:
    """Asks post by post, and remembers which metrics the API refuses."""

    def __init__(self, client: GraphClient, sources: dict[str, str], refused: dict[str, JobError]) -> None:
        """
        :param sources: the metrics to ask for; those that are refused are taken out.
        :param refused: gets the refusals.
        """
        self._client = client
        self._sources = sources
        self._refused = refused
        self._first_failure: JobError | None = None
        self._failures = 0
        self._in_a_row = 0

    @property
    def missing(self) -> tuple[str, ...]:
        """How many posts have no totals from their insights, and why, if any."""
        if self._first_failure is None:
            return ()
        reason = as_sentence(self._first_failure.reason)
        return (f"Posts whose insights could not be read: {self._failures}. The first: {reason}",)

    def totals(self, post_id: str) -> Totals:
        """One post's totals from its insights; empty when it has none, or when they cannot be read.

        :raises JobError: for a failure that is about the whole account.
        """
        if not self._sources:
            return {}
        if self._in_a_row == MAX_FAILURES_IN_A_ROW:
            self._failures += 1
            return {}
        totals: Totals = {}
        try:
            try:
                totals = self._request(post_id, self._sources)
            except JobError as error:
                if not _is_about_a_metric(error):
                    raise
                for source, name in list(self._sources.items()):
                    totals |= self._single(post_id, source, name)
        except JobError as error:
            if error.code.ends_reading:
                raise
            log.warning("post without insights", post=post_id, errorCode=error.code, reason=error.reason)
            if error.code not in _HAS_NO_INSIGHTS:
                self._first_failure = self._first_failure or error
                self._failures += 1
                self._in_a_row += 1
                return totals
        self._in_a_row = 0
        return totals

    def _single(self, post_id: str, source: str, name: str) -> Totals:
        try:
            return self._request(post_id, {source: name})
        except JobError as error:
            if error.code not in _HAS_NO_INSIGHTS:
                raise
            if _is_about_a_metric(error):
                self._refused[source] = error
                del self._sources[source]
            return {}

    def _request(self, post_id: str, sources: Mapping[str, str]) -> Totals:
        return _totals(items_of(self._client.get(post_id, "insights", metric=",".join(sources))), sources)


def _is_about_a_metric(error: JobError) -> bool:
    return error.code is ErrorCode.REQUEST_INVALID and is_about_a_metric(error.reason)


def _may_give_less(listing: Listing) -> bool:
    """Whether a listing that broke off may work with fewer fields.

    What the token may read on the first page, it may read on the next ones.
    """
    error = listing.error
    if error is None or may_be_one_item(error):
        return bool(listing.bare)
    is_refusal = error.error_class is ErrorClass.PERMANENT
    return is_refusal and (error.code is ErrorCode.REQUEST_INVALID or not listing.items)


def _needs_permission(listing: Listing) -> bool:
    return listing.error is not None and listing.error.code is ErrorCode.PERMISSION_MISSING
