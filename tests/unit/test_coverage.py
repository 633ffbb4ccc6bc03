"""What makes a run good enough, and who is told what."""

from datetime import date

import pytest

from include.social_analytics.coverage import assess
from include.social_analytics.errors import CuredBy, ErrorCode
from include.social_analytics.jobs import Integration
from include.social_analytics.warehouse.ledger import JobState

DAY = date(2026, 11, 20)


def judged(*outcomes: str) -> tuple[list[str], float]:
    """Complaints and coverage of a run whose jobs ended so: a status, or an error code."""
    integrations = [Integration(f"i{n}", f"Page {n}", "org", "facebook") for n in range(len(outcomes))]
    codes = [str(code) for code in ErrorCode]
    states = [
        JobState(
            job_id=f"analytics-ingest:{one.id}:{DAY}",
            integration_id=one.id,
            date=DAY,
            status="failed" if outcome in codes else outcome,
            error_class=None,
            error_code=outcome if outcome in codes else None,
            reason="It says so.",
            attempts=1,
            http_calls=2,
            dag_run_id="run",
        )
        for one, outcome in zip(integrations, outcomes, strict=True)
        if outcome != "unknown to the ledger"
    ]
    coverage = assess(integrations, states)
    return coverage.complaints(0.5), coverage.ratio


def test_nothing_to_divide_by_is_success():
    assert judged() == ([], 1.0)
    assert judged("token_invalid", "object_not_found") == ([], 1.0)


@pytest.mark.parametrize("status", ["succeeded", "recovered", "no_data", "pending"])
def test_a_day_as_complete_as_the_provider_lets_it_be_counts_as_covered(status):
    assert judged(status) == ([], 1.0)


@pytest.mark.parametrize("code", [code for code in ErrorCode if code.cured_by is CuredBy.OWNER])
def test_what_only_the_owner_can_cure_does_not_turn_the_run_red(code):
    assert judged("succeeded", code) == ([], 1.0)


def test_the_owners_codes_are_those_four():
    assert {code for code in ErrorCode if code.cured_by is CuredBy.OWNER} == {
        "token_invalid",
        "permission_missing",
        "object_not_found",
        "account_blocked",
    }


@pytest.mark.parametrize("code", [code for code in ErrorCode if code.cured_by is not CuredBy.OWNER])
def test_any_other_failure_does_and_is_named_with_its_cure(code):
    complaints, ratio = judged(*["succeeded"] * 9, code)
    assert ratio == 0.9
    [complaint] = complaints
    for part in ("'Page 9'", code, "It says so.", code.cure):
        assert part in complaint


@pytest.mark.parametrize("left", ["queued", "running", "unknown to the ledger"])
def test_a_job_that_never_ended_does_too(left):
    complaints, _ = judged("succeeded", left)
    assert complaints == ["1 jobs never ended: 'Page 1'."]


def test_low_coverage_does_too_and_names_the_setting():
    complaints, ratio = judged("succeeded", *["api_unavailable"] * 2, "token_invalid")
    assert ratio == pytest.approx(1 / 3)
    assert complaints[-1] == "Coverage 33% is under SOCIAL_ANALYTICS_MIN_COVERAGE (50%)."


def test_of_thousands_of_failures_a_person_is_told_some():
    [complaint, _] = judged(*["network"] * 5000)[0]
    assert complaint.startswith("5000 integrations failed")
    assert len(complaint) < 10_000
