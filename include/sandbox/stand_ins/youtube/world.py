"""Made-up YouTube channels: their figures and videos are the same each time.

Nothing is stored but the access tokens that were given out. Every figure is computed from its channel, metric
and date.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, time, timedelta
from typing import ClassVar
from zoneinfo import ZoneInfo

from include.sandbox import faults
from include.sandbox.faults import Faults

PACIFIC = ZoneInfo("America/Los_Angeles")

#: The metrics of a channel with a typical size for a day.
REPORT_METRICS = {
    "views": 2400,
    "engagedViews": 1500,
    "likes": 130,
    "dislikes": 4,
    "comments": 18,
    "shares": 25,
    "subscribersGained": 21,
    "subscribersLost": 6,
    "estimatedMinutesWatched": 7200,
    "averageViewDuration": 180,
}
#: The lifetime totals of a video, with the typical size for an old one.
VIDEO_METRICS = {"viewCount": 1800, "likeCount": 95, "commentCount": 14, "favoriteCount": 0, "shares": 20}

_TITLES = (
    "How we bake our sourdough",
    "A walk through the new exhibition",
    "Five books for the autumn",
    "Training day: what we do before a race",
    "Q&A: you asked, we answer",
)


@dataclass(frozen=True)
class Channel:
    """A YouTube channel, and what its owner's consent gave Postiz."""

    id: str
    name: str
    #: The access token that Postiz stored. It has expired.
    token: str = field(repr=False)
    refresh_token: str = field(repr=False)
    hides_subscribers: bool = False
    #: Postiz's ``providerIdentifier``.
    identifier: str = "youtube"


@dataclass(frozen=True)
class Video:
    """A video of a channel. A private one may be a draft."""

    id: str
    channel_id: str
    published_at: datetime
    title: str
    is_private: bool = False
    #: Totals that its owner hides.
    hidden: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Fault(faults.Fault):
    """How Google's APIs misbehave.

    :param metric: the metric of ``metric_retired``.
    :param retry_after: seconds in the header of that name.
    """

    KINDS: ClassVar[Mapping[str, str]] = {
        **faults.SERVER_FAULTS,
        "token_revoked": "the refresh token is dead: invalid_grant",
        "client_unknown": "the client is wrong: invalid_client",
        "client_of_another": "the refresh token belongs to another client: unauthorized_client",
        "access_token_refused": "the access token is refused: HTTP 401, authError",
        "permission_missing": "the token lacks a scope: HTTP 403, insufficientPermissions",
        "channel_gone": "the user has no such channel any more: HTTP 403, youtubeSignupRequired",
        "channel_suspended": "the account is suspended: HTTP 403, authenticatedUserAccountSuspended",
        "api_off": "an API is not switched on in the project: HTTP 403, accessNotConfigured",
        "day_quota_spent": "the project's units of the day are used up: HTTP 403, quotaExceeded",
        "minute_quota_spent": "too many calls a minute: HTTP 429, rateLimitExceeded",
        "down": "HTTP 500, backendError; from the token address, internal_failure",
        "reports_down": "each report fails: HTTP 500, backendError",
        "metric_retired": "a report with ``metric`` is refused: HTTP 400, badRequest",
        "slow_metrics_refused": "a report of watch time is refused: HTTP 403, forbidden",
        "not_published": "a day that ended in the last 26 hours is not in the reports yet",
        "no_rows": "a report by day has no rows, whatever happened",
        "slow_metrics_late": "such a day is not in a report of watch time yet",
        "zeros_given": "a quiet day has a row of zeros",
        "uploads_refused": "the listing is refused: HTTP 403, playlistItemsNotAccessible",
        "uploads_down": "the listing fails: HTTP 500, backendError",
        "videos_down": "the videos' totals fail: HTTP 500, backendError",
        "no_uploads": "the channel never uploaded anything: HTTP 404, playlistNotFound",
        "short_pages": "a listing shows five videos at once",
        "lost_page": "as short_pages, and the second page says that the playlist is gone",
        "repeated_page": "as short_pages, and the listing leads to its second page again and again",
        "foreign_next": "a listing leads to another host",
    }

    metric: str | None = None
    retry_after: int | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if (self.kind == "metric_retired") != (self.metric is not None):
            raise ValueError("A metric goes with metric_retired, and only with it.")


class World:
    """Channels by id, their figures, and the active faults."""

    def __init__(
        self, channels: Iterable[Channel], *, now: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        self.channels = {channel.id: channel for channel in channels}
        self.by_refresh_token = {one.refresh_token: one for one in self.channels.values()}
        #: The access tokens that were given out.
        self.by_access_token: dict[str, Channel] = {}
        self.now = now
        self.faults = Faults()
        self._percent: dict[tuple[str, date], int] = {}
        self._given: dict[tuple[str, str, date], int] = {}
        self._more: list[Video] = []

    @property
    def today(self) -> date:
        """The Pacific date."""
        return self.now().astimezone(PACIFIC).date()

    def access_token(self, channel: Channel) -> str:
        """A new access token of a channel's owner."""
        number = len(self.by_access_token)
        token = f"ya29.a0{hashlib.sha256(f'{channel.id}:{number}'.encode()).hexdigest()}{number}"
        self.by_access_token[token] = channel
        return token

    def restate(self, channel_id: str, day: date, percent: int) -> None:
        """Set a day's figures to ``percent`` of their usual value. At 0 the channel has no videos."""
        self._percent[channel_id, day] = percent

    def give(self, channel_id: str, metric: str, day: date, value: int) -> None:
        """Set a figure. It may be negative: YouTube takes back what a removed video had counted."""
        self._given[channel_id, metric, day] = value

    def publish(self, video: Video) -> None:
        """Add a video to those that there are."""
        self._more.append(video)

    def value(self, channel_id: str, metric: str, day: date) -> int:
        """A channel's metric of ``REPORT_METRICS`` for a Pacific day."""
        if (given := self._given.get((channel_id, metric, day))) is not None:
            return given
        size = REPORT_METRICS[metric]
        scale = 20 + _number("size", channel_id) % 180
        noise = 70 + _number("day", channel_id, metric, day.isoformat()) % 60
        return size * scale * noise // 10_000 * self._percent.get((channel_id, day), 100) // 100

    def subscribers(self, channel_id: str) -> int:
        """The number of subscribers now, to three figures."""
        exact = 4_000 * (20 + _number("size", channel_id) % 180) // 100 + (self.today - date(2024, 1, 1)).days
        return int(float(f"{exact:.3g}"))

    def uploads(self, channel_id: str, first: date, last: date) -> list[Video]:
        """What a channel uploaded from ``first`` to ``last`` (Pacific days) and before now, newest first.

        Private videos are among them.
        """
        days = [first + timedelta(days=n) for n in range((min(last, self.today) - first).days + 1)]
        found = [
            video
            for day in days
            for video in _videos_of_day(channel_id, day)
            if video.published_at <= self.now() and self._percent.get((channel_id, day)) != 0
        ]
        found += [
            video
            for video in self._more
            if video.channel_id == channel_id
            and first <= video.published_at.astimezone(PACIFIC).date() <= last
        ]
        return sorted(found, key=lambda video: video.published_at, reverse=True)

    def videos(self, channel_id: str, first: date, last: date) -> list[Video]:
        """As :meth:`uploads`, without the private ones."""
        return [video for video in self.uploads(channel_id, first, last) if not video.is_private]

    def total(self, video: Video, metric: str) -> int:
        """A video's total now. It grows more slowly as the video ages."""
        hours = max((self.now() - video.published_at).total_seconds() / 3600, 0)
        final = VIDEO_METRICS[metric] * (20 + _number(video.id, metric) % 180) / 100
        return int(final * hours / (hours + 30))


def make_channel(number: int, **overrides: object) -> Channel:
    """The ``number``-th channel: an id of 24 characters, a name, and tokens that look like real ones."""
    channel_id = f"UC{number:05}{hashlib.sha256(str(number).encode()).hexdigest()[:17]}"
    digest = hashlib.sha512(f"token:{channel_id}".encode()).hexdigest()
    channel = Channel(
        channel_id, f"Studio {number}", f"ya29.a0A{digest[:100]}", f"1//0g{digest[28:].upper()[:90]}"
    )
    return replace(channel, **overrides)  # type: ignore[arg-type]


def _prefix(channel_id: str) -> str:
    return f"v{channel_id[2:7]}"


def _videos_of_day(channel_id: str, day: date) -> list[Video]:
    seed = _number("videos", channel_id, day.isoformat())
    videos = []
    for n in range((0, 1, 0, 1, 2, 1)[seed % 6]):
        chance = _number(str(seed), str(n))
        videos.append(
            Video(
                # As at YouTube, eleven characters.
                id=f"{_prefix(channel_id)}{(day - date(2020, 1, 1)).days:04}{n}",
                channel_id=channel_id,
                published_at=datetime.combine(day, time(8 + 9 * n, chance % 60), PACIFIC).astimezone(UTC),
                title=_TITLES[chance // 8 % len(_TITLES)],
                is_private=chance % 9 == 0,
                hidden=frozenset(
                    metric
                    for metric, share in {"likeCount": 7, "commentCount": 5}.items()
                    if not chance % share
                ),
            )
        )
    return videos


def _number(*parts: str) -> int:
    return int.from_bytes(hashlib.blake2b("|".join(parts).encode(), digest_size=8).digest())
