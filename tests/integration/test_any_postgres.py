"""Postgres as people have it: any encoding, setting and language, and every way to refuse a connection."""

from __future__ import annotations

import json
import socket
import ssl
import struct
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from threading import Barrier, Thread

import psycopg
import pytest

from include.sandbox.postgres import EmbeddedPostgres
from include.sandbox.postiz_db import create_tables
from include.sandbox.stand_ins.facebook.graph_api import serve
from include.social_analytics.connectors import names_by_identifier
from include.social_analytics.databases import open_analytics, open_postiz
from include.social_analytics.errors import ErrorCode, JobError
from include.social_analytics.ingest import Ingester
from include.social_analytics.jobs import Integration
from include.social_analytics.listing import list_active
from include.social_analytics.postiz import active_integrations, organization_names
from include.social_analytics.runs import Run
from include.social_analytics.warehouse import integrations, ledger
from include.social_analytics.warehouse.snapshots import ensure_month
from tests.support.bench import DAY, SETTINGS, Bench
from tests.support.certificates import self_signed
from tests.support.hostile import hostile_world

PASSWORD = "hunter2-secret"


@contextmanager
def database(postgres: EmbeddedPostgres, made: str = "", *settings: str) -> Iterator[str]:
    """A new database: ``made`` are options of CREATE DATABASE, ``settings`` those of ALTER DATABASE … SET."""
    name = f"test_{uuid.uuid4().hex}"
    with psycopg.connect(postgres.dsn("postgres"), autocommit=True) as superuser:
        superuser.execute(f"CREATE DATABASE {name} {made}")
        for setting in settings:
            superuser.execute(f"ALTER DATABASE {name} SET {setting}")
    yield name
    postgres.drop_database(name)


@contextmanager
def bench_on(postgres: EmbeddedPostgres, name: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    """Pages with hostile names and posts; both databases are ``name``, opened as a task opens them."""
    for conn_id in ("POSTIZ_DB", "ANALYTICS_DB"):
        monkeypatch.setenv(f"AIRFLOW_CONN_{conn_id}", postgres.airflow_connection(name))
    now = datetime.now(UTC)
    world = hostile_world(range(1, 7), now=lambda: now)
    with (
        serve(world) as sandbox,
        psycopg.connect(postgres.dsn(name), autocommit=True, client_encoding="UTF8") as postiz,
        open_analytics() as analytics,
        open_postiz() as ours,
    ):
        create_tables(postiz)
        bench = Bench(world, sandbox.url, postiz, analytics.connection)
        bench.ingester = Ingester(ours, analytics, lambda _: bench.connector, bench.masked.extend, SETTINGS)
        yield bench


def run_of(bench: Bench) -> Run:
    """A manual run of the day."""
    return Run(run_id="run", day=DAY, is_backfill=False, organization_id=None, integration_ids=None)


@pytest.mark.parametrize(
    ("made", "settings"),
    [
        ("", ("datestyle TO 'German, DMY'",)),
        ("", ("datestyle TO 'SQL, MDY'", "timezone TO 'America/Sao_Paulo'")),
        ("", ("default_transaction_isolation TO 'serializable'", "client_encoding TO 'LATIN1'")),
        ("", ("intervalstyle TO 'sql_standard'", "bytea_output TO 'escape'", "extra_float_digits TO 0")),
        ("TEMPLATE template0 ENCODING 'SQL_ASCII' LC_COLLATE 'C' LC_CTYPE 'C'", ()),
    ],
    ids=["German dates", "American dates", "serializable", "other styles", "SQL_ASCII"],
)
def test_a_day_is_stored_whatever_the_database_sets(postgres, monkeypatch, made, settings):
    with database(postgres, made, *settings) as name, bench_on(postgres, name, monkeypatch) as bench:
        listing = list_active(bench.ingester.postiz_db, bench.ingester.analytics_db, run_of(bench), SETTINGS)
        assert listing.count == 6
        assert bench.ingest() == {"succeeded": 6}
        [first, *_] = ledger.states(bench.analytics, [bench.jobs[0].job_id])
        assert first.date == DAY
        assert first.observed_at.utcoffset() == timedelta(0)
        stored = bench.analytics.execute("SELECT name FROM analytics.integration").fetchall()
        assert sorted(name for (name,) in stored) == sorted(page.name for page in bench.world.pages.values())
        emoji = bench.analytics.execute("SELECT count(*) FROM analytics.content WHERE message LIKE '%🍞%'")
        assert emoji.fetchone() > (0,)


def test_a_database_that_cannot_hold_an_emoji_stores_everything_else(postgres, monkeypatch):
    latin1 = "TEMPLATE template0 ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C'"
    with database(postgres, latin1) as name, bench_on(postgres, name, monkeypatch) as bench:
        assert bench.ingest() == {"succeeded": 6}
        found = bench.analytics.execute("SELECT DISTINCT message FROM analytics.content").fetchall()
        assert {
            "New in: autumn bread ? - come by!",
            "Öffnungszeiten: 9-18 Uhr\nWir freuen uns",
        } < {message for (message,) in found}


def test_a_database_in_an_encoding_that_python_does_not_know_is_read_and_written(postgres, monkeypatch):
    taiwan = "TEMPLATE template0 ENCODING 'EUC_TW' LC_COLLATE 'C' LC_CTYPE 'C'"
    with database(postgres, taiwan) as name:
        monkeypatch.setenv("AIRFLOW_CONN_ANALYTICS_DB", postgres.airflow_connection(name))
        with open_analytics() as analytics:
            listed = [Integration("one", "臺北", "acme", "facebook")]
            integrations.remember(analytics, listed, {"acme": "高雄"}, DAY, DAY)
            assert analytics.execute("SELECT name FROM analytics.integration").fetchall() == [("臺北",)]


def test_names_and_reasons_that_a_database_cannot_hold_end_no_batch(postgres, monkeypatch):
    latin1 = "TEMPLATE template0 ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C'"
    with database(postgres, latin1) as name, bench_on(postgres, name, monkeypatch) as bench:
        analytics = bench.ingester.analytics_db
        listed = [Integration(name, name, "acme", "facebook") for name in ("Пекарня 🥐", "Café")]
        integrations.remember(analytics, listed, {"acme": "東京"}, DAY, DAY)
        named = analytics.execute("SELECT name FROM analytics.integration ORDER BY 1").fetchall()
        assert named == [("??????? ?",), ("Café",)]
        claim = ledger.Claim("run", 1)
        ledger.claim(analytics, bench.jobs, claim, force=True)
        start = ledger.start(analytics, bench.jobs[0], claim)
        ledger.fail(analytics, start, JobError(ErrorCode.TOKEN_INVALID, "Сессия истекла"), 1)
        [state] = ledger.states(analytics, [bench.jobs[0].job_id])
        assert state.reason == "?????? ???????"


def test_several_writers_make_a_month_once_whatever_the_default_isolation(postgres, monkeypatch):
    with database(postgres, "", "default_transaction_isolation TO 'repeatable read'") as name:
        monkeypatch.setenv("AIRFLOW_CONN_ANALYTICS_DB", postgres.airflow_connection(name))
        together, failures = Barrier(4, timeout=30), []

        def run() -> None:
            try:
                with open_analytics() as analytics:
                    together.wait()
                    ensure_month(analytics, date(2026, 11, 20))
            except Exception as error:
                failures.append(error)

        threads = [Thread(target=run) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert failures == []


@pytest.mark.parametrize("cursor", ["dictcursor", "namedtuplecursor", "realdictcursor"])
def test_rows_are_tuples_whatever_cursor_the_connection_names(
    postgres, monkeypatch, analytics_database, cursor
):
    known = json.loads(postgres.airflow_connection(analytics_database)) | {"extra": {"cursor": cursor}}
    monkeypatch.setenv("AIRFLOW_CONN_ANALYTICS_DB", json.dumps(known))
    with open_analytics() as analytics:
        assert type(analytics.execute("SELECT 1, 2").fetchone()) is tuple


@pytest.mark.parametrize(
    "extra",
    [{"autocommit": [], "context": 1}, {"connect_timeout": "soon"}, {"sslmode": "perhaps"}, {"colour": 1}],
)
def test_an_extra_that_cannot_be_used_is_a_configuration_error(
    postgres, monkeypatch, analytics_database, extra
):
    known = json.loads(postgres.airflow_connection(analytics_database)) | {"extra": extra}
    monkeypatch.setenv("AIRFLOW_CONN_ANALYTICS_DB", json.dumps(known))
    with pytest.raises(JobError, match="'analytics_db'") as refused, open_analytics() as analytics:
        analytics.execute("SELECT 1")
    assert refused.value.code is ErrorCode.CONFIG_INVALID


@pytest.mark.parametrize("limit", ["idle_in_transaction_session_timeout", "transaction_timeout"])
def test_a_transaction_that_the_server_ends_is_the_databases_trouble(postgres, monkeypatch, limit):
    with database(postgres) as name:
        monkeypatch.setenv("AIRFLOW_CONN_POSTIZ_DB", postgres.airflow_connection(name))
        with psycopg.connect(postgres.dsn(name), autocommit=True) as other:

            def overstay() -> None:
                with open_postiz() as postiz, postiz.transaction():
                    postiz.execute(f"SET LOCAL {limit} = '1ms'")
                    pid = postiz.connection.info.backend_pid
                    while (
                        other.execute("SELECT FROM pg_stat_activity WHERE pid = %s", [pid]).fetchone()
                        is not None
                    ):
                        pass
                    postiz.execute("SELECT 1")

            # The server may also hang up before its words are read.
            with pytest.raises(JobError) as ended:
                overstay()
        assert ended.value.code is ErrorCode.STORAGE_UNAVAILABLE


def refusal(monkeypatch: pytest.MonkeyPatch, **connection: object) -> JobError:
    """The error of opening Postiz's database."""
    known = {"conn_type": "postgres", "login": "postgres", "schema": "postgres", "password": PASSWORD}
    monkeypatch.setenv("AIRFLOW_CONN_POSTIZ_DB", json.dumps(known | connection))
    with pytest.raises(JobError) as refused, open_postiz():
        pass
    assert PASSWORD not in str(refused.value)
    return refused.value


@contextmanager
def server_in_another_language(sqlstate: str, words: str) -> Iterator[int]:
    """A server that refuses each start-up as Postgres does under ``lc_messages``; its port."""
    message = b"".join(
        kind + text.encode() + b"\0" for kind, text in ((b"S", "FATAL"), (b"C", sqlstate), (b"M", words))
    )

    def packet(client: socket.socket) -> bytes:
        [length] = struct.unpack("!I", client.recv(4, socket.MSG_WAITALL))
        return client.recv(length - 4, socket.MSG_WAITALL)

    def serve_on(server: socket.socket) -> None:
        with suppress(OSError):
            while True:
                client, _ = server.accept()
                with client:
                    if len(packet(client)) == 4:  # it asks for TLS
                        client.sendall(b"N")
                        packet(client)
                    client.sendall(b"E" + struct.pack("!I", len(message) + 5) + message + b"\0")

    with socket.create_server(("127.0.0.1", 0)) as server:
        Thread(target=serve_on, args=[server], daemon=True).start()
        yield server.getsockname()[1]
        server.shutdown(socket.SHUT_RDWR)


@pytest.mark.parametrize(
    ("sqlstate", "words", "code"),
    [
        (
            "28P01",
            "Passwort-Authentifizierung für Benutzer »postgres« fehlgeschlagen",
            ErrorCode.CONFIG_INVALID,
        ),
        ("28000", "Rolle »postgres« existiert nicht", ErrorCode.CONFIG_INVALID),
        ("28000", "pg_hba.conf lehnt Verbindung ab für Host »127.0.0.1«", ErrorCode.CONFIG_INVALID),
        ("3D000", 'データベース"postgres"は存在しません', ErrorCode.CONFIG_INVALID),
        ("42501", "нет прав для доступа к базе данных", ErrorCode.CONFIG_INVALID),
        ("42704", "unbekannter Konfigurationsparameter »x«", ErrorCode.CONFIG_INVALID),
        ("53300", "tut mir leid, schon zu viele Verbindungen", ErrorCode.STORAGE_UNAVAILABLE),
        ("57P03", "das Datenbanksystem startet", ErrorCode.STORAGE_UNAVAILABLE),
        ("ZZ999", "etwas Neues", ErrorCode.STORAGE_UNAVAILABLE),
    ],
)
def test_a_refusal_is_judged_by_its_sqlstate_in_any_language(monkeypatch, sqlstate, words, code):
    with server_in_another_language(sqlstate, words) as port:
        error = refusal(monkeypatch, host="127.0.0.1", port=port)
    assert error.code is code
    assert words in error.reason


@contextmanager
def rule(postgres: EmbeddedPostgres, rule: str, ready: Callable[[], bool]) -> Iterator[None]:
    """A first line of ``pg_hba.conf``, in force."""
    with psycopg.connect(postgres.dsn("postgres"), autocommit=True) as superuser:
        [path] = superuser.execute("SHOW hba_file").fetchone()
        rules = Path(path).read_text()
        Path(path).write_text(f"{rule}\n{rules}")
        try:
            superuser.execute("SELECT pg_reload_conf()")
            while not ready():
                pass
            yield
        finally:
            Path(path).write_text(rules)
            superuser.execute("SELECT pg_reload_conf()")


@pytest.mark.parametrize(
    ("method", "password", "words"),
    [
        ("scram-sha-256", PASSWORD, "password authentication failed"),
        ("scram-sha-256", None, "no password supplied"),
        ("reject", PASSWORD, "pg_hba.conf rejects connection"),
    ],
)
def test_what_pg_hba_refuses_is_a_configuration_error(postgres, monkeypatch, method, password, words):
    role = f"role_{uuid.uuid4().hex}"
    with psycopg.connect(postgres.dsn("postgres"), autocommit=True) as superuser:
        superuser.execute(f"CREATE ROLE {role} LOGIN PASSWORD 'the right one'")

    def is_refused() -> bool:
        try:
            psycopg.connect(postgres.dsn("postgres"), user=role).close()
        except psycopg.OperationalError:
            return True
        return False

    with rule(postgres, f"local all {role} {method}", is_refused):
        error = refusal(monkeypatch, host=postgres.socket_directory, login=role, password=password)
    assert error.code is ErrorCode.CONFIG_INVALID
    assert words in error.reason


def test_a_full_server_is_tried_again(postgres, monkeypatch):
    with database(postgres) as name:
        with psycopg.connect(postgres.dsn("postgres"), autocommit=True) as superuser:
            superuser.execute(f"ALTER DATABASE {name} CONNECTION LIMIT 0")
            role = f"role_{uuid.uuid4().hex}"
            superuser.execute(f"CREATE ROLE {role} LOGIN")
        error = refusal(monkeypatch, host=postgres.socket_directory, login=role, schema=name)
    assert error.code is ErrorCode.STORAGE_UNAVAILABLE
    assert "too many connections for database" in error.reason


@contextmanager
def server_with_a_certificate(certificate: Path) -> Iterator[int]:
    """A server that begins TLS as Postgres does; its port."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    context.set_alpn_protocols(["postgresql"])

    def serve_on(server: socket.socket) -> None:
        with suppress(OSError):
            while True:
                client, _ = server.accept()
                with client:
                    client.recv(8, socket.MSG_WAITALL)
                    client.sendall(b"S")
                    with suppress(ssl.SSLError), context.wrap_socket(client, server_side=True) as secure:
                        secure.recv(1)

    with socket.create_server(("127.0.0.1", 0)) as server:
        Thread(target=serve_on, args=[server], daemon=True).start()
        yield server.getsockname()[1]
        server.shutdown(socket.SHUT_RDWR)


@pytest.mark.parametrize(
    ("shown", "trusted", "words"),
    [
        ("db.example.com", "db.example.com", 'server certificate for "db.example.com"'),
        ("127.0.0.1", "another", "certificate verify failed"),
    ],
    ids=["another name", "not trusted"],
)
def test_a_servers_certificate_can_be_refused(monkeypatch, tmp_path, shown, trusted, words):
    files = {name: self_signed(name, tmp_path / f"{name}.pem") for name in (shown, trusted)}
    with server_with_a_certificate(files[shown]) as port:
        error = refusal(
            monkeypatch,
            host="127.0.0.1",
            port=port,
            extra={"sslmode": "verify-full", "sslrootcert": str(files[trusted])},
        )
    assert error.code is ErrorCode.CONFIG_INVALID
    assert words in error.reason


def test_postizs_names_are_read_from_a_database_of_another_encoding(postgres, monkeypatch):
    latin1 = "TEMPLATE template0 ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C'"
    with database(postgres, latin1) as name, bench_on(postgres, name, monkeypatch) as bench:
        bench.postiz.execute("""UPDATE "Organization" SET "name" = 'Größe & Söhne'""")
        [page] = active_integrations(bench.ingester.postiz_db, names_by_identifier())
        names = organization_names(bench.ingester.postiz_db, {one.organization_id for one in page})
    assert names == {"acme": "Größe & Söhne"}
    assert "Café 6" in {one.name for one in page}
