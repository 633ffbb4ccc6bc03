"""A sandbox in the Graph API's place: answers like Meta's, or refuses like it. Never a deployment's default.

Written from what Meta documents and what others have met, not from what this package's connector sends:
it checks versions, tokens, metrics, fields, limits and ranges, and pages as the real one does.

``python -m include.sandbox.graph_api --port 8099`` serves the demo's pages. ``/sandbox/…`` is not Meta's:
``GET``/``DELETE /sandbox/calls`` shows and forgets what was asked, ``PUT``/``DELETE /sandbox/faults/{page}``
(or ``app``) switches faults.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import dataclasses
import hashlib
import hmac
import json
import re
import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from include.sandbox.world import (
    PACIFIC,
    PAGE_METRICS,
    POST_METRICS,
    Fault,
    Page,
    Post,
    World,
    demo_world,
    make_page,
)

_POST_FIELDS = {
    "id", "created_time", "updated_time", "message", "story", "permalink_url", "status_type", "is_published",
    "shares", "attachments", "comments", "reactions", "insights",
}  # fmt: skip
_PAGE_FIELDS = {"id", "name", "followers_count", "fan_count"}
_MAX_INSIGHTS_SECONDS = 93 * 24 * 3600
_VERSION = re.compile(r"v\d+\.\d+")
_FIELD = re.compile(r"(?P<name>\w+)(?P<rest>(?:\.\w+\([^()]*\))*)(?:\{(?P<inner>.*)\})?$")


class GraphError(Exception):
    """An error as the API words it."""

    def __init__(
        self,
        message: str,
        code: int,
        *,
        subcode: int | None = None,
        status: int = 400,
        transient: bool = False,
    ) -> None:
        self.status = status
        self.body = {
            "error": {
                "message": message,
                "type": "OAuthException",
                "code": code,
                **({"error_subcode": subcode} if subcode is not None else {}),
                "is_transient": transient,
                "fbtrace_id": "A" + hashlib.sha256(message.encode()).hexdigest()[:22],
            }
        }
        super().__init__(message)


#: Faults that are answers: message, code, subcode, HTTP status, transient.
_ERRORS: Mapping[str, GraphError] = {
    "token_revoked": GraphError(
        "Error validating access token: The session has been invalidated because the user changed their "
        "password or Facebook has changed the session for security reasons.", 190, subcode=460, status=401,
    ),
    "token_expired": GraphError(
        "Error validating access token: Session has expired on Monday, 02-Nov-26 10:00:00 PST.",
        190, subcode=463, status=400,
    ),
    "permission_missing": GraphError("(#200) Provide valid app ID", 200, status=403),
    "permission_denied": GraphError(
        "(#10) This endpoint requires the 'read_insights' permission", 10, status=403
    ),
    "object_gone": GraphError(
        "Unsupported get request. Object with ID does not exist, cannot be loaded due to missing "
        "permissions, or does not support this operation.", 100, subcode=33,
    ),
    "account_blocked": GraphError("The action attempted has been deemed abusive", 368),
    "page_throttled": GraphError("(#80001) There have been too many calls to this Page account.", 80001),
    "page_throttled_32": GraphError("(#32) Page request limit reached", 32, status=403),
    "app_throttled": GraphError("(#4) Application request limit reached", 4, status=403),
    "down": GraphError("An unexpected error has occurred. Please retry your request later.", 2, status=500,
                       transient=True),
}  # fmt: skip

#: Every kind of fault.
FAULTS = (
    *_ERRORS, "html_503", "hang", "drip", "empty_body", "truncated", "reset", "invalid_metric", "reduce_data",
    "not_published", "no_insights", "repeated_cursor", "empty_page", "foreign_next", "huge_body", "bad_post",
)  # fmt: skip


@dataclass(frozen=True)
class Call:
    """A request that reached the API."""

    method: str
    path: str
    page_id: str | None
    status: int
    token_in_url: bool
    at: datetime


@dataclass
class Sandbox:
    """A running stand-in."""

    url: str
    world: World
    latency: float = 0.0
    calls: list[Call] = field(default_factory=list)

    def clear_calls(self) -> None:
        """Forget what was asked."""
        self.calls.clear()


class _Reset(Response):
    """Closes the connection without an answer."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        raise _ConnectionDropped


class _ConnectionDropped(Exception):
    """Tells the server to hang up."""


def application(sandbox: Sandbox) -> Starlette:
    """The ASGI app of a sandbox."""

    async def graph(request: Request) -> Response:
        if sandbox.latency:
            await asyncio.sleep(sandbox.latency)
        page = _page_of(sandbox.world, request)
        fault = sandbox.world.faults.strike(page.id) if page else None
        try:
            response = await _faulty(request, fault) or _answer(sandbox, request, fault)
        except GraphError as error:
            response = JSONResponse(error.body, error.status)
        _add_usage(response, fault, page)
        status = 0 if isinstance(response, _Reset) else response.status_code
        sandbox.calls.append(
            Call(
                request.method,
                request.url.path,
                page.id if page else None,
                status,
                "access_token" in request.query_params or "EAAG" in str(request.url),
                datetime.now(UTC),
            )
        )
        return response

    async def calls(request: Request) -> Response:
        if request.method == "DELETE":
            sandbox.clear_calls()
        return JSONResponse([{**dataclasses.asdict(c), "at": c.at.isoformat()} for c in sandbox.calls])

    async def faults(request: Request) -> Response:
        page_id = request.path_params["page"]
        if request.method == "PUT":
            sandbox.world.faults.set(page_id, Fault(**await request.json()))
        else:
            sandbox.world.faults.clear(page_id)
        return JSONResponse({"success": True})

    return Starlette(
        routes=[
            Route("/sandbox/calls", calls, methods=["GET", "DELETE"]),
            Route("/sandbox/faults/{page}", faults, methods=["PUT", "DELETE"]),
            Route("/{path:path}", graph, methods=["GET", "POST", "DELETE", "PUT"]),
        ],
        middleware=[Middleware(GZipMiddleware, minimum_size=500)],
    )


def _segments(request: Request) -> list[str]:
    segments = [segment for segment in request.url.path.split("/") if segment]
    return segments[1:] if segments and _VERSION.fullmatch(segments[0]) else segments


def _page_of(world: World, request: Request) -> Page | None:
    segments = _segments(request)
    if not segments:
        return None
    post = world.find_post(segments[0])
    return world.pages.get(post.page_id if post else segments[0])


async def _faulty(request: Request, fault: Fault | None) -> Response | None:
    """The answer of a fault that does not depend on what was asked."""
    match fault.kind if fault else None:
        case None:
            return None
        case "html_503":
            return Response("<html><body><h1>Sorry, something went wrong.</h1></body></html>", 503,
                            media_type="text/html")  # fmt: skip
        case "hang":
            for _ in range(600):
                if await request.is_disconnected():
                    break
                await asyncio.sleep(0.1)
            return _Reset()
        case "drip":

            async def drops() -> Any:
                for _ in range(600):
                    yield b" "
                    await asyncio.sleep(0.1)

            return StreamingResponse(drops(), media_type="application/json")
        case "empty_body":
            return Response(b"", 200, media_type="application/json")
        case "truncated":
            return Response(
                b'{"data":[{"name":"page_media_view","values":[{"val', media_type="application/json"
            )
        case "reset":
            return _Reset()
        case "huge_body":

            async def gigabyte() -> Any:
                yield b'{"data":[],"junk":"'
                for _ in range(1024):
                    yield b"x" * 2**20

            return StreamingResponse(gigabyte(), media_type="application/json")
        case kind if kind in _ERRORS:
            raise _ERRORS[kind]
        case _:
            return None


def _add_usage(response: Response, fault: Fault | None, page: Page | None) -> None:
    """Usage headers, which Meta leaves out while usage is low."""
    if fault is None or page is None:
        return
    if fault.kind == "app_throttled":
        usage = {"call_count": 100, "total_time": 40, "total_cputime": 35}
        response.headers["X-App-Usage"] = json.dumps(usage)
        if fault.minutes:
            _add_business_usage(response, page, fault.minutes)
    elif fault.kind == "page_throttled":
        _add_business_usage(response, page, fault.minutes)
    elif fault.kind == "page_throttled_32":
        response.headers["X-Page-Usage"] = json.dumps(
            {"call_count": 99, "total_cputime": 56, "total_time": 60}
        )


def _add_business_usage(response: Response, page: Page, minutes: int) -> None:
    usage = {
        "type": "pages",
        "call_count": 100,
        "total_cputime": 25,
        "total_time": 25,
        "estimated_time_to_regain_access": minutes,
    }
    response.headers["X-Business-Use-Case-Usage"] = json.dumps({page.id: [usage]})


def _answer(sandbox: Sandbox, request: Request, fault: Fault | None) -> Response:
    world = sandbox.world
    if request.method != "GET":
        raise GraphError("(#3) Application does not have the capability to make this API call.", 3)
    segments = _segments(request)
    if not segments or len(segments) > 2:
        raise GraphError(f"Unknown path components: /{'/'.join(segments[1:])}", 2500)
    token_page = _authenticated(world, request)
    object_id, edge = segments[0], segments[1] if len(segments) == 2 else None
    post = world.find_post(object_id)
    page = world.pages.get(post.page_id if post else object_id)
    if page is None:
        raise _ERRORS["object_gone"]
    if page != token_page:
        raise GraphError("(#200) A page access token of this page is required.", 200, status=403)
    ask = _Ask(world, page, request, fault)
    if post is None:
        edges: dict[str | None, Callable[[], dict[str, Any]]] = {
            None: ask.page,
            "insights": ask.page_insights,
            "published_posts": ask.posts,
            "posts": ask.posts,
            "feed": ask.posts,
        }
    elif object_id == post.video_id:
        edges = {"video_insights": ask.video_insights}
        if edge == "insights":
            raise GraphError("(#100) Tried accessing nonexisting field (insights) on node type (Video)", 100)
    else:
        edges = {None: lambda: ask.post(post), "insights": lambda: ask.post_insights(post)}
    if edge not in edges:
        raise GraphError(f"Unknown path components: /{edge}", 2500)
    return JSONResponse(edges[edge]())


def _authenticated(world: World, request: Request) -> Page:
    """The page whose token came with the request."""
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() not in ("bearer", "oauth"):
        token = request.query_params.get("access_token", "")
    if not token:
        raise GraphError("An access token is required to request this resource.", 104)
    page = world.page_of(token)
    if page is None:
        raise GraphError(
            "Invalid OAuth access token - Cannot parse access token", 190, subcode=467, status=401
        )
    proof = request.query_params.get("appsecret_proof")
    if proof is None and world.app_secret is None:
        return page
    if proof is None:
        raise GraphError("API calls from the server require an appsecret_proof argument", 104)
    wanted = hmac.new((world.app_secret or "").encode(), token.encode(), hashlib.sha256).hexdigest()
    if world.app_secret is None or not hmac.compare_digest(proof.encode(), wanted.encode()):
        raise GraphError("Invalid appsecret_proof provided in the API argument", 100)
    return page


class _Ask:
    """One request about a page or one of its posts."""

    def __init__(self, world: World, page: Page, request: Request, fault: Fault | None) -> None:
        self._world, self._page, self._request, self._fault = world, page, request, fault
        self._query = request.query_params
        self._kind = fault.kind if fault else None

    def page(self) -> dict[str, Any]:
        fields = _fields(self._query.get("fields", "id,name"), _PAGE_FIELDS)
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
            raise GraphError("(#100) The sandbox knows the period day only", 100)
        since, until = self._range(default_days=2)
        if until - since > timedelta(seconds=_MAX_INSIGHTS_SECONDS):
            raise GraphError(
                "(#100) There cannot be more than 93 days (8035200 s) between since and until", 100
            )
        ended = (self._world.now().astimezone(PACIFIC)).date() - timedelta(days=1)
        if self._kind == "not_published":
            ended -= timedelta(days=1)
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
        fields = _fields(self._query.get("fields", "id,created_time,message"), _POST_FIELDS)
        since, until = self._range(default_days=365)
        first, last = since.astimezone(PACIFIC).date(), until.astimezone(PACIFIC).date()
        posts = [
            post for post in self._world.posts(self._page.id, first, last) if since <= post.created_at < until
        ]
        if self._kind == "bad_post" and posts and "insights" in fields:
            raise GraphError("(#100) Tried accessing nonexisting field (insights) on node type (Story)", 100)
        start = self._offset()
        if self._kind == "empty_page" and start == 0 and not self._query.get("after"):
            return {"data": [], "paging": self._cursors(0, 0, more=True)}
        shown = posts[start : start + limit]
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
        return self._post_fields(
            post, _fields(self._query.get("fields", "id,created_time,message"), _POST_FIELDS)
        )

    def post_insights(self, post: Post) -> dict[str, Any]:
        metrics = self._metrics(POST_METRICS)
        if post.kind == "story" or self._kind == "bad_post":
            raise GraphError("(#100) Tried accessing nonexisting field (insights) on node type (Story)", 100)
        return {"data": [self._post_metric(post, metric) for metric in metrics], "paging": {}}

    def video_insights(self) -> dict[str, Any]:
        post = self._world.find_post(_segments(self._request)[0])
        assert post is not None  # noqa: S101 - the edge is offered for videos only
        return {"data": [self._post_metric(post, "total_video_views")], "paging": {}}

    def _post_fields(self, post: Post, fields: Mapping[str, str]) -> dict[str, Any]:
        comments = self._world.post_value(post, "comments")
        shares = self._world.post_value(post, "shares") // 4
        media = {"photo": "photo", "video": "video", "reel": "video", "story": "photo"}.get(post.kind)
        path = (
            f"reel/{post.video_id}" if post.video_id else f"{post.page_id}/posts/{post.id.partition('_')[2]}"
        )
        target = {"id": post.video_id or post.id}
        attachment = {"media_type": media, "type": media, "target": target}
        summary = {"order": "ranked", "total_count": comments, "can_comment": True}
        status = {"photo": "added_photos", "status": "mobile_status_update"}.get(post.kind, "added_video")
        known: dict[str, Any] = {
            "created_time": _timestamp(post.created_at),
            "updated_time": _timestamp(post.created_at),
            "message": post.message,
            "permalink_url": f"https://www.facebook.com/{path}",
            "status_type": status,
            "is_published": True,
            "shares": {"count": shares} if shares else None,
            "attachments": {"data": [attachment]} if media else None,
            "comments": {"data": [], "summary": summary},
            "reactions": {"data": [], "summary": {"total_count": sum(self._reactions(post).values())}},
        }
        found = {name: known[name] for name in fields if known.get(name) is not None}
        if "insights" in fields and post.kind != "story":
            asked = re.search(r"\.metric\(([^()]*)\)", fields["insights"])
            metrics = self._checked(asked[1] if asked else "", POST_METRICS)
            found["insights"] = {"data": [self._post_metric(post, metric) for metric in metrics]}
        return found | {"id": post.id}

    def _post_metric(self, post: Post, metric: str) -> dict[str, Any]:
        value: object = self._world.post_value(post, metric)
        if metric == "post_reactions_by_type_total":
            value = self._reactions(post)
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
        """A ready URL, which at Meta holds the caller's token."""
        changes["access_token"] = self._page.token
        return str(self._request.url.include_query_params(**changes))


def _fields(text: str, known: set[str]) -> dict[str, str]:
    """``fields`` taken apart at its top-level commas: name -> as it was asked for."""
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
            raise GraphError(f"(#100) Tried accessing nonexisting field ({asked['name']})", 100)
        found[asked["name"]] = part.strip()
    return found


def _end(day: date) -> datetime:
    """The end of a Pacific day, which is what ``end_time`` bears: 07:00 or 08:00 UTC."""
    return datetime.combine(day + timedelta(days=1), time(), PACIFIC).astimezone(UTC)


def _moment(text: str | None) -> datetime | None:
    if not text:
        return None
    try:
        if re.fullmatch(r"\d{1,11}", text):
            return datetime.fromtimestamp(int(text), UTC)
        return datetime.combine(date.fromisoformat(text), time(), PACIFIC).astimezone(UTC)
    except (ValueError, OverflowError, OSError):
        raise GraphError("(#100) since and until must be dates or Unix times", 100) from None


def _unix(moment: datetime) -> int:
    return int(moment.timestamp())


def _timestamp(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S+0000")


class _Server(uvicorn.Server):
    """Runs in a thread, so it leaves the process's signals alone."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


@contextmanager
def serve(world: World, *, host: str = "127.0.0.1", port: int = 0, latency: float = 0.0) -> Iterator[Sandbox]:
    """Serve ``world`` from a thread; ``latency`` is the seconds that each answer takes at least."""
    with socket.create_server((host, port), backlog=1024) as listener:
        sandbox = Sandbox(f"http://{host}:{listener.getsockname()[1]}", world, latency)
        server = _Server(_configuration(sandbox))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        try:
            yield sandbox
        finally:
            server.should_exit = server.force_exit = True
            thread.join()


def _configuration(sandbox: Sandbox, **options: Any) -> uvicorn.Config:
    return uvicorn.Config(
        application(sandbox), log_level="critical", access_log=False, lifespan="off", **options
    )


def main() -> None:
    """Serve from a process of its own until it is told to end."""
    parser = argparse.ArgumentParser(description="The sandbox in the Graph API's place.")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8099)
    parser.add_argument("--latency-ms", type=float, default=0)
    parser.add_argument("--pages", type=int, default=0, help="so many healthy pages instead of the demo's")
    arguments = parser.parse_args()
    world = World(make_page(n) for n in range(1, arguments.pages + 1)) if arguments.pages else demo_world()
    url = f"http://{arguments.host}:{arguments.port}"
    print(f"Sandbox Graph API on {url}", flush=True)
    sandbox = Sandbox(url, world, arguments.latency_ms / 1000)
    uvicorn.Server(_configuration(sandbox, host=arguments.host, port=arguments.port)).run()


if __name__ == "__main__":
    main()
