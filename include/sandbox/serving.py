"""Serves stand-ins over real HTTP: what is the same for every provider's API.

Unlike a real API, each stand-in also answers ``/sandbox/…``: ``GET``/``DELETE /sandbox/calls`` shows and
forgets the calls; ``PUT``/``DELETE /sandbox/accounts/{id}/fault`` and ``/sandbox/app/fault`` switch faults
on and off.
"""

from __future__ import annotations

import asyncio
import dataclasses
import socket
import threading
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol

import uvicorn
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Mount, Route
from starlette.types import ASGIApp, Receive, Scope, Send

from include.sandbox.faults import Fault, Faults

#: The name of uvicorn's socket in the scope.
_TRANSPORT = "sandbox.transport"


class World(Protocol):
    """A provider's made-up accounts."""

    faults: Faults


@dataclass(frozen=True)
class Call:
    """A request that reached a stand-in: ``path`` is the API's own, ``target`` the path and query as sent."""

    method: str
    path: str
    target: str
    account_id: str | None
    status: int
    at: datetime


class Api(ABC):
    """A stand-in for an API. A subclass says which account a request is about, and answers it."""

    call_type: type[Call] = Call
    fault_type: type[Fault] = Fault

    def __init__(self, world: World, latency: float = 0.0) -> None:
        """:param latency: the least seconds that each answer takes."""
        #: Its address while it is served.
        self.url = ""
        self.latency = latency
        self.calls: list[Call] = []
        self.faults: Faults = world.faults

    @abstractmethod
    def account_of(self, request: Request) -> str | None:
        """The id of the account that a request is about, if there is such an account."""

    @abstractmethod
    def answer(self, request: Request, fault: Fault | None) -> Response:
        """The answer to a request. A fault of this API may change it."""

    def fault_for(self, account_id: str | None) -> Fault | None:
        """The fault for a request, if any. Called once for each request."""
        return self.faults.strike(account_id)

    def clear_calls(self) -> None:
        """Forget all calls."""
        self.calls.clear()

    async def respond(self, request: Request) -> Response:
        """The answer to a request, with its fault, if any. It counts as a call."""
        if self.latency:
            await asyncio.sleep(self.latency)
        account_id = self.account_of(request)
        fault = self.fault_for(account_id)
        while fault and fault.kind == "held" and account_id and self.faults.in_force(account_id):
            await asyncio.sleep(0.02)
        response = _broken(fault) or self.answer(request, fault)
        self.calls.append(
            self.call_type(
                request.method,
                path_of(request),
                f"{request.url.path}?{request.url.query}",
                account_id,
                response.status_code,
                datetime.now(UTC),
            )
        )
        return response

    def application(self, others: Collection[Api] = ()) -> ASGIApp:
        """The ASGI app, to be given to :func:`listen` alone or :func:`together` with others.

        :param others: stand-ins that answer here for their own accounts, for providers that share a host.
        """

        async def respond(request: Request) -> Response:
            # For an API that finds the account in the body.
            request.state.body = await request.body()
            knows = (api for api in (self, *others) if api.account_of(request) is not None)
            return await next(knows, self).respond(request)

        async def calls(request: Request) -> Response:
            if request.method == "DELETE":
                self.clear_calls()
            return JSONResponse(self.calls_as_json())

        async def faults(request: Request) -> Response:
            account_id = request.path_params.get("account", Faults.APP)
            if request.method == "PUT":
                try:
                    self.faults.set(account_id, self.fault_type(**await request.json()))
                except (TypeError, ValueError) as error:
                    return JSONResponse({"error": str(error)}, 400)
            else:
                self.faults.clear(account_id)
            return JSONResponse({"success": True})

        return Starlette(
            routes=[
                Route("/sandbox/calls", calls, methods=["GET", "DELETE"]),
                Route("/sandbox/accounts/{account}/fault", faults, methods=["PUT", "DELETE"]),
                Route("/sandbox/app/fault", faults, methods=["PUT", "DELETE"]),
                Route("/{path:path}", respond, methods=["GET", "POST", "DELETE", "PUT", "PATCH"]),
            ],
            # Light compression: the stand-in runs on the same machine as its clients.
            middleware=[Middleware(GZipMiddleware, minimum_size=500, compresslevel=1)],
        )

    def calls_as_json(self) -> list[dict[str, object]]:
        """All calls so far."""
        return [{**dataclasses.asdict(call), "at": call.at.isoformat()} for call in self.calls]


def path_of(request: Request) -> str:
    """The path as the API knows it, without the stand-in's mount."""
    return f"/{request.path_params['path']}"


def together(apis: Mapping[str, Api]) -> ASGIApp:
    """Several stand-ins on one server, each below its name; ``/sandbox/calls`` shows the calls of all.

    Each also answers for the others' accounts, because providers may share a host, and so a connection.
    """

    async def calls(request: Request) -> Response:
        return JSONResponse({name: api.calls_as_json() for name, api in apis.items()})

    mounted = [
        Mount(f"/{name}", api.application([other for other in apis.values() if other is not api]))
        for name, api in apis.items()
    ]
    return Starlette(routes=[Route("/sandbox/calls", calls), *mounted])


@contextmanager
def listen(app: ASGIApp, *, host: str = "127.0.0.1", port: int = 0) -> Iterator[str]:
    """Serve ``app`` from a thread; yields its URL. Port 0 takes a free one."""
    with socket.create_server((host, port), backlog=1024) as listener:
        server = _Server(
            uvicorn.Config(_with_transport(app), log_level="critical", access_log=False, lifespan="off")
        )
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        try:
            yield f"http://{host}:{listener.getsockname()[1]}"
        finally:
            server.end()
            thread.join()


class _Server(uvicorn.Server):
    """Runs in a thread, so it leaves the process's signals alone.

    It ends at once. uvicorn alone looks ten times a second whether it should, and then waits.
    """

    _loop: asyncio.AbstractEventLoop | None = None

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    def end(self) -> None:
        """Let the thread end; from another thread."""
        self.should_exit = self.force_exit = True
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._ended.set)

    async def main_loop(self) -> None:
        self._ended = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        ticks = 0
        while not await self.on_tick(ticks):
            ticks += 1
            with suppress(TimeoutError):
                async with asyncio.timeout(0.1):
                    await self._ended.wait()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        for server in self.servers:
            server.close()
        for connection in list(self.server_state.connections):
            connection.transport.abort()
        # Each connection learns of it.
        await asyncio.sleep(0)


def _with_transport(app: ASGIApp) -> ASGIApp:
    """``app`` with uvicorn's socket in its scope, because ASGI itself cannot close a connection."""

    async def wrapped(scope: Scope, receive: Receive, send: Send) -> None:
        scope[_TRANSPORT] = send.__self__.transport  # type: ignore[attr-defined]
        await app(scope, receive, send)

    return wrapped


class _NoAnswer(Response):
    """Closes the connection without an answer, after ``seconds`` or when the client leaves."""

    def __init__(self, seconds: float = 0) -> None:
        super().__init__()
        self.status_code = 0
        self._seconds = seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(self._seconds):
                await self._disconnected(receive)
        scope[_TRANSPORT].abort()
        await self._disconnected(receive)

    @staticmethod
    async def _disconnected(receive: Receive) -> None:
        while (await receive())["type"] != "http.disconnect":
            pass


def _broken(fault: Fault | None) -> Response | None:
    """The answer for a fault that any server may have."""
    match fault.kind if fault else None:
        case "html_503":
            text = "<html><body><h1>Sorry, something went wrong.</h1></body></html>"
            return Response(text, 503, media_type="text/html")
        case "html_403":
            return Response("<html><body>Access denied by policy</body></html>", 403, media_type="text/html")
        case "json_404":
            return JSONResponse({"detail": "Not Found"}, 404)
        case "hang":
            return _NoAnswer(60)
        case "reset":
            return _NoAnswer()
        case "drip":
            return StreamingResponse(_drops(), media_type="application/json")
        case "huge_body":
            return StreamingResponse(_flood(), media_type="application/json")
        case "empty_body":
            return Response(b"", media_type="application/json")
        case "truncated":
            return Response(b'{"data":[{"name":"views","values":[{"val', media_type="application/json")
        case _:
            return None


async def _drops() -> AsyncIterator[bytes]:
    for _ in range(600):
        yield b" "
        await asyncio.sleep(0.1)


async def _flood() -> AsyncIterator[bytes]:
    yield b'{"data":[],"junk":"'
    for _ in range(256):
        yield b"x" * 2**20
        await asyncio.sleep(0)
