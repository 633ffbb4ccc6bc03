"""A channel's videos with their totals: https://developers.google.com/youtube/v3/docs/playlistItems/list."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal

import structlog

from include.social_analytics.connectors.reading import (
    Content,
    Posts,
    Window,
    costs_only,
    posts_published,
    unlisted,
)
from include.social_analytics.connectors.youtube import PROVIDER
from include.social_analytics.connectors.youtube.google import GoogleClient
from include.social_analytics.connectors.youtube.reports import rows_of
from include.social_analytics.errors import ErrorCode, JobError
from include.social_analytics.json_values import amount, at, moment, objects, text

log = structlog.get_logger(__name__)

#: The most that the Data API gives in a call.
PAGE_SIZE = 50
#: The most videos that a report takes in a filter.
MAX_IN_FILTER = 500
#: A longer listing is an error of the API: 5,000 videos in four weeks.
MAX_PAGES = 100
#: The totals that the Data API has; shares are in a report.
STATISTICS = {name: source for name, source in PROVIDER.content_metrics.items() if source != "shares"}
MAX_TITLE_LENGTH = 500


@dataclass(frozen=True)
class _Video:
    id: str
    published_at: datetime
    title: str | None

    @property
    def day(self) -> date:
        return self.published_at.astimezone(PROVIDER.timezone).date()


def read_uploads(client: GoogleClient, channel_id: str, window: Window, today: date) -> Posts:
    """The videos that the channel published in the window: two calls for each 50, and one for their shares.

    A failed call costs only what it asked for.

    :param today: the date in the provider's zone.
    :raises JobError: for a failure that is about the whole account (:attr:`ErrorCode.ends_reading`).
    """
    if window.is_past:
        return Posts()
    first = window.first_listed_day
    videos: dict[str, _Video] = {}
    failed: JobError | None = None
    try:
        for found in _pages(client, channel_id, first):
            videos |= {video.id: video for video in found if first <= video.day <= window.day}
    except JobError as error:
        if error.code.ends_reading:
            raise
        log.warning("listing of videos failed", errorCode=error.code, reason=error.reason)
        failed = error
    missing = [*unlisted("videos", failed, some=bool(videos))]
    shown = [video for video in videos.values() if video.day >= window.first_post_day]
    totals: dict[str, dict[str, Decimal | None]] = {video.id: {} for video in shown}
    for some in _batches(shown, PAGE_SIZE):
        with costs_only("The totals of some videos", missing):
            _add_statistics(client, some, totals)
    for some in _batches(shown, MAX_IN_FILTER):
        with costs_only("The shares of some videos", missing):
            _add_shares(client, some, totals, today)
    return Posts(
        content=tuple(
            Content(
                content_id=video.id,
                published_at=video.published_at,
                kind="video",
                message=video.title,
                permalink=f"https://www.youtube.com/watch?v={video.id}",
                metrics=totals[video.id],
            )
            for video in shown
        ),
        published={} if failed else posts_published((video.day for video in videos.values()), window.days),
        missing=tuple(missing),
    )


def _pages(client: GoogleClient, channel_id: str, first: date) -> Iterator[list[_Video]]:
    """The published videos of each page of the channel's uploads, newest first, back to the day ``first``."""
    # Each channel's uploads are a playlist, whose id differs from the channel's in the second letter.
    playlist = f"UU{channel_id[2:]}"
    position: dict[str, str] = {}
    seen: set[str] = set()
    for page in range(MAX_PAGES):
        try:
            body = client.data(
                "playlistItems",
                part="snippet,contentDetails,status",
                playlistId=playlist,
                maxResults=PAGE_SIZE,
                **position,
            )
        except JobError as error:
            if page == 0 and error.provider_code == "playlistNotFound":
                # A channel that never uploaded anything has no such playlist.
                return
            raise
        items = objects(body.get("items"))
        yield [video for item in items if (video := _video(item))]
        token = text(body.get("nextPageToken"), 1000)
        # When the oldest of the page was uploaded and when it was published.
        dates = [
            when.astimezone(PROVIDER.timezone).date()
            for item in items[-1:]
            for path in (("snippet", "publishedAt"), ("contentDetails", "videoPublishedAt"))
            if (when := moment(at(item, *path)))
        ]
        if token is None or (dates and max(dates) < first):
            return
        if token in seen:
            raise JobError(ErrorCode.RESPONSE_INVALID, "The listing of the videos repeats a page.")
        seen.add(token)
        position = {"pageToken": token}
    raise JobError(ErrorCode.RESPONSE_INVALID, f"The listing of the videos has more than {MAX_PAGES} pages.")


def _video(item: Mapping[str, object]) -> _Video | None:
    """A published video; None for a private one, such as a draft, and for one that is unusable."""
    id_ = text(at(item, "contentDetails", "videoId"), 200)
    when = moment(at(item, "contentDetails", "videoPublishedAt"))
    if id_ is None or when is None or at(item, "status", "privacyStatus") == "private":
        return None
    return _Video(id_, when, text(at(item, "snippet", "title"), MAX_TITLE_LENGTH))


def _add_statistics(
    client: GoogleClient, videos: list[_Video], totals: dict[str, dict[str, Decimal | None]]
) -> None:
    """Add what the Data API counts. A total that the owner hides is absent there, and None here."""
    ids = [video.id for video in videos]
    body = client.data("videos", part="statistics", id=",".join(ids))
    statistics = {str(item.get("id")): item.get("statistics") for item in objects(body.get("items"))}
    for id_ in ids:
        totals[id_] |= {name: count(at(statistics.get(id_), its)) for name, its in STATISTICS.items()}


def _add_shares(
    client: GoogleClient, videos: list[_Video], totals: dict[str, dict[str, Decimal | None]], today: date
) -> None:
    """Add the shares since publication, as far as YouTube has counted them; None for one without a row."""
    body = client.report(
        startDate=str(min(video.day for video in videos)),
        endDate=str(today),
        dimensions="video",
        metrics=PROVIDER.content_metrics["shares"],
        filters=f"video=={','.join(video.id for video in videos)}",
    )
    shares = {str(row.get("video")): amount(row.get("shares")) for row in rows_of(body)}
    for video in videos:
        totals[video.id]["shares"] = shares.get(video.id)


def _batches(videos: list[_Video], size: int) -> Iterable[list[_Video]]:
    return (videos[start : start + size] for start in range(0, len(videos), size))


def count(value: object) -> Decimal | None:
    """A count of the Data API, which writes numbers as text; None for anything else."""
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) <= 18:
        return Decimal(value)
    return None
