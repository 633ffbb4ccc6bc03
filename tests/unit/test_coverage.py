"""When a run is good enough, and what its complaints say."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest

from include.social_analytics.coverage import assess, never_published, never_read
from include.social_analytics.errors import ErrorCode, ResolvedBy
from include.social_analytics.jobs import Integration
from include.social_analytics.warehouse.ledger import JobState, JobStatus

DAY = date(2026, 11, 20)


def listed(count: int) -> list[Integration]:
    """This many integrations."""
    return [Integration(f"i{n}", f"Page {n}", "org", "facebook") for n in range(count)]


def state(number: int, outcome: str) -> JobState:
    """The ledger's row of a job with this status, or failed with this error code."""
    failed = outcome in [str(code) for code in ErrorCode]
    return JobState(
        job_id=f"analytics-ingest:i{number}:{DAY}",
        integration_id=f"i{number}",
        date=DAY,
        status=JobStatus.FAILED if failed else JobStatus(outcome),
        error_class=None,
        error_code=outcome if failed else None,
        reason="It says so.",
        attempts=1,
        http_calls=2,
        dag_run_id="run",
        observed_at=None,
    )


def judged(*outcomes: str) -> tuple[list[str], float]:
    """Complaints and coverage of a run whose jobs have these outcomes."""
    states = [state(n, outcome) for n, outcome in enumerate(outcomes) if outcome != "unknown to the ledger"]
    coverage = assess(listed(len(outcomes)), states, "run")
    return coverage.complaints(0.5), coverage.ratio


def test_a_run_without_channels_to_judge_is_a_success():
    assert judged() == ([], 1.0)
    assert judged("token_invalid", "object_not_found") == ([], 1.0)


@pytest.mark.parametrize("status", ["succeeded", "recovered", "no_data", "pending"])
def test_a_day_that_ended_without_failure_counts_as_covered(status):
    assert judged(status) == ([], 1.0)


@pytest.mark.parametrize("code", [code for code in ErrorCode if code.resolved_by is ResolvedBy.OWNER])
def test_a_failure_that_only_the_owner_can_resolve_does_not_fail_the_run(code):
    assert judged("succeeded", code) == ([], 1.0)


def test_four_error_codes_are_resolved_by_the_owner():
    assert {code for code in ErrorCode if code.resolved_by is ResolvedBy.OWNER} == {
        "token_invalid",
        "permission_missing",
        "object_not_found",
        "account_blocked",
    }


@pytest.mark.parametrize("code", [code for code in ErrorCode if code.resolved_by is not ResolvedBy.OWNER])
def test_any_other_failure_fails_the_run_and_is_named_with_advice(code):
    complaints, ratio = judged(*["succeeded"] * 9, code)
    assert ratio == 0.9
    [complaint] = complaints
    for part in ("'Page 9'", code, "It says so.", code.advice):
        assert part in complaint


@pytest.mark.parametrize("left", ["queued", "running", "unknown to the ledger"])
def test_a_job_that_never_ended_fails_the_run(left):
    complaints, _ = judged("succeeded", left)
    assert complaints == ["1 jobs never ended: 'Page 1'."]


@pytest.mark.parametrize("status", ["queued", "running"])
def test_a_channel_taken_over_by_another_run_of_the_day_is_not_judged(status):
    here, taken_over, revoked = (
        state(n, one) for n, one in enumerate(["succeeded", status, "token_invalid"])
    )
    coverage = assess(listed(3), [here, replace(taken_over, dag_run_id="another"), revoked], "run")
    assert (coverage.complaints(0.5), coverage.ratio, coverage.taken_over) == ([], 1.0, listed(3)[1:2])


DUE = datetime(2026, 11, 21, 10, tzinfo=UTC)
LATER = DUE + timedelta(minutes=5)
EARLIER = DUE - timedelta(days=1)


@pytest.mark.parametrize(
    ("row", "is_told"),
    [
        (("token_invalid", "run", LATER), True),
        # It failed, and the look-back of a later day recovered it.
        (("recovered", "run", LATER), True),
        # Read before a clear, or by an earlier run: the failed task has not reached this job.
        (("succeeded", "run", EARLIER), False),
        (("succeeded", "run", LATER), False),
        (("succeeded", "another", EARLIER), False),
        (("network", "another", EARLIER), False),
        # Another run has claimed or read it since.
        (("succeeded", "another", LATER), True),
        (("queued", "another", EARLIER), True),
        (("queued", "another", None), True),
    ],
)
def test_a_failed_task_counts_as_unread_unless_the_ledger_shows_its_reading(row, is_told):
    outcome, run, observed_at = row
    told = replace(state(0, outcome), dag_run_id=run, observed_at=observed_at)
    untold = replace(state(1, "succeeded"), observed_at=EARLIER)
    batch = listed(2)
    unread = never_read([batch], [told, untold], "run", DUE)
    assert unread == (set() if is_told else set(batch))


@pytest.mark.parametrize("left", ["succeeded", "no_data", "token_invalid", "network"])
def test_an_unread_channel_does_not_count_by_what_an_earlier_run_left(left):
    states = [state(0, left), state(1, "succeeded")]
    coverage = assess(listed(2), states, "run", set(listed(2)[:1]))
    assert coverage.complaints(0.5) == ["1 jobs never ended: 'Page 0'."]
    assert coverage.ratio == 0.5
    assert coverage.by_status == {"succeeded": 1}
    assert not coverage.for_owner
    assert not coverage.for_operator


def test_an_error_code_of_a_later_version_is_an_unexpected_failure():
    row = replace(state(0, "network"), error_code="of_a_later_version")
    [failure] = assess(listed(1), [row], "run").for_operator
    assert failure.code is ErrorCode.UNEXPECTED


def test_days_that_were_never_published_are_a_failure_of_their_channel():
    days = {"i1": [DAY, date(2026, 11, 21)], "no longer listed": [DAY]}
    [failure] = never_published(listed(3), days)
    assert (failure.integration.id, failure.code) == ("i1", ErrorCode.NOT_PUBLISHED)
    assert failure.reason == "Not published: 2026-11-20, 2026-11-21."


def test_owners_failures_that_are_too_many_are_one_sentence_for_the_operator():
    states = [state(n, "token_invalid") for n in range(3)] + [state(3, "network")]
    coverage = assess(listed(4), states, "run", failed_alike={"i0", "i1", "i2"})
    assert (coverage.for_owner, coverage.ratio) == ([], 0)
    alike, other, _ = coverage.complaints(0.5)
    assert alike.startswith("3 facebook channels failed with token_invalid, like at least half of those")
    assert "owner" not in alike.replace("the cause is not their owners", "")
    assert other.startswith("1 channels failed, and their owners cannot resolve it: 'Page 3'")


def test_low_coverage_fails_the_run_and_names_the_setting():
    complaints, ratio = judged("succeeded", *["api_unavailable"] * 2, "token_invalid")
    assert ratio == pytest.approx(1 / 3)
    assert complaints[-1] == "Coverage 33% is under SOCIAL_ANALYTICS_MIN_COVERAGE (50%)."


def test_a_complaint_about_thousands_of_failures_names_only_some():
    [complaint, _] = judged(*["network"] * 5000)[0]
    assert complaint.startswith("5000 channels failed")
    assert len(complaint) < 10_000
