"""What every provider must do, over real HTTP to its stand-in, and on real Postgres.

A provider adds only a case file to ``cases/``.
"""

from __future__ import annotations

import json
import logging
import socket
import traceback
from collections import Counter
from contextlib import suppress
from datetime import datetime, timedelta
from urllib.parse import urlsplit

import pytest
from structlog.testing import capture_logs

from include.social_analytics.connectors import providers
from include.social_analytics.errors import ErrorClass, ErrorCode, JobError
from include.social_analytics.ingest import ThrottledError
from tests.connectors.case import Arranged, Situation
from tests.connectors.cases import CASES
from tests.connectors.trial import SETTINGS, Trial

#: This many characters of a secret in a row count as a leak.
FRAGMENT = 10
#: What any server can do instead of answering.
GARBAGE = ("html_503", "html_403", "json_404", "empty_body", "truncated", "huge_body", "reset")


# The suite itself


def test_every_provider_has_a_case_and_every_case_answers_each_situation() -> None:
    assert set(CASES) == set(providers())
    for name, case in CASES.items():
        assert set(case.situations) == set(Situation), name
        reasons = [one.reason for one in case.situations.values() if not isinstance(one, Arranged)]
        assert all(len(reason.split()) > 3 for reason in reasons), name


# What is stored


def test_every_figure_and_post_of_an_ordinary_day_is_stored(trial: Trial) -> None:
    job = trial.ingest()
    assert job["status"] == "succeeded"
    assert trial.stored() == trial.case.figures(trial.day) | trial.case.figures_now()
    assert set(trial.stored()) == set(trial.provider.metrics)
    assert trial.stored_posts() == trial.case.posts(*trial.post_days)
    assert len(trial.stored_posts()) > 3


def test_an_ordinary_day_takes_the_declared_number_of_calls_and_counts_them(trial: Trial) -> None:
    job = trial.ingest()
    assert len(trial.case.api.calls) == trial.case.calls_a_day
    assert job["http_calls"] == trial.case.calls_a_day
    assert {call.account_id for call in trial.case.api.calls} == {trial.case.account.id}


def test_reading_a_day_twice_stores_the_same_figures(trial: Trial) -> None:
    trial.ingest()
    before = trial.stored(), trial.stored_posts()
    trial.ingest()
    assert (trial.stored(), trial.stored_posts()) == before


def test_the_look_back_stores_earlier_days_without_values_as_of_now(trial: Trial) -> None:
    for day in (*trial.lookback, trial.day):
        trial.ingest(day)
    trial.connection.execute("DELETE FROM analytics.integration_metric_daily")
    trial.ingest()
    assert len(trial.lookback) >= trial.provider.final_after_days
    for day in trial.lookback:
        assert trial.stored(day) == trial.case.figures(day) | dict.fromkeys(trial.case.figures_now())


def test_a_value_as_of_now_is_not_stored_for_a_day_long_past(trial: Trial) -> None:
    trial.ingest(trial.lookback[0])
    stored = trial.stored(trial.lookback[0])
    assert stored == trial.case.figures(trial.lookback[0]) | dict.fromkeys(trial.case.figures_now())


def test_the_look_back_writes_no_day_without_a_job(trial: Trial) -> None:
    trial.ingest()
    days = trial.rows("SELECT DISTINCT date FROM analytics.integration_metric_daily")
    assert [row["date"] for row in days] == [trial.day]


def test_the_past_of_a_new_channel_comes_as_far_back_as_declared_and_in_few_calls(trial: Trial) -> None:
    day = trial.read_past()
    assert len(trial.case.api.calls) == trial.case.calls_of_the_past
    past = trial.provider.past_days(day, SETTINGS)
    assert len(past) == min(trial.provider.history_days - 1, SETTINGS.history_days)
    counted_from = day - timedelta(days=SETTINGS.post_window_days - 1)
    for each in past:
        figures = trial.case.figures(each)
        asked = trial.case.metrics_of_the_past
        known = {"posts_published"} if each >= counted_from else set()
        known |= figures.keys() - {"posts_published"} if asked is None else asked
        expected = {name: figures[name] if name in known else None for name in figures}
        assert trial.stored(each) == expected | dict.fromkeys(trial.case.figures_now()), each
        job = trial.job(each)
        assert (job["status"], job["is_backfill"], job["reason"]) == ("succeeded", True, None)
    assert trial.rows("SELECT FROM analytics.integration WHERE history_read_at IS NULL") == []


@pytest.mark.situations(Situation.RESTATED)
def test_a_corrected_figure_replaces_the_first_one(trial: Trial, situation: Situation) -> None:
    before = trial.day - timedelta(days=1)
    trial.ingest(before)
    first = {metric: trial.stored(before)[metric] for metric in trial.case.figures(before)}
    trial.arrange(situation)
    trial.ingest()
    now = {metric: trial.stored(before)[metric] for metric in trial.case.figures(before)}
    assert now == trial.case.figures(before)
    assert now != first


@pytest.mark.situations(Situation.QUIET)
def test_a_quiet_day_is_stored_as_zero_and_not_as_null(trial: Trial, situation: Situation) -> None:
    trial.arrange(situation)
    assert trial.ingest()["status"] == "succeeded"
    assert trial.stored() == trial.case.figures(trial.day) | trial.case.figures_now()
    assert None not in trial.stored().values()
    assert 0 in trial.stored().values()


@pytest.mark.situations(Situation.PENDING)
def test_a_day_that_is_not_published_is_pending_and_has_no_figures(
    trial: Trial, situation: Situation
) -> None:
    trial.arrange(situation)
    assert trial.ingest()["status"] == "pending"
    assert set(trial.stored()) <= {"posts_published", *trial.case.figures_now()}


@pytest.mark.situations(Situation.NO_DATA)
def test_an_account_without_figures_has_no_data_and_no_zeros(trial: Trial, situation: Situation) -> None:
    trial.arrange(situation)
    assert trial.ingest()["status"] == "no_data"
    assert set(trial.stored()) <= {"posts_published", *trial.case.figures_now()}


@pytest.mark.situations(Situation.PAGED)
def test_a_listing_of_several_pages_is_read_to_its_end(trial: Trial, situation: Situation) -> None:
    trial.arrange(situation)
    trial.ingest()
    assert trial.stored_posts() == trial.case.posts(*trial.post_days)
    assert len(trial.case.api.calls) > trial.case.calls_a_day


# What a reading lacks


POSTS_FAIL = (Situation.POSTS_REFUSED, Situation.POSTS_DOWN, Situation.LOST_PAGE)


@pytest.mark.situations(*POSTS_FAIL)
def test_posts_that_cannot_be_listed_cost_themselves_and_no_figure(
    trial: Trial, situation: Situation
) -> None:
    trial.arrange(situation)
    job = trial.ingest()
    assert (job["status"], job["error_class"], job["error_code"]) == ("succeeded", None, None)
    assert job["reason"]
    figures = trial.case.figures(trial.day) | trial.case.figures_now()
    assert trial.stored() == figures | {name: None for name in figures if name == "posts_published"}
    assert trial.stored_posts().items() < trial.case.posts(*trial.post_days).items()
    assert max(Counter(call.target for call in trial.case.api.calls).values()) <= 3
    assert len(trial.case.api.calls) <= trial.case.calls_a_day + 6


@pytest.mark.situations(*POSTS_FAIL)
def test_posts_that_cannot_be_listed_keep_their_rows(trial: Trial, situation: Situation) -> None:
    trial.ingest()
    before = trial.stored_posts(), trial.stored()
    trial.arrange(situation)
    assert trial.ingest()["reason"]
    assert (trial.stored_posts(), trial.stored()) == before


@pytest.mark.situations(*POSTS_FAIL)
def test_a_full_reading_clears_what_an_earlier_one_lacked(trial: Trial, situation: Situation) -> None:
    before = trial.day - timedelta(days=1)
    trial.arrange(situation)
    assert trial.ingest(before)["reason"]
    assert trial.ingest()["reason"]
    trial.case.api.faults.clear(trial.case.account.id)
    assert trial.ingest()["reason"] is None
    assert trial.job(before)["reason"] is None
    assert trial.stored() == trial.case.figures(trial.day) | trial.case.figures_now()
    assert trial.stored_posts() == trial.case.posts(*trial.post_days)


@pytest.mark.situations(Situation.RETIRED)
def test_a_retired_metric_is_null_and_named_and_not_asked_for_on_the_next_day(
    trial: Trial, situation: Situation
) -> None:
    before = trial.day - timedelta(days=1)
    retired = trial.case.retired
    trial.arrange(situation)
    for day in (before, trial.day):
        trial.case.api.clear_calls()
        job = trial.ingest(day)
        assert job["status"] == "succeeded"
        assert trial.provider.metrics[retired] in job["reason"]
        figures = trial.case.figures(day) | (trial.case.figures_now() if day == trial.day else {})
        assert {name: trial.stored(day)[name] for name in figures} == figures | {retired: None}
    assert len(trial.case.api.calls) == trial.case.calls_a_day
    [refusal] = trial.rows("SELECT * FROM analytics.unsupported_metric")
    assert (refusal["provider"], refusal["metric"]) == (trial.provider.name, trial.provider.metrics[retired])
    assert refusal["reason"]


@pytest.mark.situations(Situation.RETIRED)
def test_a_retired_metric_is_asked_for_again_after_a_week(trial: Trial, situation: Situation) -> None:
    age = "UPDATE analytics.unsupported_metric SET last_seen_at = last_seen_at - interval '7 days'"
    seen = "SELECT last_seen_at FROM analytics.unsupported_metric"
    trial.arrange(situation)
    trial.ingest()
    [first] = trial.rows(seen)
    trial.connection.execute(age)
    trial.ingest()
    [again] = trial.rows(seen)
    assert again["last_seen_at"] > first["last_seen_at"]
    assert trial.stored()[trial.case.retired] is None

    trial.case.api.faults.clear(trial.case.account.id)
    assert trial.ingest()["reason"]
    assert trial.stored()[trial.case.retired] is None
    trial.connection.execute(age)
    assert trial.ingest()["reason"] is None
    assert trial.stored() == trial.case.figures(trial.day) | trial.case.figures_now()


# What fails


REFUSED = {
    Situation.REVOKED: ErrorCode.TOKEN_INVALID,
    Situation.PERMISSION: ErrorCode.PERMISSION_MISSING,
    Situation.GONE: ErrorCode.OBJECT_NOT_FOUND,
    Situation.APP_OFF: ErrorCode.CONFIG_INVALID,
}


@pytest.mark.situations(*REFUSED)
def test_a_permanent_error_is_not_retried_and_is_recorded_with_its_reason(
    trial: Trial, situation: Situation
) -> None:
    said = trial.arrange(situation)
    with pytest.raises(JobError):
        trial.ingest()
    job = trial.job()
    assert (job["status"], job["error_code"]) == ("failed", REFUSED[situation])
    assert job["error_class"] == ErrorClass.PERMANENT
    assert job["provider_code"] == said.provider_code
    assert job["reason"]
    assert job["http_calls"] == len(trial.case.api.calls) > 0
    assert max(Counter(call.target for call in trial.case.api.calls).values()) == 1


@pytest.mark.situations(Situation.REVOKED)
def test_a_failed_reading_keeps_the_stored_figures(trial: Trial, situation: Situation) -> None:
    trial.ingest()
    before = trial.stored(), trial.stored_posts()
    trial.arrange(situation)
    with pytest.raises(JobError):
        trial.ingest()
    assert (trial.stored(), trial.stored_posts()) == before


@pytest.mark.situations(Situation.THROTTLED)
def test_a_spent_quota_queues_the_job_and_is_not_called_again(trial: Trial, situation: Situation) -> None:
    said = trial.arrange(situation)
    with pytest.raises(ThrottledError) as throttled:
        trial.ingest()
    job = trial.job()
    assert (job["status"], job["error_code"]) == ("queued", ErrorCode.RATE_LIMITED)
    assert job["provider_code"] == said.provider_code
    assert throttled.value.due > datetime.now(throttled.value.due.tzinfo)
    assert max(Counter(call.target for call in trial.case.api.calls).values()) == 1


@pytest.mark.situations(Situation.DOWN)
def test_an_api_that_is_down_is_called_three_times_and_read_when_it_is_back(
    trial: Trial, situation: Situation
) -> None:
    said = trial.arrange(situation)
    with pytest.raises(JobError):
        trial.ingest()
    job = trial.job()
    assert (job["status"], job["error_code"]) == ("failed", ErrorCode.API_UNAVAILABLE)
    assert job["provider_code"] == said.provider_code
    assert max(Counter(call.target for call in trial.case.api.calls).values()) == 3
    trial.case.api.faults.clear(trial.case.account.id)
    assert trial.ingest()["status"] == "succeeded"


def test_a_brief_outage_costs_one_more_call_and_nothing_else(trial: Trial) -> None:
    trial.case.fault("html_503", times=1)
    job = trial.ingest()
    assert job["status"] == "succeeded"
    assert job["http_calls"] == len(trial.case.api.calls) == trial.case.calls_a_day + 1


@pytest.mark.parametrize("kind", ["hang", "drip"])
def test_an_api_that_hangs_or_drips_fails_with_a_network_error(trial: Trial, kind: str) -> None:
    trial.case.fault(kind)
    with pytest.raises(JobError):
        trial.ingest(settings=SETTINGS.model_copy(update={"request_timeout": 0.1}))
    job = trial.job()
    assert (job["error_code"], job["error_class"]) == (ErrorCode.NETWORK, ErrorClass.TRANSIENT)


@pytest.mark.parametrize("kind", GARBAGE)
def test_a_garbage_answer_is_a_transient_failure_and_stores_nothing(trial: Trial, kind: str) -> None:
    trial.case.fault(kind)
    with pytest.raises(JobError):
        trial.ingest()
    job = trial.job()
    assert (job["status"], job["error_class"]) == ("failed", ErrorClass.TRANSIENT)
    assert job["error_code"] in (ErrorCode.RESPONSE_INVALID, ErrorCode.API_UNAVAILABLE, ErrorCode.NETWORK)
    assert trial.stored() == trial.stored_posts() == {}


# What must not leak


@pytest.mark.situations(Situation.HOSTILE_NEXT)
def test_a_listing_that_leads_to_another_host_is_not_followed(
    trial: Trial, situation: Situation, monkeypatch
) -> None:
    hosts = set()
    look_up = socket.getaddrinfo

    def recording(host, *arguments, **options):
        hosts.add(host)
        return look_up(host, *arguments, **options)

    trial.arrange(situation)
    monkeypatch.setattr(socket, "getaddrinfo", recording)
    with suppress(JobError):
        trial.ingest()
    assert hosts == {"127.0.0.1"}


def test_no_token_goes_out_in_clear(trial: Trial, monkeypatch) -> None:
    connection = json.dumps({"conn_type": "http", "host": "http://127.0.0.1.nip.example:8080"})
    for conn_id in trial.provider.connections:
        with monkeypatch.context() as patched:
            patched.setenv(f"AIRFLOW_CONN_{conn_id.upper()}", connection)
            with pytest.raises(JobError, match=f"'{conn_id}' would send tokens in clear") as refused:
                trial.ingest()
        assert refused.value.code is ErrorCode.CONFIG_INVALID
    assert trial.case.api.calls == []


def test_each_part_of_the_token_is_masked_as_soon_as_it_is_read(trial: Trial) -> None:
    trial.ingest()
    is_needed = trial.provider.token_address is not None
    assert set(trial.masked) >= trial.secrets - (set() if is_needed else {trial.case.refresh_token})


def test_every_bearer_of_a_request_is_masked(trial: Trial) -> None:
    trial.ingest()
    sent = {line.partition(" ")[2] for one in trial.sent for line in one.headers.splitlines()}
    bearers = {line.removeprefix("Bearer ") for line in sent if line.startswith("Bearer ")}
    assert bearers <= set(trial.masked)


@pytest.mark.situations(*Situation)
def test_in_each_situation_no_secret_shows_and_nothing_is_written_to_postiz(
    trial: Trial, caplog, situation: Situation
) -> None:
    before = trial.postiz_rows()
    trial.arrange(situation)
    assert_that_no_secret_shows(trial, caplog)
    assert trial.case.api.calls
    assert_that_the_refresh_token_goes_only_to_the_declared_address(trial)
    assert len(before) > 1
    assert trial.postiz_rows() == before


@pytest.mark.parametrize("kind", [*GARBAGE, "hang"])
def test_no_part_of_a_token_shows_when_the_server_does_not_answer(trial: Trial, caplog, kind: str) -> None:
    trial.case.fault(kind)
    assert_that_no_secret_shows(trial, caplog)


def test_no_part_of_a_token_shows_after_a_success(trial: Trial, caplog) -> None:
    assert_that_no_secret_shows(trial, caplog)
    assert trial.case.api.calls


def assert_that_no_secret_shows(trial: Trial, caplog) -> None:
    """Ingest, and search logs, errors, tables and URLs for secrets."""
    caplog.set_level(logging.DEBUG)
    errors = ""
    with capture_logs() as lines:
        try:
            trial.ingest(settings=SETTINGS.model_copy(update={"request_timeout": 0.3}))
        except (JobError, ThrottledError) as error:
            errors = "".join(traceback.format_exception(error)) + repr(vars(error))
    assert lines
    seen = "\n".join(
        (
            json.dumps(lines, default=repr),
            caplog.text,
            errors,
            trial.everything(),
            *(call.target for call in trial.case.api.calls),
        )
    )
    for secret in trial.secrets:
        parts = {secret[at : at + FRAGMENT] for at in range(max(len(secret) - FRAGMENT, 0) + 1)}
        assert not [part for part in parts if part in seen]


def assert_that_the_refresh_token_goes_only_to_the_declared_address(trial: Trial) -> None:
    """Search what was sent for the refresh token. It is only masked if it is needed."""
    token = trial.case.refresh_token
    went = {
        (one.method, one.path.removeprefix(f"/{trial.provider.name}"))
        for one in trial.sent
        if token in one.body
    }
    assert not [one for one in trial.sent if token in one.path + one.query + one.headers]
    address = trial.provider.token_address
    assert went == ({("POST", urlsplit(address).path)} if address else set())
    if address is None:
        assert token not in trial.masked, "A refresh token was read without need."
