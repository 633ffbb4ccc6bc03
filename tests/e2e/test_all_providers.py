"""All providers in one run on a real scheduler: what happens at one provider costs the others nothing."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from itertools import count
from typing import Any

import psycopg
import pytest

from include.sandbox.demo import demos, serve
from include.sandbox.faults import Faults
from include.sandbox.local_airflow import LocalAirflow
from include.sandbox.postgres import EmbeddedPostgres
from include.sandbox.postiz_db import insert_integration, insert_organization
from include.sandbox.stand_ins.base import Demo
from include.social_analytics.connectors import providers
from include.social_analytics.errors import ErrorCode
from include.social_analytics.metrics import DAILY_METRICS
from tests.connectors.case import Case, Situation
from tests.connectors.cases import CASES
from tests.support.stage import DAY, Stage

#: The provider whose API is down on the day before, and the one that is throttled on the day.
DOWN, THROTTLED = "instagram", "facebook"
BEFORE = DAY - timedelta(days=1)
NOW = datetime.now(UTC)

#: A provider's three channels of the organization "acme". The token of the second one is dead.
Channels = tuple[Case, Case, Case]
#: Metric -> value, channels reported and expected.
Figures = dict[str, tuple[Any, int, int]]


@pytest.fixture(scope="module")
def made() -> Mapping[str, Demo]:
    return demos()


@pytest.fixture(scope="module")
def channels(made: Mapping[str, Demo]) -> dict[str, Channels]:
    """The first three accounts of each provider's demo, without the demo's own faults."""
    found: dict[str, Channels] = {}
    for name, demo in made.items():
        demo.api.world.now = lambda: NOW
        for account in demo.accounts:
            demo.api.faults.clear(account.id)
        cases = [CASES[name].of_demo(demo, account, NOW, DAY) for account in demo.accounts[:3]]
        cases[1].situations[Situation.REVOKED].bring_about(cases[1])
        found[name] = (cases[0], cases[1], cases[2])
    return found


@pytest.fixture(scope="module")
def stage(
    postgres: EmbeddedPostgres,
    postiz_template: str,
    tmp_path_factory: pytest.TempPathFactory,
    made: Mapping[str, Demo],
    channels: dict[str, Channels],
) -> Iterator[Stage]:
    """A running Airflow, the channels in a Postiz, and every provider's stand-in on one server."""
    for name, template in (("all_postiz", postiz_template), ("all_analytics", "template1")):
        postgres.create_database(name, template)
    postgres.create_database("all_airflow")
    home = tmp_path_factory.mktemp("airflow")
    with (
        psycopg.connect(postgres.dsn("all_postiz"), autocommit=True) as postiz,
        psycopg.connect(postgres.dsn("all_analytics"), autocommit=True) as analytics,
        serve(made) as running,
    ):
        insert_organization(postiz, "acme")
        for case in all_of(channels):
            insert_integration(postiz, id_of(case), "acme", case.account, **case.account.columns)
        environment = {
            # Only the runs that the test starts.
            "AIRFLOW__SCHEDULER__USE_JOB_SCHEDULE": "False",
            "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "False",
            "AIRFLOW_CONN_POSTIZ_DB": postgres.airflow_connection("all_postiz"),
            "AIRFLOW_CONN_ANALYTICS_DB": postgres.airflow_connection("all_analytics"),
            **running.environment,
            "SOCIAL_ANALYTICS_START_DATE": BEFORE.isoformat(),
            # No past of a new channel: only what the runs themselves read.
            "SOCIAL_ANALYTICS_HISTORY_DAYS": "0",
            # Batches with channels of several providers.
            "SOCIAL_ANALYTICS_MAX_MAPPED_TASKS": "2",
            "SOCIAL_ANALYTICS_RETRY_DELAY": "0",
            "SOCIAL_ANALYTICS_MAX_RETRY_DELAY": "1",
            "SOCIAL_ANALYTICS_REQUEST_BACKOFF": "0",
            # The test does not wait for retries.
            "SOCIAL_ANALYTICS_DEADLINE": "23:59",
            "SOCIAL_ANALYTICS_NOTIFIER": json.dumps(
                {
                    "class": "tests.support.outbox.Outbox",
                    "arguments": {
                        "path": str(home / "outbox.jsonl"),
                        "subject": "{{ alert_subject }}",
                        "text": "{{ alert_message }}",
                    },
                }
            ),
        }
        with LocalAirflow(home, postgres.sqlalchemy_url("all_airflow"), environment) as airflow:
            facebook = made["facebook"].api
            yield Stage(airflow, facebook.world, facebook, postiz, analytics, home, iter(()), count(1))
    for name in ("all_postiz", "all_analytics", "all_airflow"):
        postgres.drop_database(name)


def test_what_happens_at_one_provider_costs_the_others_nothing(
    stage: Stage, channels: dict[str, Channels]
) -> None:
    others = {name: cases for name, cases in channels.items() if name != DOWN}
    assert set(channels) == set(providers())
    assert len(channels) >= 3

    # One provider's API is down on the day before.
    the_app(channels[DOWN][0], Situation.DOWN)
    earlier = stage.run(date=BEFORE.isoformat())
    assert earlier.state == "failed"
    complaint = earlier.failure("check_coverage")
    assert "3 channels failed, and their owners cannot resolve it" in complaint
    for case in all_of(channels):
        is_down = case.provider == DOWN
        assert (repr(case.account.name) in complaint and f"({id_of(case)})" in complaint) == is_down
        if is_down:
            assert job(stage, case, BEFORE)["error_code"] in (ErrorCode.API_UNAVAILABLE, ErrorCode.NETWORK)
    # Two channels of each other provider are stored, and the third one is its owner's.
    [check] = earlier.of("check_coverage")
    [coverage] = [line for line in stage.lines_of(earlier, check) if line["event"] == "coverage"]
    stored = 2 * len(others)
    assert coverage["coverage"] == pytest.approx(stored / (stored + 3))
    for name, cases in others.items():
        assert figures(stage, name, BEFORE) == wanted(cases, BEFORE)
    assert {value for value, _, _ in figures(stage, DOWN, BEFORE).values()} == {None}

    # The API is back, and another provider is throttled.
    channels[DOWN][0].api.faults.clear(Faults.APP)
    throttled = [channels[THROTTLED][number] for number in (0, 2)]
    for case in throttled:
        case.fault("page_throttled_32", times=1)
    run_id = stage.start()
    rest = [
        case for cases in channels.values() for case in (cases[0], cases[2]) if case.provider != THROTTLED
    ]
    stage.wait_for(lambda: {status(stage, case) for case in rest} == {"succeeded"}, 120)
    assert stage.airflow.run_state(run_id) == "running"
    assert {status(stage, case) for case in throttled} == {"queued"}
    latest = stage.ended(run_id)
    assert latest.state == "success"
    assert stage.airflow.xcom(run_id, "check_coverage")["coverage"] == 1
    for name, cases in channels.items():
        assert figures(stage, name, DAY) == wanted(cases, DAY) | wanted_now(cases)

    # The look-back has brought the day before in.
    assert [job(stage, case, BEFORE)["status"] for case in channels[DOWN]] == [
        "recovered",
        "failed",
        "recovered",
    ]
    assert figures(stage, DOWN, BEFORE) == wanted(channels[DOWN], BEFORE)

    # Each dead token is its owner's, with the provider's own advice.
    [(subject, text)] = stage.outbox
    assert f"{len(channels)} of {3 * len(channels)} channels are missing" in subject
    groups = text.split("\n\n")
    for name, (_, dead, _) in channels.items():
        assert job(stage, dead, DAY)["error_code"] == ErrorCode.TOKEN_INVALID
        [group] = [group for group in groups if f"({id_of(dead)})" in group]
        assert f"the channel's owner: {providers()[name].advice_on(ErrorCode.TOKEN_INVALID)}\n" in group


def all_of(channels: dict[str, Channels]) -> list[Case]:
    return [case for cases in channels.values() for case in cases]


def id_of(case: Case) -> str:
    """The id of the integration."""
    return f"{case.provider}-{case.account.id}"


def the_app(case: Case, situation: Situation) -> None:
    """Bring the whole API of a case's provider into a situation, for all accounts."""
    own, case.account = case.account, replace(case.account, id=Faults.APP)
    case.situations[situation].bring_about(case)
    case.account = own


def job(stage: Stage, case: Case, day: date) -> dict[str, Any]:
    [row] = stage.rows(
        "SELECT * FROM analytics.ingest_job WHERE integration_id = %s AND date = %s", id_of(case), day
    )
    return row


def status(stage: Stage, case: Case) -> str | None:
    query = "SELECT status FROM analytics.ingest_job WHERE integration_id = %s AND date = %s"
    return next((row["status"] for row in stage.rows(query, id_of(case), DAY)), None)


def figures(stage: Stage, provider: str, day: date) -> Figures:
    """The organization's day at a provider: metric -> value, channels reported and expected.

    Without values as of now on the day before: they are stored only for the latest day.
    """
    rows = stage.rows(
        "SELECT * FROM analytics.organization_daily WHERE provider = %s AND date = %s", provider, day
    )
    found = {
        row["metric"]: (row["value"], row["integrations_reported"], row["integrations_expected"])
        for row in rows
    }
    case = CASES[provider](NOW, DAY)
    assert set(found) == {DAILY_METRICS[name].organization_name for name in providers()[provider].metrics}
    left_out = set() if day == DAY else {DAILY_METRICS[name].organization_name for name in case.figures_now()}
    return {name: said for name, said in found.items() if name not in left_out}


def wanted(cases: Channels, day: date) -> Figures:
    """The figures of the two healthy channels, as :func:`figures` returns them."""
    return summed(cases[0].figures(day), cases[2].figures(day))


def wanted_now(cases: Channels) -> Figures:
    """The same for values as of now."""
    return summed(cases[0].figures_now(), cases[2].figures_now())


def summed(one: Mapping[str, int | None], other: Mapping[str, int | None]) -> Figures:
    """A metric's organization name -> the sum of the two channels, and how many of the three have one."""
    found: Figures = {}
    for name in one:
        said = [value for value in (one[name], other[name]) if value is not None]
        found[DAILY_METRICS[name].organization_name] = sum(said) if said else None, len(said), 3
    return found
