"""A stand-in for the Graph API: it answers and refuses like Meta's. Never a deployment's default.

It follows Meta's documentation and others' experience, not what this package's connector sends: it checks
versions, tokens, metrics, fields, limits and ranges, and it pages like the real API.

``python -m include.sandbox.stand_ins.facebook.graph_api --port 8099`` serves the demo's pages alone.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import hmac
import json
import re
import signal
import threading
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, date, datetime, time, timedelta
from secrets import token_urlsafe
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from include.sandbox import faults, serving
from include.sandbox.faults import Faults
from include.sandbox.stand_ins.facebook.world import (
    PACIFIC,
    PAGE_METRICS,
    POST_METRICS,
    VIDEO_METRICS,
    Fault,
    Page,
    Post,
    World,
    make_page,
)

_POST_FIELDS = {
    "id", "created_time", "updated_time", "message", "story", "permalink_url", "status_type", "is_published",
    "shares", "attachments", "comments", "reactions", "insights",
}  # fmt: skip
_PAGE_FIELDS = {"id", "name", "followers_count", "fan_count"}
_VIDEO_FIELDS = {"id", "created_time", "description", "permalink_url"}
_MAX_INSIGHTS_SECONDS = 93 * 24 * 3600
_VERSION = re.compile(r"v\d+\.\d+")
_FIELD = re.compile(r"(?P<name>\w+)(?P<rest>(?:\.\w+\([^()]*\))*)(?:\{(?P<inner>.*)\})?$")


#: The limits of ``since`` and ``until``: before Facebook there is nothing to count.
_FIRST_MOMENT, _LAST_MOMENT = datetime(2004, 2, 4, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC)
#: The wait that the API names for a spent quota, and the lowest usage that it reports.
_REGAIN_MINUTES, _LOW_PERCENT = 30, 25


class GraphError(Exception):
    """An error in the API's words; ``transient`` is None where Meta does not say."""

    def __init__(
        self,
        message: str,
        code: int,
        *,
        subcode: int | None = None,
        status: int = 400,
        transient: bool | None = None,
        type_: str = "OAuthException",
    ) -> None:
        super().__init__(message)
        self.status = status
        optional = {"error_subcode": subcode, "is_transient": transient}
        self._error = {"message": message, "type": type_, "code": code} | {
            name: value for name, value in optional.items() if value is not None
        }

    def response(self) -> Response:
        """The answer; each has a new trace id."""
        return JSONResponse({"error": {**self._error, "fbtrace_id": f"A{token_urlsafe(16)}"}}, self.status)


def _gone(object_id: str) -> GraphError:
    return GraphError(
        f"Unsupported get request. Object with ID '{object_id}' does not exist, cannot be loaded due to "
        "missing permissions, or does not support this operation. Please read the Graph API documentation "
        "at https://developers.facebook.com/docs/graph-api",
        100,
        subcode=33,
        type_="GraphMethodException",
    )


#: Faults that give an error for any request.
_ERRORS: Mapping[str, GraphError] = {
    "token_revoked": GraphError(
        "Error validating access token: The session has been invalidated because the user changed their "
        "password or Facebook has changed the session for security reasons.", 190, subcode=460, status=401,
    ),
    "token_expired": GraphError(
        "Error validating access token: Session has expired on Monday, 02-Nov-26 10:00:00 PST.",
        190, subcode=463, status=400,
    ),
    "permission_missing": GraphError(
        "(#200) Requires pages_read_engagement permission to manage the object", 200, status=403
    ),
    "permission_denied": GraphError(
        "(#10) This endpoint requires the 'read_insights' permission", 10, status=403
    ),
    "app_off": GraphError("Error validating application. Application has been deleted.", 190),
    "account_blocked": GraphError("The action attempted has been deemed abusive", 368),
    "page_throttled": GraphError(
        "(#80001) There have been too many calls to this Page account. Wait a bit and try again.", 80001
    ),
    "page_throttled_32": GraphError("(#32) Page request limit reached", 32, status=403),
    "app_throttled": GraphError("(#4) Application request limit reached", 4, status=403, transient=True),
    "down": GraphError("An unexpected error has occurred. Please retry your request later.", 2, status=500,
                       transient=True),
}  # fmt: skip


_USER_CONTENT = GraphError(
    "(#10) This endpoint requires the 'pages_read_user_content' permission or the 'Page Public Content "
    "Access' feature.",
    10,
)


class Call(serving.Call):
    """A request that reached the Graph API."""

    @property
    def page_id(self) -> str | None:
        """The page that it was about."""
        return self.account_id

    @property
    def token_in_url(self) -> bool:
        """Whether a token was in the URL, where logs show it."""
        return "access_token=" in self.target or "EAAG" in self.target


class GraphApi(serving.Api):
    """The stand-in, for one world."""

    call_type = Call
    fault_type = Fault
    calls: list[Call]  # type: ignore[assignment]

    def __init__(self, world: World, latency: float = 0.0) -> None:
        """:param latency: the least seconds that each answer takes."""
        super().__init__(world, latency)
        self.world = world
        self._spent: Counter[str] = Counter()

    def clear_calls(self) -> None:
        """Forget all calls; all quotas start again."""
        super().clear_calls()
        self._spent.clear()

    def account_of(self, request: Request) -> str | None:
        """The id of the page that a request is about."""
        segments = _segments(request)
        if not segments:
            return None
        post = self.world.find_post(segments[0])
        page_id = post.page_id if post else segments[0]
        return page_id if page_id in self.world.pages else None

    def fault_for(self, account_id: str | None) -> faults.Fault | None:
        """The active fault, or a spent quota."""
        # A refused call counts, too: this makes calls to a spent quota costly.
        spent = self._spend(self.world.pages.get(account_id or ""))
        return super().fault_for(account_id) or spent

    def answer(self, request: Request, fault: faults.Fault | None) -> Response:
        """The answer, with usage headers."""
        fault = fault if isinstance(fault, Fault) else None
        page = self.world.pages.get(self.account_of(request) or "")
        try:
            response = _answer(self.world, request, fault)
        except GraphError as error:
            response = error.response()
        self._add_usage(response, page)
        _add_throttling(response, fault, page)
        return response

    def _spend(self, page: Page | None) -> Fault | None:
        keys = [(Faults.APP, self.world.app_quota, "app_throttled")]
        if page:
            keys.append((page.id, page.quota, "page_throttled"))
        throttled = None
        for key, quota, kind in keys:
            self._spent[key] += 1
            if quota is not None and self._spent[key] > quota:
                throttled = throttled or Fault(kind, minutes=_REGAIN_MINUTES)
        return throttled

    def _add_usage(self, response: Response, page: Page | None) -> None:
        """Add usage headers for the calls so far. They are left out while usage is low."""
        percent = self._spent_percent(Faults.APP, self.world.app_quota)
        if percent >= _LOW_PERCENT:
            _add_app_usage(response, percent)
        if page and (percent := self._spent_percent(page.id, page.quota)) >= _LOW_PERCENT:
            _add_business_usage(response, page, percent, 0)

    def _spent_percent(self, key: str, quota: int | None) -> int:
        return 0 if quota is None else self._spent[key] * 100 // max(quota, 1)


def _segments(request: Request) -> list[str]:
    segments = [segment for segment in serving.path_of(request).split("/") if segment]
    return segments[1:] if segments and _VERSION.fullmatch(segments[0]) else segments


def _add_throttling(response: Response, fault: Fault | None, page: Page | None) -> None:
    """Add the usage headers of a throttled call."""
    if fault is None:
        return
    if fault.kind == "app_throttled":
        _add_app_usage(response, 100)
    if page and (fault.kind == "page_throttled" or (fault.kind == "app_throttled" and fault.minutes)):
        _add_business_usage(response, page, 100, fault.minutes)
    elif fault.kind == "page_throttled_32":
        response.headers["X-Page-Usage"] = json.dumps(
            {"call_count": 99, "total_cputime": 56, "total_time": 60}
        )


def _add_app_usage(response: Response, percent: int) -> None:
    usage = {"call_count": percent, "total_time": 40, "total_cputime": 35}
    response.headers["X-App-Usage"] = json.dumps(usage)


def _add_business_usage(response: Response, page: Page, percent: int, minutes: int) -> None:
    usage = {
        "type": "pages",
        "call_count": percent,
        "total_cputime": 25,
        "total_time": 25,
        "estimated_time_to_regain_access": minutes,
    }
    response.headers["X-Business-Use-Case-Usage"] = json.dumps({page.id: [usage]})


def _answer(world: World, request: Request, fault: Fault | None) -> Response:
    if request.method != "GET":
        raise GraphError("(#3) Application does not have the capability to make this API call.", 3)
    segments = _segments(request)
    if not segments or len(segments) > 2:
        raise GraphError(f"Unknown path components: /{'/'.join(segments[1:])}", 2500)
    token_page = _authenticated(world, request)
    object_id, edge = segments[0], segments[1] if len(segments) == 2 else None
    post = world.find_post(object_id)
    page = world.pages.get(post.page_id if post else object_id)
    if page is None or (fault and fault.kind == "object_gone"):
        raise _gone(object_id)
    if fault and fault.kind in _ERRORS:
        raise _ERRORS[fault.kind]
    if page != token_page:
        raise GraphError("(#200) A page access token of this page is required.", 200, status=403)
    ask = _Ask(world, page, request, fault)
    edges: dict[str | None, Callable[[], dict[str, Any]]]
    if post is None:
        edges = {None: ask.page, "insights": ask.page_insights}
        edges |= dict.fromkeys(("published_posts", "posts", "feed"), ask.posts)
    elif object_id == post.video_id:
        edges = {None: lambda: ask.video(post), "video_insights": lambda: ask.video_insights(post)}
        if edge == "insights":
            raise _nonexisting("insights", "Video")
    else:
        edges = {None: lambda: ask.post(post), "insights": lambda: ask.post_insights(post)}
    if edge not in edges:
        raise GraphError(f"Unknown path components: /{edge}", 2500)
    return JSONResponse(edges[edge]())


def _nonexisting(name: str, node: str) -> GraphError:
    return GraphError(f"(#100) Tried accessing nonexisting field ({name}) on node type ({node})", 100)


def _authenticated(world: World, request: Request) -> Page | None:
    """The page whose token came with the request; None for a user's token."""
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() not in ("bearer", "oauth"):
        token = request.query_params.get("access_token", "")
    if not token:
        raise GraphError("An access token is required to request this resource.", 104)
    page = world.page_of(token)
    if page is None and not world.is_user_token(token):
        raise GraphError(
            "Invalid OAuth access token - Cannot parse access token", 190, subcode=467, status=401
        )
    proof = request.query_params.get("appsecret_proof")
    if proof is None and world.app_secret is None:
        return page
    if proof is None:
        message = "API calls from the server require an appsecret_proof argument"
        raise GraphError(message, 100, type_="GraphMethodException")
    wanted = hmac.new((world.app_secret or "").encode(), token.encode(), hashlib.sha256).hexdigest()
    if world.app_secret is None or not hmac.compare_digest(proof.encode(), wanted.encode()):
        message = "Invalid appsecret_proof provided in the API argument"
        raise GraphError(message, 100, type_="GraphMethodException")
    return page


class _Ask:
    """One request about a page or one of its posts."""

    def __init__(self, world: World, page: Page, request: Request, fault: Fault | None) -> None:
        self._world, self._page, self._request, self._fault = world, page, request, fault
        self._query = request.query_params
        self._kind = fault.kind if fault else None

    def page(self) -> dict[str, Any]:
        fields = self._fields("id,name", _PAGE_FIELDS, "Page")
        followers = self._world.page_value(self._page.id, "page_follows", self._world.now().date())
        known = {
            "id": self._page.id,
            "name": self._page.name,
            "followers_count": followers,
            "fan_count": self._page.likes,
        }
        return {name: known[name] for name in fields} | {"id": self._page.id}

    def page_insights(self) -> dict[str, Any]:
        metrics = self._metrics(PAGE_METRICS)
        if self._query.get("period", "day") != "day":
            raise GraphError("(#100) The stand-in knows the period day only", 100)
        since, until = self._range(default_days=2)
        if until - since > timedelta(seconds=_MAX_INSIGHTS_SECONDS):
            raise GraphError(
                "(#100) There cannot be more than 93 days (8035200 s) between since and until", 100
            )
        # 26 hours: a run is due two hours after its day, and the day before must still be late then.
        late = timedelta(hours=26) if self._kind == "not_published" else timedelta()
        ended = (self._world.now() - late).astimezone(PACIFIC).date() - timedelta(days=1)
        days = []
        day = since.astimezone(PACIFIC).date() - timedelta(days=1)
        while day <= ended:
            if since < _end(day) <= until:
                days.append(day)
            day += timedelta(days=1)
        empty = self._page.likes < 100 or self._kind == "no_insights"
        series = [] if empty else [self._series(metric, days) for metric in metrics]
        width = until - since
        links = {
            "previous": self._link(since=_unix(since - width), until=_unix(since)),
            "next": self._link(since=_unix(until), until=_unix(until + width)),
        }
        return {"data": series, "paging": links}

    def _series(self, metric: str, days: list[date]) -> dict[str, Any]:
        return {
            "name": metric,
            "period": "day",
            "values": [
                {
                    "value": self._world.page_value(self._page.id, metric, day),
                    "end_time": _timestamp(_end(day)),
                }
                for day in days
            ],
            "title": metric,
            "description": metric,
            "id": f"{self._page.id}/insights/{metric}/day",
        }

    def posts(self) -> dict[str, Any]:
        limit = self._integer("limit", 25)
        if not 1 <= limit <= 100:
            raise GraphError("(#100) The parameter limit must be between 1 and 100", 100)
        if self._kind == "reduce_data" and self._fault and limit > self._fault.limit:
            raise GraphError(
                "Please reduce the amount of data you're asking for, then retry your request", 1, status=500
            )
        fields = self._fields("id,created_time,message", _POST_FIELDS, "Post")
        if self._kind == "posts_refused" or (
            self._kind == "counts_refused" and not {"comments", "reactions"}.isdisjoint(fields)
        ):
            raise _USER_CONTENT
        if self._kind == "posts_down":
            raise _ERRORS["down"]
        since, until = self._range(default_days=365)
        first, last = since.astimezone(PACIFIC).date(), until.astimezone(PACIFIC).date()
        posts = [
            post for post in self._world.posts(self._page.id, first, last) if since <= post.created_at < until
        ]
        start = self._offset()
        if self._fault and self._kind == "lost_page":
            limit = min(limit, self._fault.limit)
            if start > 0:
                raise _gone(self._page.id)
        if self._kind == "empty_page" and start == 0 and not self._query.get("after"):
            return {"data": [], "paging": self._cursors(0, 0, more=True)}
        shown = posts[start : start + limit]
        if self._fault and self._kind == "broken_post" and self._fault.post in [post.id for post in shown]:
            raise GraphError("An unknown error occurred", 1, status=500)
        if "insights" in fields and any(self._is_bad(post) for post in shown):
            raise _nonexisting("insights", "Story")
        answer: dict[str, Any] = {"data": [self._post_fields(post, fields) for post in shown]}
        more = start + limit < len(posts)
        if self._kind == "repeated_cursor":
            answer["paging"] = self._cursors(0, 0, more=True)
        elif shown:
            answer["paging"] = self._cursors(start, start + len(shown), more=more)
        if self._kind == "foreign_next" and shown:
            answer["paging"]["next"] = "http://attacker.invalid/steal?access_token=" + self._page.token
        return answer

    def post(self, post: Post) -> dict[str, Any]:
        fields = self._fields("id,created_time,message", _POST_FIELDS, "Post")
        if "insights" in fields and self._is_bad(post):
            raise _nonexisting("insights", "Story")
        return self._post_fields(post, fields)

    def post_insights(self, post: Post) -> dict[str, Any]:
        metrics = self._metrics(POST_METRICS)
        if post.kind == "story" or self._is_bad(post):
            raise _nonexisting("insights", "Story")
        return {"data": [self._post_metric(post, metric) for metric in metrics], "paging": {}}

    def video(self, post: Post) -> dict[str, Any]:
        known = {
            "created_time": _timestamp(post.created_at),
            "description": post.message,
            "permalink_url": f"/reel/{post.video_id}/",
        }
        fields = self._fields("id,created_time,description", _VIDEO_FIELDS, "Video")
        return {name: known[name] for name in fields if known.get(name)} | {"id": post.video_id}

    def video_insights(self, post: Post) -> dict[str, Any]:
        named = self._query.get("metric")
        metrics = self._checked(named, VIDEO_METRICS) if named else list(VIDEO_METRICS)
        return {"data": [self._post_metric(post, metric) for metric in metrics], "paging": {}}

    def _is_bad(self, post: Post) -> bool:
        if self._fault is None or self._kind != "bad_post":
            return False
        return post.id == self._fault.post if self._fault.post else post.kind == "reel"

    def _fields(self, default: str, known: Collection[str], node: str) -> dict[str, str]:
        return _fields(self._query.get("fields") or default, known, node)

    def _post_fields(self, post: Post, fields: Mapping[str, str]) -> dict[str, Any]:
        """The fields that were asked for and exist; ``fields`` as ``_fields`` returns them."""
        shares = self._world.post_value(post, "shares") // 4
        path = f"{post.page_id}/posts/{post.id.partition('_')[2]}"
        status = {"photo": "added_photos", "status": "mobile_status_update"}.get(post.kind, "added_video")
        known: dict[str, Any] = {
            "created_time": _timestamp(post.created_at),
            "updated_time": _timestamp(post.created_at),
            "message": post.message,
            "permalink_url": f"https://www.facebook.com/{f'reel/{post.video_id}' if post.video_id else path}",
            "status_type": status,
            "is_published": True,
            "shares": {"count": shares} if shares else None,
        }
        for name, asked in fields.items():
            if name == "attachments" and post.kind != "status":
                known[name] = {"data": [_attachment(post, asked)]}
            elif name == "comments":
                known[name] = _counted(self._world.post_value(post, "comments"), asked)
            elif name == "reactions":
                known[name] = _counted(sum(self._reactions(post).values()), asked)
            elif name == "insights" and post.kind != "story":
                named = re.search(r"\.metric\(([^()]*)\)", asked)
                metrics = self._checked(named[1] if named else "", POST_METRICS)
                known[name] = {"data": [self._post_metric(post, metric) for metric in metrics]}
        return {name: known[name] for name in fields if known.get(name) is not None} | {"id": post.id}

    def _post_metric(self, post: Post, metric: str) -> dict[str, Any]:
        value: object = self._world.post_value(post, metric)
        if metric.endswith("reactions_by_type_total"):
            value = self._reactions(post)
        elif metric == "post_clicks_by_type":
            clicks = self._world.post_value(post, "post_clicks")
            value = {"link clicks": clicks // 2, "other clicks": clicks - clicks // 2}
        return {
            "name": metric,
            "period": "lifetime",
            "values": [{"value": value}],
            "title": metric,
            "description": metric,
            "id": f"{post.id}/insights/{metric}/lifetime",
        }

    def _reactions(self, post: Post) -> dict[str, int]:
        total = self._world.post_value(post, "post_reactions_by_type_total")
        return {name: count for name, count in (("like", total - total // 3), ("love", total // 3)) if count}

    def _metrics(self, known: Mapping[str, int]) -> list[str]:
        if not self._query.get("metric"):
            raise GraphError(
                "(#100) No metric was specified to be fetched. Please specify one or more metrics.",
                3001,
                subcode=1504028,
            )
        return self._checked(self._query["metric"], known)

    def _checked(self, asked: str, known: Mapping[str, int]) -> list[str]:
        metrics = [metric.strip() for metric in asked.split(",")]
        refused = self._fault.metric if self._fault and self._kind == "invalid_metric" else None
        if not all(metric in known and metric != refused for metric in metrics):
            raise GraphError("(#100) The value must be a valid insights metric", 100)
        return metrics

    def _range(self, default_days: int) -> tuple[datetime, datetime]:
        until = _moment(self._query.get("until")) or self._world.now()
        since = _moment(self._query.get("since")) or until - timedelta(days=default_days)
        if since > until:
            raise GraphError("(#100) since must not be after until", 100)
        return since, until

    def _integer(self, name: str, default: int) -> int:
        text = self._query.get(name, str(default))
        if not text.isdigit():
            raise GraphError(f"(#100) Param {name} must be an integer", 100)
        return int(text)

    def _offset(self) -> int:
        cursor = self._query.get("after")
        if not cursor:
            return 0
        try:
            return int(base64.urlsafe_b64decode(cursor.encode()).decode())
        except ValueError:
            raise GraphError("(#100) Invalid cursor", 100) from None

    def _cursors(self, before: int, after: int, *, more: bool) -> dict[str, Any]:
        cursors = {
            name: base64.urlsafe_b64encode(f"{position:012}".encode()).decode()
            for name, position in (("before", before), ("after", after))
        }
        return {"cursors": cursors} | ({"next": self._link(after=cursors["after"])} if more else {})

    def _link(self, **changes: object) -> str:
        """A complete URL. As at Meta, it holds the caller's token."""
        changes["access_token"] = self._page.token
        return str(self._request.url.include_query_params(**changes))


def _attachment(post: Post, asked: str) -> dict[str, Any]:
    target = {"id": post.target_id, "url": f"https://www.facebook.com/{post.target_id}"}
    media = "video" if post.video_id else "photo"
    known: dict[str, Any] = {"media_type": media, "type": f"{media}_inline" if post.video_id else media}
    fields = _fields(_inner(asked) or "type,target", {*known, "target"}, "StoryAttachment")
    if "target" in fields:
        wanted = _fields(_inner(fields["target"]) or "id,url", target, "StoryAttachmentTarget")
        known["target"] = {name: target[name] for name in wanted}
    return {name: known[name] for name in fields}


def _counted(total: int, asked: str) -> dict[str, Any]:
    """An edge with ``total`` entries: none is shown, and the count only if a summary is asked for."""
    return {"data": []} | ({"summary": {"total_count": total}} if ".summary(" in asked else {})


def _inner(asked: str) -> str | None:
    """The content of a field's braces."""
    found = _FIELD.match(asked)
    return found["inner"] if found else None


def _fields(text: str, known: Collection[str], node: str) -> dict[str, str]:
    """``fields``, split at its top-level commas: name -> the field's text."""
    parts, depth = [""], 0
    for character in text:
        depth += (character in "({") - (character in ")}")
        if character == "," and depth == 0:
            parts.append("")
        else:
            parts[-1] += character
    found = {}
    for part in parts:
        asked = _FIELD.match(part.strip())
        if depth != 0 or asked is None:
            raise GraphError(f"Syntax error in the field list near {part[:20]!r}", 2500)
        if asked["name"] not in known:
            raise _nonexisting(asked["name"], node)
        found[asked["name"]] = part.strip()
    return found


def _end(day: date) -> datetime:
    """The end of a Pacific day, as in ``end_time``: 07:00 or 08:00 UTC."""
    return datetime.combine(day + timedelta(days=1), time(), PACIFIC).astimezone(UTC)


def _moment(text: str | None) -> datetime | None:
    if not text:
        return None
    try:
        if re.fullmatch(r"\d{1,11}", text):
            moment = datetime.fromtimestamp(int(text), UTC)
        else:
            moment = datetime.combine(date.fromisoformat(text), time(), PACIFIC).astimezone(UTC)
        return min(max(moment, _FIRST_MOMENT), _LAST_MOMENT)
    except (ValueError, OverflowError, OSError):
        raise GraphError("(#100) since and until must be dates or Unix times", 100) from None


def _unix(moment: datetime) -> int:
    return int(moment.timestamp())


def _timestamp(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S+0000")


@contextmanager
def serve(
    world: World, *, host: str = "127.0.0.1", port: int = 0, latency: float = 0.0
) -> Iterator[GraphApi]:
    """Serve only ``world``, from a thread; ``latency`` is the least seconds that each answer takes."""
    api = GraphApi(world, latency)
    with serving.listen(api.application(), host=host, port=port) as api.url:
        yield api


def main() -> None:
    """Serve from this process until a signal stops it."""
    from include.sandbox.stand_ins.facebook.demo import demo_world

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8099)
    parser.add_argument("--latency-ms", type=float, default=0)
    parser.add_argument("--pages", type=int, default=0, help="so many healthy pages instead of the demo's")
    arguments = parser.parse_args()
    numbers = range(1, arguments.pages + 1)
    world = World(make_page(n) for n in numbers) if arguments.pages else demo_world()
    told = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: told.set())
    latency = arguments.latency_ms / 1000
    with serve(world, host=arguments.host, port=arguments.port, latency=latency) as api:
        print(f"Graph API stand-in on {api.url}", flush=True)
        told.wait()


if __name__ == "__main__":
    main()
