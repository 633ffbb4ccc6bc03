"""What must hold whatever the API answers: random mixtures of answers, through the tasks of whole runs.

An example is a story of a few runs for days in any order. In each run every channel's calls have answers of
their own. The tasks' bodies run with a context as Airflow gives them, over real HTTP and on real Postgres.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from types import SimpleNamespace
from typing import Any

import psycopg
import pytest
from airflow.sdk.exceptions import AirflowFailException, AirflowRescheduleException
from airflow.sdk.execution_time.context import OutletEventAccessors, set_current_context
from hypothesis import HealthCheck, Phase, event, given, settings
from hypothesis import strategies as st

from include.sandbox.postgres import EmbeddedPostgres
from include.sandbox.postiz_db import insert_integration, insert_organization
from include.sandbox.stand_ins.facebook.world import make_page
from include.social_analytics.assets import ORGANIZATION_DAILY
from include.social_analytics.connectors import providers
from include.social_analytics.dag_ids import AGGREGATE_TASK, INGEST_TASK, LIST_TASK
from include.social_analytics.databases import Database
from include.social_analytics.days import day_ended_at, label_of
from include.social_analytics.errors import JobError
from include.social_analytics.tasks.aggregate import analytics_aggregate
from include.social_analytics.tasks.check import check_coverage
from include.social_analytics.tasks.ingest import analytics_ingest
from include.social_analytics.tasks.list_integrations import list_active_integrations
from include.social_analytics.warehouse import complete_days
from tests.support.bench import DAY
from tests.support.scripted_http import Answer, Request, scripted_server

PROVIDER = providers()["facebook"]
ZONE = PROVIDER.timezone
OURS = {source: metric for metric, source in PROVIDER.metrics.items()}
CHANNELS = 4
RETRIES = 3
#: What ends a reading when the listing of posts answers it. Other errors there cost only the posts.
ABOUT_THE_ACCOUNT = ("revoked", "blocked", "app deleted", "app inactive")
#: How far back a story goes: further than the look-back.
DAYS_BACK = 5


def graph_error(code: int, message: str, status: int = 400, **more: object) -> Answer:
    return Answer({"error": {"message": message, "type": "OAuthException", "code": code, **more}}, status)


OWNERS = {
    "revoked": graph_error(190, "The session has been invalidated.", 401, error_subcode=460),
    "forbidden": graph_error(10, "(#10) Application does not have permission for this action", 403),
    "blocked": graph_error(368, "You're temporarily blocked from performing this action."),
}
OPERATORS = {
    "app deleted": graph_error(190, "Error validating application. Application has been deleted."),
    "app inactive": graph_error(
        200,
        "(#200) Access to this data is temporarily disabled for non-active apps or apps that have not "
        "recently accessed this data",
    ),
    "refused": graph_error(100, "(#100) since param is not valid"),
    "proxy": Answer("<html>Access denied</html>", 403, {"Content-Type": "text/html"}),
    "wrong host": Answer({"detail": "Not Found"}, 404),
    "down": graph_error(2, "Service temporarily unavailable", 500, is_transient=True),
    "garbage": Answer("<html>It works!</html>"),
}
ERRORS = OWNERS | OPERATORS
THROTTLED = graph_error(80001, "(#80001) There have been too many calls to this Page account.")


@dataclass(frozen=True)
class Behaviour:
    """How the API answers for one channel.

    :param insights: "values", "empty" or the name of an error.
    :param unpublished: days before the run's day whose values it leaves out; 0 is the day itself.
    :param posts: "listed", "page two fails" or the name of an error.
    :param throttled: it refuses the first call of each run because of the quota.
    """

    insights: str
    unpublished: frozenset[int]
    posts: str
    throttled: bool


ORDINARY = Behaviour("values", frozenset(), "listed", throttled=False)
BEHAVIOURS = st.one_of(
    st.just(ORDINARY),
    st.builds(
        Behaviour,
        insights=st.one_of(st.sampled_from(["values", "values", "empty"]), st.sampled_from(list(ERRORS))),
        unpublished=st.frozensets(st.integers(0, 3)),
        posts=st.one_of(st.sampled_from(["listed", "page two fails"]), st.sampled_from(list(ERRORS))),
        throttled=st.booleans(),
    ),
)
#: Often all channels have the same answers.
ALL_CHANNELS = st.one_of(
    st.lists(BEHAVIOURS, min_size=CHANNELS, max_size=CHANNELS),
    BEHAVIOURS.map(lambda behaviour: [behaviour] * CHANNELS),
)


@dataclass(frozen=True)
class Step:
    """One run: for the day that many days before the latest, with each channel's behaviour.

    :param channels: the run is narrowed to so many, if this is not None.
    """

    run_type: str
    days_back: int
    behaviours: Sequence[Behaviour]
    channels: int | None = None

    @property
    def day(self) -> date:
        return DAY - timedelta(days=self.days_back)


STEPS = st.one_of(
    st.builds(Step, st.sampled_from(["scheduled", "backfill"]), st.integers(0, DAYS_BACK), ALL_CHANNELS),
    st.builds(
        Step, st.just("manual"), st.integers(0, DAYS_BACK), ALL_CHANNELS, st.none() | st.integers(1, CHANNELS)
    ),
)
STORIES = st.lists(STEPS, min_size=1, max_size=4)


@dataclass(repr=False)
class Api:
    """The Graph API for a few pages. It remembers each number that it has said, and about what."""

    pages: Sequence[str]
    behaviours: dict[str, Behaviour] = field(default_factory=dict)
    day: date = DAY
    step: int = 0
    said: dict[tuple[str, str, date], set[int]] = field(default_factory=dict)
    _numbers: dict[tuple[object, ...], int] = field(default_factory=dict)
    _throttled: set[str] = field(default_factory=set)

    def begin(self, step: int, day: date, behaviours: Sequence[Behaviour]) -> None:
        """The same step begins again with the same numbers."""
        self.step, self.day = step, day
        self.behaviours = dict(zip(self.pages, behaviours, strict=True))
        self._throttled = {page for page in self.pages if self.behaviours[page].throttled}

    def answer(self, request: Request) -> Answer:
        [(account, edge)] = re.findall(r"/v[\d.]+/([^/]+)/(insights|published_posts)$", request.path)
        page = account.partition("_")[0]
        behaviour = self.behaviours[page]
        if page in self._throttled:
            self._throttled.remove(page)
            return THROTTLED
        if account != page:
            return Answer({"data": self._post(account, request.query["metric"].split(","))})
        if edge == "insights":
            return ERRORS.get(behaviour.insights) or self._insights(page, behaviour, request)
        return ERRORS.get(behaviour.posts) or self._posts(page, behaviour, request)

    def _number(self, *about: object) -> int:
        return self._numbers.setdefault((self.step, *about), 1_000 + len(self._numbers))

    def _days(self, request: Request) -> list[date]:
        first, end = (
            datetime.fromtimestamp(int(request.query[name]), ZONE).date() for name in ("since", "until")
        )
        return [first + timedelta(days=n) for n in range((end - first).days)]

    def _insights(self, page: str, behaviour: Behaviour, request: Request) -> Answer:
        if behaviour.insights == "empty":
            return Answer({"data": []})
        unpublished = {self.day - timedelta(days=n) for n in behaviour.unpublished}
        items = []
        for source in request.query["metric"].split(","):
            values = []
            for day in self._days(request):
                if day in unpublished or day > self.day:
                    continue
                number = self._number(page, source, day)
                self.said.setdefault((page, OURS[source], day), set()).add(number)
                end = day_ended_at(day, ZONE).isoformat()
                values.append({"value": number, "end_time": end})
            items.append({"name": source, "period": "day", "values": values})
        return Answer({"data": items})

    def _posts(self, page: str, behaviour: Behaviour, request: Request) -> Answer:
        """One post a day, two a page of the listing."""
        days = [day for day in self._days(request) if day <= self.day]
        days = [day for day in days if (DAY - day).days < 8]
        after = int(request.query.get("after", "0"))
        if after and behaviour.posts == "page two fails":
            return ERRORS["down"]
        for day in days:
            self.said.setdefault((page, "posts_published", day), set()).add(1)
        # A day before all posts has none.
        for day in self._days(request):
            if day not in days:
                self.said.setdefault((page, "posts_published", day), set()).add(0)
        posts = []
        for day in days[after : after + 2]:
            noon = datetime.combine(day, time(12), ZONE)
            posts.append(
                {
                    "id": f"{page}_{day:%Y%m%d}",
                    "created_time": noon.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S+0000"),
                    "insights": {"data": self._post(f"{page}_{day:%Y%m%d}", ["post_clicks"])},
                }
            )
        body: dict[str, Any] = {"data": posts}
        if after + 2 < len(days):
            body["paging"] = {"cursors": {"after": str(after + 2)}, "next": "https://graph.example/next"}
        return Answer(body)

    def _post(self, post: str, metrics: Sequence[str]) -> list[dict[str, object]]:
        return [
            {"name": one, "period": "lifetime", "values": [{"value": self._number(post, one)}]}
            for one in metrics
        ]


@dataclass(repr=False)
class Installation:
    """Channels in a Postiz, the API, and an Airflow whose scheduler is this object."""

    api: Api
    postiz: psycopg.Connection
    analytics: psycopg.Connection

    def run(self, step: Step, run_id: str) -> bool:
        """One run as Airflow makes it, with all retries and waits; returns whether it is green."""
        params = {} if step.channels is None else {"integration_ids": list(self.api.pages[: step.channels])}
        run = SimpleNamespace(
            run_id=run_id,
            run_type=step.run_type,
            logical_date=label_of(step.day),
            run_after=label_of(step.day),
            start_date=datetime.now(UTC),
            conf=params,
        )
        states: dict[str, str] = {}
        with airflow_context(run):
            batches = list_active_integrations()
        states[LIST_TASK] = "success"
        for index, batch in enumerate(batches):
            states[f"{INGEST_TASK}_{index}"] = self._ingest(run, batch, index)
        with airflow_context(run, states=states):
            analytics_aggregate()
        states[AGGREGATE_TASK] = "success"
        with airflow_context(run, states=states, batches=batches):
            try:
                check_coverage()
            except AirflowFailException:
                return False
        return True

    def _ingest(self, run: SimpleNamespace, batch: Any, index: int) -> str:
        """The state of the mapped task after its last try."""
        try_number, reschedules = 1, 0
        while try_number <= 1 + RETRIES:
            try:
                with airflow_context(run, try_number=try_number, map_index=index, reschedules=reschedules):
                    analytics_ingest(batch)
            except AirflowRescheduleException:
                reschedules += 1
                assert reschedules < 5
            except AirflowFailException:
                return "failed"
            except JobError:
                try_number += 1
            else:
                return "success"
        return "failed"

    def rows(self, query: str, *parameters: object) -> list[tuple[Any, ...]]:
        return self.analytics.execute(query, parameters).fetchall()

    def figures(self) -> dict[str, list[tuple[Any, ...]]]:
        """Everything that a second run of the same day must leave as it was."""
        return {
            table: self.rows(f"SELECT {columns} FROM analytics.{table} ORDER BY {columns}")
            for table, columns in {
                "ingest_job": "job_id, status, error_code, reason",
                "integration_metric_daily": "integration_id, metric, date, value, source_metric, job_id",
                "content": "integration_id, content_id, published_at, postiz_post_id",
                "content_metric_snapshot": "integration_id, content_id, metric, snapshot_date, value",
                "organization_daily": "organization_id, metric, date, value, integrations_expected, "
                "integrations_reported",
                "unsupported_metric": "metric",
            }.items()
        }


@contextmanager
def airflow_context(
    run: SimpleNamespace,
    *,
    try_number: int = 1,
    map_index: int = -1,
    reschedules: int = 0,
    states: dict[str, str] | None = None,
    batches: Any = None,
) -> Iterator[None]:
    """A task's context, as Airflow gives it."""
    ti = SimpleNamespace(
        dag_id="social_analytics_daily",
        run_id=run.run_id,
        try_number=try_number,
        max_tries=RETRIES,
        task=SimpleNamespace(retries=RETRIES, outlets=[ORGANIZATION_DAILY]),
        map_index=map_index,
        get_task_states=lambda **_: {run.run_id: dict(states or {})},
        xcom_pull=lambda **_: batches,
    )
    context: Any = {
        "dag_run": run,
        "params": run.conf,
        "ti": ti,
        "task_reschedule_count": reschedules,
        "outlet_events": OutletEventAccessors(),
    }
    with set_current_context(context):
        yield


@pytest.fixture
def installation(
    postiz: psycopg.Connection, analytics: psycopg.Connection, postgres: EmbeddedPostgres, monkeypatch
) -> Iterator[Installation]:
    accounts = [make_page(number) for number in range(1, CHANNELS + 1)]
    insert_organization(postiz, "acme")
    for account in accounts:
        insert_integration(postiz, account.id, "acme", account)
    api = Api([account.id for account in accounts])
    with scripted_server(api.answer) as server:
        for name, connection in (("POSTIZ_DB", postiz), ("ANALYTICS_DB", analytics)):
            monkeypatch.setenv(f"AIRFLOW_CONN_{name}", postgres.airflow_connection(connection.info.dbname))
        graph = {"conn_type": "http", "host": server.base_url}
        monkeypatch.setenv("AIRFLOW_CONN_FACEBOOK_GRAPH", json.dumps(graph))
        monkeypatch.setenv("SOCIAL_ANALYTICS_REQUEST_BACKOFF", "0")
        # The API of this test knows the days of the runs only.
        monkeypatch.setenv("SOCIAL_ANALYTICS_HISTORY_DAYS", "0")
        # Two batches: the isolation of channels within one and between two.
        monkeypatch.setenv("SOCIAL_ANALYTICS_MAX_MAPPED_TASKS", "2")
        yield Installation(api, postiz, analytics)


TABLES = (
    "ingest_job",
    "integration",
    "integration_metric_daily",
    "content",
    "content_metric_snapshot",
    "organization_daily",
    "unsupported_metric",
)


@given(story=STORIES)
@settings(
    max_examples=25,
    deadline=None,
    derandomize=True,
    # No shrinking: a story is short, and running it again and again takes minutes.
    phases=[Phase.generate],
    # Each example begins with empty tables.
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
def test_whatever_the_api_answers_nothing_is_made_up_or_hidden(installation: Installation, story: list[Step]):
    installation.analytics.execute(f"TRUNCATE {', '.join(f'analytics.{name}' for name in TABLES)}")
    installation.api.said.clear()
    for number, step in enumerate(story):
        installation.api.begin(number, step.day, step.behaviours)
        is_green = installation.run(step, f"run-{number}")
        event(f"green: {is_green}")
        nothing_is_made_up(installation)
        complete_means_complete(installation)
        totals_are_sums(installation)
        green_means_nothing_to_do(step, is_green=is_green)

        before = installation.figures()
        installation.api.begin(number, step.day, step.behaviours)
        assert installation.run(step, f"run-{number}-again") == is_green
        assert installation.figures() == before


def nothing_is_made_up(installation: Installation) -> None:
    """Each stored figure was said about that channel, metric and day."""
    stored = installation.rows(
        "SELECT integration_id, metric, date, value FROM analytics.integration_metric_daily"
        " WHERE value IS NOT NULL"
    )
    for channel, metric, day, value in stored:
        assert value in installation.api.said.get((channel, metric, day), set()), (channel, metric, day)


def complete_means_complete(installation: Installation) -> None:
    """Each channel of a complete day has a figure, or no figures at all, or an owner who must act."""
    with_figures = set(
        installation.rows(
            "SELECT integration_id, date FROM analytics.integration_metric_daily"
            " WHERE value IS NOT NULL AND metric <> 'posts_published'"
        )
    )
    owners = ("token_invalid", "permission_missing", "object_not_found", "account_blocked")
    database = Database("analytics_db", installation.analytics)
    for (day,) in installation.rows("SELECT DISTINCT date FROM analytics.ingest_job"):
        if complete_days.newest_complete_day(database, PROVIDER.name, day) != day:
            continue
        jobs = {
            channel: (status, code)
            for channel, status, code in installation.rows(
                "SELECT integration_id, status, error_code FROM analytics.ingest_job WHERE date = %s", day
            )
        }
        expected = installation.rows(
            "SELECT integration_id FROM analytics.integration WHERE expected_from <= %s", day
        )
        assert jobs.keys() >= {channel for (channel,) in expected}
        for channel, (status, code) in jobs.items():
            month_before = {day - timedelta(days=n) for n in range(1, 29)}
            had_figures = any((channel, one) in with_figures for one in month_before)
            assert (
                (channel, day) in with_figures
                or (status == "no_data" and not had_figures)
                or (status == "failed" and code in owners)
            ), (day, channel, status, code)
        many = Counter(code for status, code in jobs.values() if status == "failed")
        assert not any(count >= 3 for count in many.values()), (day, many)


def totals_are_sums(installation: Installation) -> None:
    """An organization's figure is the sum of what is stored, and null when nothing is."""
    differing = installation.rows(
        "SELECT o.metric, o.date, o.value, o.integrations_reported, s.total, s.reported"
        " FROM analytics.organization_daily AS o"
        " LEFT JOIN (SELECT metric, date, sum(value) AS total, count(value) AS reported"
        "            FROM analytics.integration_metric_daily GROUP BY metric, date) AS s"
        "   ON s.date = o.date AND s.metric = replace(o.metric, '_summed', '')"
        " WHERE o.value IS DISTINCT FROM s.total OR o.integrations_reported <> coalesce(s.reported, 0)"
    )
    assert not differing


def green_means_nothing_to_do(step: Step, *, is_green: bool) -> None:
    """Green: no channel failed for a reason that its owner cannot cure, nor most for the same one."""
    read = step.behaviours[: step.channels]
    failing = Counter(
        one.insights if one.insights in ERRORS else one.posts if one.posts in ABOUT_THE_ACCOUNT else "nothing"
        for one in read
    )
    if any(failing[name] for name in OPERATORS):
        assert not is_green, failing
    if step.channels is None and any(failing[name] >= 3 for name in OWNERS):
        assert not is_green, failing
    if all(one == ORDINARY for one in read):
        assert is_green
