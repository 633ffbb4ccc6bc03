"""A stand-in for the Threads API: it answers and refuses like Meta's. Never a deployment's default.

It follows Meta's documentation and others' experience, not what this package's connector sends.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Collection, Mapping
from datetime import UTC, date, datetime, time, timedelta
from secrets import token_urlsafe
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from include.sandbox import faults, serving
from include.sandbox.stand_ins.threads.world import (
    PACIFIC,
    POST_METRICS,
    PROFILE_METRICS,
    Fault,
    Post,
    Profile,
    World,
)

VERSION = "v1.0"
_PROFILE_FIELDS = {"id", "username", "name", "threads_profile_picture_url", "threads_biography"}
_POST_FIELDS = {
    "id", "media_product_type", "media_type", "permalink", "owner", "username", "text", "timestamp",
    "shortcode", "is_quote_post", "topic_tag",
}  # fmt: skip
_ANYWHERE = {"access_token", "appsecret_proof", "locale"}
#: 13 April 2024, 00:00 in Los Angeles. Threads counts nothing before it.
_FIRST_MOMENT = 1_712_991_600
#: The number of posts that some faults show at once.
_SHORT_PAGE = 5


class ThreadsError(Exception):
    """An error in the API's words."""

    def __init__(self, message: str, code: int, *, subcode: int | None = None, status: int = 400) -> None:
        super().__init__(message)
        self.status = status
        self._error: dict[str, object] = {"message": message, "type": "THApiException", "code": code}
        if subcode is not None:
            self._error["error_subcode"] = subcode

    def response(self) -> Response:
        """The answer; each has a new trace id."""
        return JSONResponse({"error": {**self._error, "fbtrace_id": f"A{token_urlsafe(16)}"}}, self.status)


def _gone(object_id: str) -> ThreadsError:
    return ThreadsError(
        f"Unsupported get request. Object with ID '{object_id}' does not exist, cannot be loaded due to "
        "missing permissions, or does not support this operation",
        100,
        subcode=33,
    )


_NO_PERMISSION = ThreadsError("Application does not have permission for this action", 10, status=500)
_UNKNOWN = ThreadsError("An unknown error has occurred.", 1, status=500)
_DOWN = ThreadsError("An unexpected error has occurred. Please retry your request later.", 2, status=500)

#: Faults that give an error for any request.
_ERRORS: Mapping[str, ThreadsError] = {
    "token_revoked": ThreadsError(
        "Error validating access token: The session has been invalidated because the user changed their "
        "password or Facebook has changed the session for security reasons.", 190, subcode=460, status=401,
    ),
    "token_expired": ThreadsError(
        "Error validating access token: Session has expired on Monday, 02-Nov-26 10:00:00 PST.",
        190, subcode=463, status=401,
    ),
    "permission_missing": _NO_PERMISSION,
    "app_off": ThreadsError("Error validating application. Application has been deleted.", 190),
    "profile_throttled": ThreadsError("(#17) User request limit reached", 17, status=403),
    "down": _DOWN,
}  # fmt: skip


class ThreadsApi(serving.Api):
    """The stand-in, for one world."""

    fault_type = Fault

    def __init__(self, world: World, latency: float = 0.0) -> None:
        """:param latency: the least seconds that each answer takes."""
        super().__init__(world, latency)
        self.world = world

    def account_of(self, request: Request) -> str | None:
        """The id of the profile that a request is about."""
        object_id = (serving.path_of(request).split("/") + [""] * 3)[2]
        post = self.world.find_post(object_id)
        profile_id = post.profile_id if post else object_id
        return profile_id if profile_id in self.world.profiles else None

    def answer(self, request: Request, fault: faults.Fault | None) -> Response:
        """The answer to a request."""
        fault = fault if isinstance(fault, Fault) else None
        try:
            response: Response = JSONResponse(self._answer(request, fault))
        except ThreadsError as error:
            response = error.response()
        if fault and fault.kind == "profile_throttled":
            response.headers["Retry-After"] = "600"
        return response

    def _answer(self, request: Request, fault: Fault | None) -> dict[str, Any]:
        version, object_id, *edges = serving.path_of(request).strip("/").split("/") + [""] * 2
        edge = "/".join(filter(None, edges))
        if request.method != "GET" or version != VERSION:
            raise ThreadsError(f"Unknown path components: /{object_id}", 2500)
        profile = self._authenticated(request)
        if fault and fault.kind in _ERRORS:
            raise _ERRORS[fault.kind]
        post = self.world.find_post(object_id)
        owner = post.profile_id if post else object_id.replace("me", profile.id)
        if owner != profile.id or (fault and fault.kind == "object_gone"):
            raise _gone(object_id)
        ask = _Ask(self.world, profile, request, fault)
        match (post, edge):
            case (None, ""):
                return ask.profile()
            case (None, "threads_insights"):
                return ask.profile_insights()
            case (None, "threads"):
                return ask.posts()
            case (Post(), ""):
                return ask.post(post)
            case (Post(), "insights"):
                return ask.post_insights(post)
        raise ThreadsError(f"Unknown path components: /{edge}", 2500)

    def _authenticated(self, request: Request) -> Profile:
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() not in ("bearer", "oauth"):
            token = request.query_params.get("access_token", "")
        profile = self.world.profile_of(token)
        if profile is None:
            raise ThreadsError("Invalid OAuth access token - Cannot parse access token", 190, status=401)
        if "appsecret_proof" in request.query_params:
            raise ThreadsError("Invalid appsecret_proof provided in the API argument", 100)
        return profile


class _Ask:
    """One request about a profile or one of its posts."""

    def __init__(self, world: World, profile: Profile, request: Request, fault: Fault | None) -> None:
        self._world, self._profile, self._request, self._fault = world, profile, request, fault
        self._query = request.query_params
        self._kind = fault.kind if fault else None

    def profile(self) -> dict[str, Any]:
        self._knows({"fields"})
        known = {"id": self._profile.id, "username": self._profile.name.lower().replace(" ", "_")}
        return {name: known[name] for name in self._fields(_PROFILE_FIELDS) if name in known} | {
            "id": self._profile.id
        }

    def profile_insights(self) -> dict[str, Any]:
        self._knows({"metric", "period", "since", "until", "breakdown"})
        metrics = self._metrics(PROFILE_METRICS)
        if "period" not in self._query:
            raise ThreadsError("(#100) The period param is required", 100)
        if self._query["period"] != "day":
            raise ThreadsError("(#100) period must be one of the following values: day, lifetime", 100)
        now = self._world.now()
        since = self._moment("since", now - timedelta(days=1))
        until = self._moment("until", now)
        if since.timestamp() < _FIRST_MOMENT or since > until:
            raise ThreadsError(f"(#100) since must be at least {_FIRST_MOMENT} and not after until", 100)
        if self._kind == "no_insights":
            return {"data": [], "paging": {}}
        if self._kind == "unknown_error":
            raise _UNKNOWN
        if "likes" in metrics and self._kind in ("totals_refused", "totals_down"):
            raise _NO_PERMISSION if self._kind == "totals_refused" else _DOWN
        width = until - since
        return {
            "data": [self._profile_metric(metric, since, until) for metric in metrics],
            "paging": {
                "previous": self._link(since=_unix(since - width), until=_unix(since)),
                "next": self._link(since=_unix(until), until=_unix(until + width)),
            },
        }

    def _profile_metric(self, metric: str, since: datetime, until: datetime) -> dict[str, Any]:
        item: dict[str, Any] = {
            "name": metric,
            "period": "day",
            "title": metric,
            "description": metric,
            "id": f"{self._profile.id}/insights/{metric}/day",
        }
        if metric == "views":
            return item | {"values": self._views(since, until)}
        if metric == "followers_count":
            return item | {"total_value": {"value": self._world.followers(self._profile.id)}}
        # Every day that the range touches.
        first, last = since.astimezone(PACIFIC).date(), until.astimezone(PACIFIC).date()
        days = [first + timedelta(days=n) for n in range((last - first).days + 1)]
        total = sum(self._world.value(self._profile.id, metric, day) for day in days)
        if metric == "clicks":
            shares = {"https://shop.example/": total - total // 3, "https://menu.example/": total // 3}
            links = [{"value": value, "link_url": url} for url, value in shares.items() if value]
            return item | {"link_total_values": links}
        return item | {"total_value": {"value": total}}

    def _views(self, since: datetime, until: datetime) -> list[dict[str, Any]]:
        """A value for each day that ends at a midnight in the range, from the one before ``since`` on."""
        # 26 hours: a run is due two hours after its day, and the day before must still be late then.
        late = timedelta(hours=26) if self._kind == "not_published" else timedelta()
        values = []
        day = since.astimezone(PACIFIC).date() - timedelta(days=1)
        while (end := _end(day)) < until and end <= self._world.now() - late:
            value = self._world.value(self._profile.id, "views", day)
            if value or self._kind != "quiet_days_left_out":
                values.append({"value": value, "end_time": _timestamp(end)})
            day += timedelta(days=1)
        return values

    def posts(self) -> dict[str, Any]:
        self._knows({"fields", "since", "until", "limit", "before", "after"})
        fields = self._fields(_POST_FIELDS)
        limit = self._query.get("limit", "25")
        if not limit.isdigit() or not 1 <= int(limit) <= 100:
            raise ThreadsError("(#100) Param limit must be an integer from 1 to 100", 100)
        if self._kind == "posts_refused":
            raise _NO_PERMISSION
        if self._kind == "posts_down":
            raise _DOWN
        since = self._moment("since", datetime.fromtimestamp(_FIRST_MOMENT, UTC))
        until = self._moment("until", self._world.now())
        first, last = since.astimezone(PACIFIC).date(), until.astimezone(PACIFIC).date()
        posts = [
            post
            for post in self._world.listed(self._profile.id, first, last)
            if since <= post.published_at < until
        ]
        is_short = self._kind in ("short_pages", "next_left_out", "lost_page", "repeated_page")
        size = min(int(limit), _SHORT_PAGE) if is_short else int(limit)
        start = self._offset()
        if self._kind == "lost_page" and start > 0:
            raise _gone(self._profile.id)
        if self._kind == "repeated_page":
            start = min(start, (len(posts) - 1) // size * size)
        shown = posts[start : start + size]
        answer: dict[str, Any] = {"data": [self._post_fields(post, fields) for post in shown]}
        if shown:
            after = _cursor(start + size)
            answer["paging"] = {"cursors": {"before": _cursor(start), "after": after}}
            if start + size < len(posts) and self._kind not in ("next_left_out", "repeated_page"):
                answer["paging"]["next"] = self._link(after=after)
            if self._kind == "foreign_next":
                answer["paging"]["next"] = f"http://attacker.invalid/steal?access_token={self._profile.token}"
        return answer

    def post(self, post: Post) -> dict[str, Any]:
        self._knows({"fields"})
        return self._post_fields(post, self._fields(_POST_FIELDS))

    def post_insights(self, post: Post) -> dict[str, Any]:
        self._knows({"metric", "period", "since", "until"})
        if "clicks" in self._query.get("metric", "").split(","):
            raise _UNKNOWN
        metrics = self._metrics(POST_METRICS)
        if self._kind == "post_insights_down":
            raise _DOWN
        if self._fault and self._kind == "bad_post" and self._fault.post == post.id:
            raise ThreadsError("(#100) Insights are not available for this media", 100)
        if post.is_repost:
            return {"data": []}
        return {
            "data": [
                {
                    "name": metric,
                    "period": "lifetime",
                    "values": [{"value": self._world.post_value(post, metric)}],
                    "title": metric,
                    "description": metric,
                    "id": f"{post.id}/insights/{metric}/lifetime",
                }
                for metric in metrics
            ]
        }

    def _knows(self, parameters: set[str]) -> None:
        if unknown := set(self._query) - parameters - _ANYWHERE:
            raise ThreadsError(f"(#100) Unknown parameters: {', '.join(sorted(unknown))}", 100)

    def _fields(self, known: Collection[str]) -> list[str]:
        fields = self._query.get("fields", "id").split(",")
        for name in fields:
            if name not in known:
                raise ThreadsError(f"(#100) Tried accessing nonexisting field ({name})", 100)
        return fields

    def _metrics(self, known: Collection[str]) -> list[str]:
        metrics = self._query.get("metric", "").split(",")
        hit = self._fault.metric if self._fault and self._fault.metric in metrics else None
        if hit and self._kind == "metric_broken":
            raise _UNKNOWN
        there_are = [metric for metric in known if metric != hit]
        for at, metric in enumerate(metrics):
            if metric not in there_are:
                raise ThreadsError(
                    f"(#100) metric[{at}] must be one of the following values: {', '.join(there_are)}", 100
                )
        return metrics

    def _moment(self, name: str, default: datetime) -> datetime:
        given = self._query.get(name)
        if given is None:
            return default
        if not re.fullmatch(r"\d{1,10}", given):
            raise ThreadsError(f"(#100) Param {name} must be a Unix time", 100)
        return datetime.fromtimestamp(int(given), UTC)

    def _offset(self) -> int:
        try:
            return int(base64.urlsafe_b64decode(self._query.get("after", "").encode()).decode() or 0)
        except ValueError:
            raise ThreadsError("(#100) Invalid cursor", 100) from None

    def _link(self, **changes: object) -> str:
        """A complete URL. As at Meta, it holds the caller's token."""
        changes["access_token"] = self._profile.token
        return str(self._request.url.include_query_params(**changes))

    def _post_fields(self, post: Post, fields: Collection[str]) -> dict[str, Any]:
        code = base64.urlsafe_b64encode(post.id.encode()).decode().strip("=")[-11:]
        known: dict[str, Any] = {
            "media_product_type": "THREADS",
            "media_type": post.media_type,
            "permalink": f"https://www.threads.com/@studio/post/{code}",
            "shortcode": code,
            "text": post.text,
            "timestamp": _timestamp(post.published_at),
            "is_quote_post": False,
        }
        return {name: known[name] for name in fields if known.get(name) is not None} | {"id": post.id}


def _end(day: date) -> datetime:
    """The end of a Pacific day, as in ``end_time``: 07:00 or 08:00 UTC."""
    return datetime.combine(day + timedelta(days=1), time(), PACIFIC).astimezone(UTC)


def _cursor(position: int) -> str:
    return base64.urlsafe_b64encode(f"{position:012}".encode()).decode()


def _unix(moment: datetime) -> int:
    return int(moment.timestamp())


def _timestamp(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S+0000")
