"""A stand-in for Google's token address, Data API and Analytics API. Never a deployment's default.

All three are on one host, told apart by path. It follows Google's documentation and others' experience, not
what this package's connector sends.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Collection, Mapping
from datetime import date, timedelta
from typing import Any
from urllib.parse import parse_qs

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from include.sandbox import faults, serving
from include.sandbox.stand_ins.youtube import CLIENT_ID, CLIENT_SECRET
from include.sandbox.stand_ins.youtube.world import (
    PACIFIC,
    REPORT_METRICS,
    Channel,
    Fault,
    Video,
    World,
)

#: Parameters that each method knows.
_ANYWHERE = {"alt", "fields", "key", "prettyPrint", "quotaUser"}
_SLOW = {"estimatedMinutesWatched", "engagedViews"}
#: The number of videos that some faults show at once.
_SHORT_PAGE = 5
_LONG_AGO = timedelta(days=366)


class GoogleError(Exception):
    """An error in the APIs' words."""

    def __init__(
        self, status: int, reason: str, message: str, *, word: str | None = None, detail: str | None = None
    ) -> None:
        super().__init__(message)
        self.status = status
        self._error: dict[str, object] = {
            "code": status,
            "message": message,
            "errors": [{"message": message, "domain": "global", "reason": reason}],
        }
        if word:
            self._error["status"] = word
        if detail:
            info = {"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": detail}
            self._error["details"] = [info | {"domain": "googleapis.com"}]

    def response(self) -> Response:
        """The answer."""
        return JSONResponse({"error": self._error}, self.status)


class TokenError(Exception):
    """An error of the token address."""

    def __init__(self, status: int, error: str, description: str) -> None:
        super().__init__(description)
        self.status, self.error, self.description = status, error, description

    def response(self) -> Response:
        """The answer."""
        return JSONResponse({"error": self.error, "error_description": self.description}, self.status)


def _bad(message: str, reason: str = "badRequest") -> GoogleError:
    return GoogleError(400, reason, message, word="INVALID_ARGUMENT")


_DOWN = GoogleError(500, "backendError", "Backend Error", word="INTERNAL")
_FORBIDDEN = GoogleError(403, "forbidden", "Forbidden", word="PERMISSION_DENIED")
_NOT_SUPPORTED = (
    "The query is not supported. Check the documentation at "
    "https://developers.google.com/youtube/analytics/v2/available_reports for supported queries."
)

#: Faults that give an error for any request to the token address.
_TOKEN_ERRORS: Mapping[str, TokenError] = {
    "token_revoked": TokenError(400, "invalid_grant", "Token has been expired or revoked."),
    "client_unknown": TokenError(401, "invalid_client", "The OAuth client was not found."),
    "client_of_another": TokenError(401, "unauthorized_client", "Unauthorized"),
    "down": TokenError(500, "internal_failure", "Internal failure"),
}

#: Faults that give an error for any request to the APIs.
_ERRORS: Mapping[str, GoogleError] = {
    "access_token_refused": GoogleError(
        401, "authError", "Request had invalid authentication credentials.", word="UNAUTHENTICATED"
    ),
    "permission_missing": GoogleError(
        403, "insufficientPermissions", "Request had insufficient authentication scopes.",
        word="PERMISSION_DENIED", detail="ACCESS_TOKEN_SCOPE_INSUFFICIENT",
    ),
    "channel_gone": GoogleError(403, "youtubeSignupRequired", "Unauthorized"),
    "channel_suspended": GoogleError(
        403, "authenticatedUserAccountSuspended", "The account of the authenticated user is suspended."
    ),
    "api_off": GoogleError(
        403, "accessNotConfigured",
        "YouTube Analytics API has not been used in project 1234567890 before or it is disabled.",
        word="PERMISSION_DENIED", detail="SERVICE_DISABLED",
    ),
    "day_quota_spent": GoogleError(
        403, "quotaExceeded",
        'The request cannot be completed because you have exceeded your <a href="/youtube/v3/getting-started'
        '#quota">quota</a>.',
    ),
    "minute_quota_spent": GoogleError(
        429, "rateLimitExceeded",
        "Quota exceeded for quota metric 'Queries' and limit 'Queries per minute per user' of service "
        "'youtubeanalytics.googleapis.com' for consumer 'project_number:1234567890'.",
        word="RESOURCE_EXHAUSTED", detail="RATE_LIMIT_EXCEEDED",
    ),
    "down": _DOWN,
}  # fmt: skip


class GoogleApis(serving.Api):
    """The stand-in, for one world."""

    fault_type = Fault

    def __init__(self, world: World, latency: float = 0.0) -> None:
        """:param latency: the least seconds that each answer takes."""
        super().__init__(world, latency)
        self.world = world

    def account_of(self, request: Request) -> str | None:
        """The id of the channel that a request's token is about."""
        token = _form(request).get("refresh_token", "")
        channel = self.world.by_refresh_token.get(token) or self._owner(request)
        return channel.id if channel else None

    def answer(self, request: Request, fault: faults.Fault | None) -> Response:
        """The answer to a request."""
        fault = fault if isinstance(fault, Fault) else None
        try:
            return JSONResponse(self._answer(request, fault))
        except (GoogleError, TokenError) as error:
            response = error.response()
            if fault and fault.retry_after is not None:
                response.headers["Retry-After"] = str(fault.retry_after)
            return response

    def _answer(self, request: Request, fault: Fault | None) -> dict[str, Any]:
        path = serving.path_of(request)
        if path == "/token":
            return self._token(request, fault)
        channel = self._owner(request)
        if channel is None:
            raise _ERRORS["access_token_refused"]
        if fault and fault.kind in _ERRORS:
            raise _ERRORS[fault.kind]
        ask = _Ask(self.world, channel, request, fault)
        match request.method, path:
            case "GET", "/v2/reports":
                return ask.report()
            case "GET", "/youtube/v3/channels":
                return ask.channels()
            case "GET", "/youtube/v3/playlistItems":
                return ask.playlist_items()
            case "GET", "/youtube/v3/videos":
                return ask.videos()
        raise GoogleError(404, "notFound", "Requested entity was not found.", word="NOT_FOUND")

    def _owner(self, request: Request) -> Channel | None:
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        return self.world.by_access_token.get(token) if scheme == "Bearer" else None

    def _token(self, request: Request, fault: Fault | None) -> dict[str, Any]:
        form = _form(request)
        if request.method != "POST" or request.url.query:
            raise TokenError(404, "invalid_request", "Not a form that was posted.")
        if form.get("grant_type") != "refresh_token":
            raise TokenError(400, "unsupported_grant_type", f"Invalid grant_type: {form.get('grant_type')}")
        if (form.get("client_id"), form.get("client_secret")) != (CLIENT_ID, CLIENT_SECRET):
            raise _TOKEN_ERRORS["client_unknown"]
        if fault and fault.kind in _TOKEN_ERRORS:
            raise _TOKEN_ERRORS[fault.kind]
        channel = self.world.by_refresh_token.get(form.get("refresh_token", ""))
        if channel is None:
            raise TokenError(400, "invalid_grant", "Bad Request")
        return {
            "access_token": self.world.access_token(channel),
            "expires_in": 3599,
            "scope": "https://www.googleapis.com/auth/youtube.readonly "
            "https://www.googleapis.com/auth/yt-analytics.readonly",
            "token_type": "Bearer",
        }


class _Ask:
    """One request with a channel's access token."""

    def __init__(self, world: World, channel: Channel, request: Request, fault: Fault | None) -> None:
        self._world, self._channel, self._fault = world, channel, fault
        self._query = request.query_params
        self._kind = fault.kind if fault else None

    def report(self) -> dict[str, Any]:
        known = {"ids", "startDate", "endDate", "metrics", "dimensions", "filters", "sort", "maxResults"}
        self._knows(known | {"startIndex", "currency", "includeHistoricalChannelData"})
        for name in ("ids", "startDate", "endDate", "metrics"):
            if name not in self._query:
                raise _bad(f"The request is missing a required parameter: {name}.")
        if self._query["ids"] not in ("channel==MINE", f"channel=={self._channel.id}"):
            raise _FORBIDDEN
        if self._kind == "reports_down":
            raise _DOWN
        first, last = self._day("startDate"), self._day("endDate")
        if first > last:
            raise _bad("Invalid value at 'parameters.end-date': the end is before the start.")
        metrics = self._metrics()
        if self._kind == "slow_metrics_refused" and _SLOW & set(metrics):
            raise _FORBIDDEN
        dimension = self._query.get("dimensions", "")
        if dimension == "day" and "filters" not in self._query:
            rows = self._by_day(metrics, first, last)
        elif dimension == "video" and (ids := self._filtered()):
            if set(metrics) - {"views", "likes", "comments", "shares"}:
                raise _bad(_NOT_SUPPORTED)
            rows = self._by_video(metrics, ids)
        else:
            raise _bad(_NOT_SUPPORTED)
        names = [(dimension, "DIMENSION", "STRING"), *((name, "METRIC", "INTEGER") for name in metrics)]
        answer: dict[str, Any] = {
            "kind": "youtubeAnalytics#resultTable",
            "columnHeaders": [
                {"name": name, "columnType": column, "dataType": its_type} for name, column, its_type in names
            ],
        }
        return answer | ({"rows": rows} if rows else {})

    def _metrics(self) -> list[str]:
        metrics = self._query["metrics"].split(",")
        retired = self._fault.metric if self._fault else None
        for metric in metrics:
            if metric not in REPORT_METRICS or metric == retired:
                raise _bad(f"Unknown identifier ({metric}) given in field parameters.metrics.")
        return metrics

    def _by_day(self, metrics: list[str], first: date, last: date) -> list[list[object]]:
        """A row for each day, as far as all metrics are computed; none for a day without anything."""
        is_late = self._kind == "not_published"
        is_late |= self._kind == "slow_metrics_late" and bool(_SLOW & set(metrics))
        # A run is due two hours after its day, and the day before must still be late then.
        counted = self._world.now() - (timedelta(hours=26) if is_late else timedelta())
        end = counted.astimezone(PACIFIC).date() - timedelta(days=1)
        rows: list[list[object]] = []
        if self._kind == "no_rows":
            return rows
        for day in (first + timedelta(days=n) for n in range((min(last, end) - first).days + 1)):
            values = [self._world.value(self._channel.id, metric, day) for metric in metrics]
            if any(values) or self._kind == "zeros_given":
                rows.append([day.isoformat(), *values])
        return rows

    def _by_video(self, metrics: list[str], ids: list[str]) -> list[list[object]]:
        """A row for each video of the channel to which something happened."""
        totals = {"views": "viewCount", "likes": "likeCount", "comments": "commentCount", "shares": "shares"}
        rows: list[list[object]] = []
        for video in self._own(ids).values():
            values = [self._world.total(video, totals[metric]) for metric in metrics]
            if any(values):
                rows.append([video.id, *values])
        return rows

    def channels(self) -> dict[str, Any]:
        self._knows({"part", "id", "mine", "maxResults", "pageToken", "forHandle", "hl"})
        self._parts({"id", "snippet", "contentDetails", "statistics", "status"})
        ids = self._query.get("id", "").split(",")
        if "mine" not in self._query and "id" not in self._query:
            raise _bad("No filter selected. Expected one of: id, mine, forHandle", "missingRequiredParameter")
        if "mine" not in self._query and self._channel.id not in ids:
            return self._list("channel", [], 0)
        hidden = self._channel.hides_subscribers
        statistics = {
            "viewCount": "1234567",
            "subscriberCount": "0" if hidden else str(self._world.subscribers(self._channel.id)),
            "hiddenSubscriberCount": hidden,
            "videoCount": "321",
        }
        item = {"kind": "youtube#channel", "id": self._channel.id, "statistics": statistics}
        return self._list("channel", [item], 1)

    def playlist_items(self) -> dict[str, Any]:
        self._knows({"part", "id", "playlistId", "maxResults", "pageToken", "videoId"})
        self._parts({"id", "snippet", "contentDetails", "status"})
        limit = self._query.get("maxResults", "5")
        if not limit.isdigit() or int(limit) > 50:
            raise _bad("Invalid value for maxResults: values must be within the range: [0, 50]")
        if self._kind == "uploads_refused":
            raise GoogleError(403, "playlistItemsNotAccessible", "The playlist items are not accessible.")
        if self._kind == "uploads_down":
            raise _DOWN
        gone = GoogleError(
            404, "playlistNotFound", "The playlist identified with the playlistId parameter cannot be found."
        )
        if self._query.get("playlistId") != f"UU{self._channel.id[2:]}" or self._kind == "no_uploads":
            raise gone
        videos = self._world.uploads(self._channel.id, self._world.today - _LONG_AGO, self._world.today)
        is_short = self._kind in ("short_pages", "lost_page", "repeated_page")
        size = min(int(limit), _SHORT_PAGE) if is_short else int(limit)
        start = self._offset()
        if self._kind == "lost_page" and start:
            raise gone
        if self._kind == "repeated_page":
            start = min(start, size)
        answer = self._list("playlistItem", [_item(one) for one in videos[start : start + size]], len(videos))
        if start + size < len(videos):
            answer["nextPageToken"] = _cursor(start + size)
        if self._kind == "foreign_next":
            answer["nextPageToken"] = "http://attacker.invalid/steal"
        return answer

    def videos(self) -> dict[str, Any]:
        self._knows({"part", "id", "chart", "hl", "myRating"})
        self._parts({"id", "snippet", "contentDetails", "statistics", "status", "liveStreamingDetails"})
        ids = self._query.get("id", "").split(",")
        if len(ids) > 50 or ids == [""]:
            raise _bad("The request specifies an invalid filter parameter.", "invalidFilters")
        if self._kind == "videos_down":
            raise _DOWN
        items = []
        for video in self._own(ids).values():
            shown = [name for name in ("viewCount", "likeCount", "commentCount") if name not in video.hidden]
            statistics = {name: str(self._world.total(video, name)) for name in shown}
            items.append(
                {
                    "kind": "youtube#video",
                    "id": video.id,
                    "statistics": {**statistics, "favoriteCount": "0"},
                }
            )
        return self._list("video", items, len(items))

    def _own(self, ids: Collection[str]) -> dict[str, Video]:
        videos = self._world.uploads(self._channel.id, self._world.today - _LONG_AGO, self._world.today)
        return {video.id: video for video in videos if video.id in ids}

    def _filtered(self) -> list[str]:
        name, _, ids = self._query.get("filters", "").partition("==")
        found = ids.split(",") if ids else []
        if name != "video" or len(found) > 500:
            raise _bad(_NOT_SUPPORTED)
        return found

    def _knows(self, parameters: set[str]) -> None:
        for name in set(self._query) - parameters - _ANYWHERE:
            raise _bad(
                f'Invalid JSON payload received. Unknown name "{name}": Cannot bind query parameter. Field '
                f"'{name}' could not be found in request message."
            )

    def _parts(self, known: set[str]) -> None:
        parts = self._query.get("part", "").split(",")
        if unknown := [part for part in parts if part not in known]:
            raise _bad(f"'{unknown[0]}'", "unknownPart")

    def _day(self, name: str) -> date:
        given = self._query[name]
        if not re.fullmatch(r"\d{4}-\d\d-\d\d", given):
            raise _bad(f"Invalid value at 'parameters.{name}': {given}")
        try:
            return date.fromisoformat(given)
        except ValueError:
            raise _bad(f"Invalid value at 'parameters.{name}': {given}") from None

    def _offset(self) -> int:
        given = self._query.get("pageToken", "")
        try:
            return int(base64.urlsafe_b64decode(given.encode()).decode() or 0)
        except ValueError:
            raise _bad("The request specifies an invalid page token.", "invalidPageToken") from None

    @staticmethod
    def _list(kind: str, items: list[dict[str, Any]], total: int) -> dict[str, Any]:
        """A list; the key ``items`` is absent when there is none."""
        answer: dict[str, Any] = {
            "kind": f"youtube#{kind}ListResponse",
            "pageInfo": {"totalResults": total, "resultsPerPage": len(items)},
        }
        return answer | ({"items": items} if items else {})


def _item(video: Video) -> dict[str, Any]:
    """An entry of the uploads. A private video has no date of publication."""
    when = video.published_at.strftime("%Y-%m-%dT%H:%M:%SZ")
    return {
        "kind": "youtube#playlistItem",
        "snippet": {"publishedAt": when, "channelId": video.channel_id, "title": video.title},
        "contentDetails": {"videoId": video.id} | ({} if video.is_private else {"videoPublishedAt": when}),
        "status": {"privacyStatus": "private" if video.is_private else "public"},
    }


def _form(request: Request) -> dict[str, str]:
    if not request.headers.get("Content-Type", "").startswith("application/x-www-form-urlencoded"):
        return {}
    return {name: values[0] for name, values in parse_qs(request.state.body.decode("latin-1")).items()}


def _cursor(position: int) -> str:
    return base64.urlsafe_b64encode(f"{position:06}".encode()).decode()
