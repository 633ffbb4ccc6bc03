"""A real HTTP server that answers as the test says, with faults on the wire too.

The test gives a function from request to step. Each step writes to the real socket.
"""

from __future__ import annotations

import json
import socket
import struct
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit


@dataclass(frozen=True)
class Request:
    """A request as received: ``path`` as sent (not unquoted), the query, the headers, the client's port."""

    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    client_port: int


@dataclass(frozen=True)
class Answer:
    """A whole HTTP answer; ``body`` that is neither bytes nor text is sent as JSON."""

    body: Any = b""
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)

    def encoded(self) -> bytes:
        if isinstance(self.body, bytes):
            return self.body
        return (self.body if isinstance(self.body, str) else json.dumps(self.body)).encode()


@dataclass(frozen=True)
class Reset:
    """The connection is reset before any answer."""


@dataclass(frozen=True)
class Hang:
    """Nothing is ever answered."""


@dataclass(frozen=True)
class Drip:
    """``head`` at once, then one byte every ``interval`` seconds, until the client hangs up."""

    head: bytes
    interval: float = 0.02


@dataclass(frozen=True)
class CutOff:
    """A body that is shorter than its announced length: the connection closes."""

    body: bytes


Step = Answer | Reset | Hang | Drip | CutOff
Script = Callable[[Request], Step]


class ScriptedServer:
    """The running server: ``base_url``, and every request so far."""

    def __init__(self, script: Script) -> None:
        self.script = script
        self.requests: list[Request] = []
        self.closing = threading.Event()
        scripted = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            # Otherwise the body waits 40 ms for the acknowledgement of the headers.
            disable_nagle_algorithm = True

            def do_GET(self) -> None:
                parts = urlsplit(self.path)
                query = {name: values[0] for name, values in parse_qs(parts.query).items()}
                request = Request(parts.path, query, dict(self.headers), self.client_address[1])
                scripted.requests.append(request)
                self.play(scripted.script(request))

            def play(self, step: Step) -> None:
                if isinstance(step, Answer):
                    body = step.encoded()
                    self.send_response(step.status)
                    for name, value in step.headers.items():
                        self.send_header(name, value)
                    self.send_header("Content-Length", str(len(body)))
                    self.end_headers()
                    self.wfile.write(body)
                    return
                self.close_connection = True
                if isinstance(step, Reset):
                    self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                    self.connection.close()
                elif isinstance(step, Hang):
                    scripted.closing.wait()
                elif isinstance(step, CutOff):
                    self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n" + step.body)
                else:
                    self.drip(step)

            def drip(self, step: Drip) -> None:
                try:
                    self.wfile.write(step.head)
                    while not scripted.closing.wait(step.interval):
                        self.wfile.write(b"x")
                except OSError:
                    return

            def log_message(self, format: str, *args: object) -> None:
                """Log nothing."""

        class Server(ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, request: object, client_address: object) -> None:
                """Print nothing: tests cause hang-ups and resets on purpose."""

        self._server = Server(("127.0.0.1", 0), Handler)
        self.base_url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True
        )
        self._thread.start()

    @property
    def paths(self) -> list[str]:
        """The requested paths, in order."""
        return [request.path for request in self.requests]

    def close(self) -> None:
        self.closing.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@contextmanager
def scripted_server(*script: Step | Script) -> Iterator[ScriptedServer]:
    """A server that plays ``script``: one function, or steps; the last step repeats."""
    if len(script) == 1 and callable(script[0]) and not isinstance(script[0], (Reset, Hang)):
        play: Script = script[0]
    else:
        steps = list(script)

        def play(request: Request) -> Step:
            step = steps.pop(0) if len(steps) > 1 else steps[0]
            return step  # type: ignore[return-value]

    server = ScriptedServer(play)
    try:
        yield server
    finally:
        server.close()
