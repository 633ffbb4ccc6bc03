"""A stand-in for the Graph API's part about Instagram: it answers and refuses like Meta's.

It follows Meta's documentation and others' experience, not what this package's connector sends. It is both
hosts: below ``/graph.instagram.com`` it is Instagram's own, elsewhere Facebook's. Each host accepts only the
tokens of its own login.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, time, timedelta
from secrets import token_urlsafe
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from include.sandbox import faults, serving
from include.sandbox.stand_ins.instagram import INSTAGRAM_HOST
from include.sandbox.stand_ins.instagram.world import (
    ACCOUNT_METRICS,
    FOLLOW_TYPES,
    PACIFIC,
    STANDALONE,
    Fault,
    InstagramAccount,
    Medium,
    World,
)

_ACCOUNT_FIELDS = {"id", "name", "username", "followers_count", "follows_count", "media_count", "insights"}
_MEDIA_FIELDS = {
    "id", "caption", "media_type", "media_product_type", "permalink", "shortcode", "timestamp", "like_count",
    "comments_count", "is_shared_to_feed", "media_url", "thumbnail_url", "username", "insights",
}  # fmt: skip
_SERIES = {"reach", "follower_count"}
_BY_FOLLOW_TYPE = {"reach", "follows_and_unfollows"}
_MAX_SECONDS = 30 * 24 * 3600
_VERSION = re.compile(r"v\d+\.\d+")
_FIELD = re.compile(r"(?P<name>\w+)(?P<rest>(?:\.\w+\([^()]*\))*)$")


class ApiError(Exception):
    """An error in the API's words. Its type names the host, not the fault."""

    def __init__(
        self,
        message: str,
        code: int,
        *,
        subcode: int | None = None,
        status: int = 400,
        transient: bool | None = None,
    ) -> None:
        super().__init__(message)
        self._status = status
        optional = {"error_subcode": subcode, "is_transient": transient}
        self._error = {"message": message, "code": code} | {
            name: value for name, value in optional.items() if value is not None
        }

    def response(self, *, own_host: bool) -> Response:
        """The answer of a host; each has a new trace id."""
        error = {
            **self._error,
            "type": "IGApiException" if own_host else "OAuthException",
            "fbtrace_id": f"A{token_urlsafe(16)}",
        }
        return JSONResponse({"error": error}, self._status)


def _gone(object_id: str) -> ApiError:
    return ApiError(
        f"Unsupported get request. Object with ID '{object_id}' does not exist, cannot be loaded due to "
        "missing permissions, or does not support this operation. Please read the Graph API documentation "
        "at https://developers.facebook.com/docs/graph-api",
        100,
        subcode=33,
    )


_NO_PERMISSION = ApiError("(#10) Application does not have permission for this action", 10, status=403)
#: Faults that give an error for any request.
_ERRORS: Mapping[str, ApiError] = {
    "token_revoked": ApiError(
        "Error validating access token: The session has been invalidated because the user changed their "
        "password or Facebook has changed the session for security reasons.", 190, subcode=460, status=401,
    ),
    "checkpoint": ApiError(
        "Error validating access token: You cannot access the app till you log in to www.instagram.com and "
        "follow the instructions given.", 190, subcode=459,
    ),
    "permission_denied": _NO_PERMISSION,
    "app_off": ApiError("Error validating application. Application has been deleted.", 190),
    "throttled": ApiError(
        "(#80002) There have been too many calls to this Instagram account. Wait a bit and try again.", 80002
    ),
    "down": ApiError("An unexpected error has occurred. Please retry your request later.", 2, status=500,
                     transient=True),
}  # fmt: skip
_TOO_OLD = ApiError(
    "Invalid parameter: The media was posted before the most recent time that the user's account was "
    "converted to a business account from a personal account.", 100, subcode=2108006,
)  # fmt: skip
_FEW_VIEWERS = ApiError("(#10) Not enough viewers for the media to show insights", 10)


class InstagramApi(serving.Api):
    """The stand-in, for one world."""

    fault_type = Fault

    def __init__(self, world: World, latency: float = 0.0) -> None:
        """:param latency: the least seconds that each answer takes."""
        super().__init__(world, latency)
        self.world = world

    def account_of(self, request: Request) -> str | None:
        """The id of the account that a request is about."""
        segments = _segments(request)[1]
        medium = self.world.find_medium(segments[0]) if segments else None
        account_id = medium.account_id if medium else "".join(segments[:1])
        return account_id if account_id in self.world.accounts else None

    def answer(self, request: Request, fault: faults.Fault | None) -> Response:
        """The answer of the host that was asked."""
        fault = fault if isinstance(fault, Fault) else None
        own_host, segments = _segments(request)
        try:
            response: Response = JSONResponse(self._answer(request, own_host, segments, fault))
        except ApiError as error:
            response = error.response(own_host=own_host)
        if fault and fault.kind == "throttled":
            usage = {"type": "instagram", "call_count": 100, "total_cputime": 25, "total_time": 25}
            response.headers["X-Business-Use-Case-Usage"] = json.dumps(
                {segments[0]: [usage | {"estimated_time_to_regain_access": fault.minutes}]}
            )
        return response

    def _answer(
        self, request: Request, own_host: bool, segments: list[str], fault: Fault | None
    ) -> dict[str, Any]:
        if request.method != "GET":
            raise ApiError("(#3) Application does not have the capability to make this API call.", 3)
        if not 1 <= len(segments) <= 2:
            raise ApiError(f"Unknown path components: /{'/'.join(segments[1:])}", 2500)
        owner = self._authenticated(request, own_host)
        medium = self.world.find_medium(segments[0])
        account = self.world.accounts.get(medium.account_id if medium else segments[0])
        if account != owner or (fault and fault.kind == "object_gone"):
            raise _gone(segments[0])
        if fault and fault.kind in _ERRORS:
            raise _ERRORS[fault.kind]
        ask = _Ask(self.world, owner, request, fault)
        edges: dict[str, Callable[[], dict[str, Any]]] = {
            "": ask.account,
            "insights": ask.insights,
            "media": ask.media,
            "stories": ask.stories,
        }
        if medium:
            edges = {"": lambda: ask.medium(medium), "insights": lambda: ask.medium_insights(medium)}
        edge = "".join(segments[1:])
        if edge not in edges:
            raise ApiError(f"Unknown path components: /{edge}", 2500)
        return edges[edge]()

    def _authenticated(self, request: Request, own_host: bool) -> InstagramAccount:
        """The account whose token came with the request."""
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() not in ("bearer", "oauth"):
            token = request.query_params.get("access_token", "")
        if not token:
            raise ApiError("An access token is required to request this resource.", 104)
        for account in self.world.accounts.values():
            if account.access_token == token and (account.identifier == STANDALONE) == own_host:
                return account
        raise ApiError("Invalid OAuth access token - Cannot parse access token", 190, status=401)


def _segments(request: Request) -> tuple[bool, list[str]]:
    """Whether Instagram's own host is asked, and the path's segments below the version."""
    segments = [segment for segment in serving.path_of(request).split("/") if segment]
    own_host = segments[:1] == [INSTAGRAM_HOST]
    segments = segments[own_host:]
    return own_host, segments[1:] if segments and _VERSION.fullmatch(segments[0]) else segments


class _Ask:
    """One request about an account or one of its media."""

    def __init__(
        self, world: World, account: InstagramAccount, request: Request, fault: Fault | None
    ) -> None:
        self._world, self._account, self._request, self._fault = world, account, request, fault
        self._query = request.query_params
        self._kind = fault.kind if fault else None

    def account(self) -> dict[str, Any]:
        fields = _fields(self._query.get("fields", "id"), _ACCOUNT_FIELDS, "IGUser")
        known: dict[str, Any] = {
            "name": self._account.name,
            "username": self._account.name,
            "followers_count": self._world.followers(self._account.id),
            "follows_count": 120,
            "media_count": 400,
        }
        if "insights" in fields and (nested := self._insights(fields["insights"]))["data"]:
            known["insights"] = nested
        return {name: known[name] for name in fields if name in known} | {"id": self._account.id}

    def insights(self) -> dict[str, Any]:
        return self._insights(self._query)

    def _insights(self, asked: Mapping[str, str]) -> dict[str, Any]:
        metrics = _metrics(asked, ACCOUNT_METRICS, self._retired("retired_metric"))
        if asked.get("period") != "day":
            raise ApiError("(#100) The period must be day", 100)
        since, until = self._range(asked)
        total, breakdown = asked.get("metric_type") == "total_value", asked.get("breakdown")
        need_total = [metric for metric in metrics if metric not in _SERIES]
        if need_total and not total:
            raise ApiError(
                f"(#100) The following metrics ({', '.join(need_total)}) should be specified with parameter "
                "metric_type=total_value", 100,
            )  # fmt: skip
        if breakdown and (breakdown != "follow_type" or not _BY_FOLLOW_TYPE.issuperset(metrics)):
            raise ApiError(f"(#100) Incompatible breakdown ({breakdown})", 100)
        if total and self._kind == "totals_down":
            raise _ERRORS["down"]
        if self._kind == "no_insights":
            return {"data": []}
        days = self._days(since, until)
        if not total:
            return {
                "data": [self._series(metric, days) for metric in metrics],
                "paging": {"next": self._link(since=int(until.timestamp()))},
            }
        return {
            "data": [self._total(metric, days, breakdown) for metric in metrics if metric != "follower_count"]
        }

    def _series(self, metric: str, days: list[date]) -> dict[str, Any]:
        values = [
            {"value": self._world.value(self._account.id, metric, day), "end_time": _timestamp(_end(day))}
            for day in days
            if self._is_published(day)
        ]
        return {"name": metric, "period": "day", "values": values, "title": metric}

    def _total(self, metric: str, days: list[date], breakdown: str | None) -> dict[str, Any]:
        """A total over the days. Those that are not published count as 0, and the answer does not say so."""
        item: dict[str, Any] = {"name": metric, "period": "day", "title": metric}
        if metric == "follows_and_unfollows":
            if breakdown and self._account.followers >= 100:
                item["total_value"] = {"breakdowns": [self._follows(days)]}
            return item
        total = sum(
            self._world.value(self._account.id, metric, day) for day in days if self._is_published(day)
        )
        if self._kind == "other_hours":
            total = total * 9 // 10 + 1
        return item | {"total_value": {"value": total}}

    def _follows(self, days: list[date]) -> dict[str, Any]:
        late = timedelta(hours=50) if self._kind == "late_follows" else timedelta()
        breakdown: dict[str, Any] = {"dimension_keys": ["follow_type"]}
        if not all(self._is_published(day) and _end(day) <= self._world.now() - late for day in days):
            return breakdown
        counts = {
            kind: sum(self._world.value(self._account.id, kind, day) for day in days) for kind in FOLLOW_TYPES
        }
        results = [{"dimension_values": [kind], "value": count} for kind, count in counts.items() if count]
        return breakdown | {"results": results}

    def _is_published(self, day: date) -> bool:
        # 26 hours: a run is due two hours after its day, and the day before must still be late then.
        late = timedelta(hours=26) if self._kind == "not_published" else timedelta()
        return _end(day) <= self._world.now() - late

    def _days(self, since: datetime, until: datetime) -> list[date]:
        """The days whose end is in the range."""
        day = since.astimezone(PACIFIC).date() - timedelta(days=2)
        found = []
        while _end(day) < until:
            if since <= _end(day):
                found.append(day)
            day += timedelta(days=1)
        return found

    def _range(self, asked: Mapping[str, str]) -> tuple[datetime, datetime]:
        until = _moment(asked.get("until")) or self._world.now()
        since = _moment(asked.get("since")) or until - timedelta(days=1)
        if since > self._world.now():
            raise ApiError("(#100) The parameter since must not be in the future", 100)
        if (until - since).total_seconds() > _MAX_SECONDS:
            raise ApiError(
                "(#100) There cannot be more than 30 days (2592000 s) between since and until", 100
            )
        return since, until

    def media(self) -> dict[str, Any]:
        if self._kind == "media_refused":
            raise _NO_PERMISSION
        if self._kind == "media_down":
            raise _ERRORS["down"]
        until = _moment(self._query.get("until")) or self._world.now()
        since = _moment(self._query.get("since")) or until - timedelta(days=365)
        first, last = since.astimezone(PACIFIC).date(), until.astimezone(PACIFIC).date()
        media = self._world.media(self._account.id, first, last)
        return self._listing([one for one in media if since <= one.published_at < until])

    def stories(self) -> dict[str, Any]:
        if {"since", "until"} & set(self._query):
            raise ApiError("(#100) The stories edge has no since and until", 100)
        return self._listing(self._world.live_stories(self._account.id))

    def _listing(self, media: list[Medium]) -> dict[str, Any]:
        limit = self._query.get("limit", "25")
        if not limit.isdigit() or not 1 <= int(limit) <= 100:
            raise ApiError("(#100) Param limit must be a number between 1 and 100", 100)
        size = min(int(limit), 5 if self._kind in ("short_pages", "lost_page") else 100)
        try:
            start = int(base64.urlsafe_b64decode(self._query.get("after", "") or "MA=="))
        except ValueError:
            raise ApiError("(#100) Invalid cursor", 100) from None
        if self._kind == "lost_page" and start:
            raise _gone(self._account.id)
        fields = _fields(self._query.get("fields", "id"), _MEDIA_FIELDS, "IGMedia")
        shown = media[start : start + size]
        answer: dict[str, Any] = {"data": [self._medium(medium, fields) for medium in shown]}
        if shown:
            after = base64.urlsafe_b64encode(str(start + len(shown)).encode()).decode()
            answer["paging"] = {"cursors": {"before": "MA==", "after": after}}
            if start + len(shown) < len(media):
                answer["paging"]["next"] = self._link(after=after)
            if self._kind == "foreign_next":
                token = self._account.access_token
                answer["paging"]["next"] = f"http://attacker.invalid/steal?access_token={token}"
        return answer

    def medium(self, medium: Medium) -> dict[str, Any]:
        return self._medium(medium, _fields(self._query.get("fields", "id"), _MEDIA_FIELDS, "IGMedia"))

    def medium_insights(self, medium: Medium) -> dict[str, Any]:
        return {"data": self._medium_metrics(medium, self._query)}

    def _medium(self, medium: Medium, fields: Mapping[str, Mapping[str, str]]) -> dict[str, Any]:
        is_reel, is_story = medium.kind == "REELS", medium.kind == "STORY"
        shortcode = f"C{medium.id[-12:]}"
        place = f"stories/{self._account.name}/{medium.id}" if is_story else f"p/{shortcode}"
        known: dict[str, Any] = {
            "caption": medium.caption,
            "media_type": "VIDEO" if is_reel else "IMAGE" if is_story else medium.kind,
            "media_product_type": medium.kind if is_reel or is_story else "FEED",
            "permalink": f"https://www.instagram.com/{'reel/' + shortcode if is_reel else place}/",
            "shortcode": shortcode,
            "timestamp": _timestamp(medium.published_at),
            "like_count": None if self._kind == "hidden_likes" else self._world.medium_value(medium, "likes"),
            "comments_count": self._world.medium_value(medium, "comments"),
            "is_shared_to_feed": is_reel or None,
            "username": self._account.name,
        }
        if "insights" in fields:
            known["insights"] = {"data": self._medium_metrics(medium, fields["insights"])}
        return {name: known[name] for name in fields if known.get(name) is not None} | {"id": medium.id}

    def _medium_metrics(self, medium: Medium, asked: Mapping[str, str]) -> list[dict[str, Any]]:
        metrics = _metrics(asked, medium.metrics, self._retired("retired_on_media"))
        if self._kind == "converted" and medium.kind == "CAROUSEL_ALBUM":
            raise _TOO_OLD
        if self._kind == "few_viewers" and medium.kind == "STORY":
            raise _FEW_VIEWERS
        unsuited = self._fault.metric if self._fault and self._kind == "unsuited" else None
        if unsuited in metrics and medium.kind == "CAROUSEL_ALBUM":
            raise ApiError(
                f"(#100) The Media Insights API does not support the {unsuited} metric for this media "
                "product type.",
                100,
            )
        return [
            {
                "name": metric,
                "period": "lifetime",
                "values": [{"value": self._world.medium_value(medium, metric)}],
                "id": f"{medium.id}/insights/{metric}/lifetime",
            }
            for metric in metrics
        ]

    def _retired(self, kind: str) -> str | None:
        return self._fault.metric if self._fault and self._kind == kind else None

    def _link(self, **changes: object) -> str:
        """A complete URL. As at Meta, it holds the caller's token."""
        changes["access_token"] = self._account.access_token
        return str(self._request.url.include_query_params(**changes))


def _metrics(asked: Mapping[str, str], known: Mapping[str, int], retired: str | None = None) -> list[str]:
    """The metrics that were asked for. A wrong one is refused by its position."""
    if not asked.get("metric"):
        raise ApiError("(#100) The parameter metric is required", 100)
    metrics = [metric.strip() for metric in asked["metric"].split(",")]
    valid = [metric for metric in known if metric != retired]
    for position, metric in enumerate(metrics):
        if metric not in valid:
            raise ApiError(
                f"(#100) metric[{position}] must be one of the following values: {', '.join(valid)}", 100
            )
    return metrics


def _fields(text: str, known: set[str], node: str) -> dict[str, dict[str, str]]:
    """``fields``, split at its top-level commas: name -> its arguments, as in ``insights.metric(reach)``."""
    found = {}
    for part in re.split(r",(?![^()]*\))", text):
        asked = _FIELD.match(part.strip())
        if asked is None:
            raise ApiError(f"Syntax error in the field list near {part[:20]!r}", 2500)
        if asked["name"] not in known:
            raise ApiError(
                f"(#100) Tried accessing nonexisting field ({asked['name']}) on node type ({node})", 100
            )
        found[asked["name"]] = dict(re.findall(r"\.(\w+)\(([^()]*)\)", asked["rest"]))
    return found


def _end(day: date) -> datetime:
    """The end of a Pacific day, as in ``end_time``: 07:00 or 08:00 UTC."""
    return datetime.combine(day + timedelta(days=1), time(), PACIFIC).astimezone(UTC)


def _moment(text: str | None) -> datetime | None:
    if not text:
        return None
    if not re.fullmatch(r"\d{1,10}", text):
        raise ApiError("(#100) since and until must be Unix times", 100)
    return datetime.fromtimestamp(int(text), UTC)


def _timestamp(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S+0000")
