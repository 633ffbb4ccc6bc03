"""The ledger: the status of each job."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest

from include.social_analytics.connectors.reading import DayStatus
from include.social_analytics.errors import ErrorCode, JobError
from include.social_analytics.warehouse import complete_days, integrations, ledger
from tests.support.readings import DAY, DOWN, REVOKED, Warehouse, before, job, reading

QUOTA = JobError(ErrorCode.RATE_LIMITED, "Too many calls", provider_code="32")
HOUR = timedelta(hours=1)


def finish(warehouse: Warehouse, status: str) -> None:
    """Bring the job to that status, as a run does."""
    if status == "failed":
        warehouse.fail(job())
    elif status == "recovered":
        warehouse.fail(job())
        tomorrow = DAY + timedelta(1)
        warehouse.store(job(day=tomorrow), reading({DAY: 1}, day=tomorrow))
    else:
        values = {DayStatus.SUCCEEDED: {DAY: 1}, DayStatus.PENDING: {before(1): 1}}
        warehouse.store(job(), reading(values.get(DayStatus(status))))
    assert warehouse.status(job()) == status


def register(warehouse: Warehouse, run: str = "run", *jobs) -> None:
    ledger.register(warehouse.connection, jobs or [job()], run)


def test_a_registered_job_is_known_before_anything_works_on_it(warehouse):
    register(warehouse)
    row = warehouse.ledger_row(job())
    assert (row["status"], row["attempts"], row["observed_at"], row["dag_run_id"]) == (
        "queued",
        0,
        None,
        "run",
    )
    assert (row["organization_id"], row["integration_id"], row["provider"], row["date"]) == (
        "acme",
        "page",
        "facebook",
        DAY,
    )


@pytest.mark.parametrize("status", ["succeeded", "no_data", "pending", "failed", "recovered"])
def test_registering_leaves_a_finished_row_as_it_is(warehouse, status):
    finish(warehouse, status)
    row = warehouse.ledger_row(job())
    register(warehouse, "another")
    assert warehouse.ledger_row(job()) == row


def test_registering_queues_the_unfinished_jobs_of_an_earlier_run(warehouse):
    register(warehouse, "run", job("a"), job("b"))
    warehouse.start(job("b"))
    register(warehouse, "another", job("a"), job("b"))
    assert {(row["status"], row["dag_run_id"]) for row in warehouse.table("ingest_job")} == {
        ("queued", "another")
    }


def test_a_start_still_ends_its_job_after_another_run_registers_it(warehouse):
    seen = warehouse.start(job())
    register(warehouse, "another")
    warehouse.store(job(), reading({DAY: 1}), seen)
    assert warehouse.status(job()) == "succeeded"


@pytest.mark.parametrize("status", ["succeeded", "no_data", "pending", "failed", "recovered"])
def test_claiming_resets_finished_rows_for_this_run(warehouse, status):
    finish(warehouse, status)
    ledger.claim(warehouse.connection, [job()], ledger.Claim("another", 1), force=True)
    row = warehouse.ledger_row(job())
    assert (row["status"], row["dag_run_id"], row["attempts"]) == ("queued", "another", 1)
    assert {row["error_code"], row["error_class"], row["reason"], row["finished_at"], row["started_at"]} == {
        None
    }


@pytest.mark.parametrize("status", ["succeeded", "failed"])
def test_claiming_again_for_the_same_first_try_leaves_the_job_as_it_is(warehouse, status):
    start = warehouse.start(job(), first_try=2)
    if status == "failed":
        warehouse.fail(job(), start=start)
    else:
        warehouse.store(job(), reading({DAY: 1}), start)
    for run, first_try, left in (("run", 2, status), ("run", 4, "queued"), ("another", 4, "queued")):
        ledger.claim(warehouse.connection, [job()], ledger.Claim(run, first_try), force=False)
        assert warehouse.status(job()) == left


def test_a_job_keeps_waiting_for_quota_when_its_task_starts_again(warehouse):
    ledger.claim(warehouse.connection, [job()], ledger.Claim("run", 1), force=True)
    first = warehouse.start(job(), "run")
    throttle(warehouse, first)
    ledger.claim(warehouse.connection, [job()], ledger.Claim("run", 1), force=False)
    assert warehouse.start(job(), "run").working_since == first.working_since


def test_claiming_keeps_the_figures(warehouse):
    warehouse.store(job(), reading({DAY: 5}))
    ledger.claim(warehouse.connection, [job()], ledger.Claim("another", 1), force=True)
    assert warehouse.figures()["views"] == 5


def test_a_start_before_the_claim_stores_its_figures_but_does_not_end_the_job(warehouse):
    seen = warehouse.start(job())
    ledger.claim(warehouse.connection, [job()], ledger.Claim("another", 1), force=True)
    warehouse.fail(job(), REVOKED, seen)
    assert warehouse.status(job()) == "queued"
    warehouse.store(job(), reading({DAY: 5}), seen)
    assert warehouse.status(job()) == "queued"
    assert warehouse.figures()["views"] == 5
    warehouse.store(job(), reading({DAY: 6}))
    assert (warehouse.status(job()), warehouse.figures()["views"]) == ("succeeded", 6)


def test_each_start_counts_as_an_attempt_and_reads_the_clock(warehouse):
    first = warehouse.start(job(), "run")
    second = warehouse.start(job(), "run")
    assert (first.attempts, second.attempts) == (1, 2)
    assert first.working_since == first.observed_at < second.observed_at == second.working_since
    [(now,)] = warehouse.rows("SELECT clock_timestamp()")
    assert second.observed_at < now


def throttle(warehouse: Warehouse, start: ledger.Start):
    return ledger.wait_for_quota(warehouse.connection, start, QUOTA, HOUR, 2)


def test_a_throttled_job_is_queued_and_says_until_when(warehouse):
    start = warehouse.start(job(), "run")
    due = throttle(warehouse, start)
    [(now,)] = warehouse.rows("SELECT clock_timestamp()")
    assert start.observed_at + HOUR < due < now + HOUR
    row = warehouse.ledger_row(job())
    assert (row["status"], row["error_code"], row["provider_code"], row["http_calls"]) == (
        "queued",
        "rate_limited",
        "32",
        2,
    )
    assert row["finished_at"] is None
    assert due.isoformat(timespec="seconds") in row["reason"]


def test_the_wait_for_quota_counts_from_the_first_start_of_the_same_run(warehouse):
    first = warehouse.start(job(), "run")
    throttle(warehouse, first)
    second = warehouse.start(job(), "run")
    assert second.working_since == first.working_since
    throttle(warehouse, second)
    assert warehouse.start(job(), "run").working_since == first.working_since


@pytest.mark.parametrize("interlude", ["another run", "a failure", "a clear"])
def test_the_wait_for_quota_restarts_after(warehouse, interlude):
    first = warehouse.start(job(), "run")
    if interlude == "a failure":
        ledger.fail(warehouse.connection, first, QUOTA, 1)
    else:
        throttle(warehouse, first)
    run = "another" if interlude == "another run" else "run"
    if interlude != "a failure":
        # The first start of a task, in its run or since it was cleared.
        ledger.claim(warehouse.connection, [job()], ledger.Claim(run, 1), force=True)
    again = warehouse.start(job(), run)
    assert again.working_since == again.observed_at


def test_a_failure_records_the_providers_code_trace_and_message(warehouse):
    error = JobError(
        ErrorCode.PERMISSION_MISSING,
        "Needs ' read_insights",
        provider_code="200",
        provider_subcode="1",
        trace_id="t",
    )
    warehouse.fail(job(), error)
    row = warehouse.ledger_row(job())
    assert (row["status"], row["error_class"], row["error_code"]) == (
        "failed",
        "permanent",
        "permission_missing",
    )
    assert (row["provider_code"], row["provider_subcode"], row["trace_id"]) == ("200", "1", "t")
    assert row["reason"] == "Needs ' read_insights"
    assert row["finished_at"] > row["started_at"]


def test_a_failed_rerun_keeps_the_figures_of_the_earlier_one(warehouse):
    warehouse.store(job(), reading({DAY: 5}))
    warehouse.fail(job(), DOWN)
    assert (warehouse.status(job()), warehouse.figures()["views"]) == ("failed", 5)


def test_an_older_start_neither_fails_nor_throttles_the_job_of_a_newer_start(warehouse):
    older = warehouse.start(job(), "run")
    newer = warehouse.start(job(), "run")
    row = warehouse.ledger_row(job())
    warehouse.fail(job(), REVOKED, older)
    throttle(warehouse, older)
    assert warehouse.ledger_row(job()) == row
    warehouse.fail(job(), DOWN, newer)
    warehouse.fail(job(), REVOKED, older)
    assert warehouse.ledger_row(job())["error_code"] == "api_unavailable"


def test_starting_clears_the_last_error(warehouse):
    warehouse.fail(job())
    warehouse.start(job())
    row = warehouse.ledger_row(job())
    assert (row["status"], row["error_code"], row["reason"], row["finished_at"]) == (
        "running",
        None,
        None,
        None,
    )


def test_states_returns_only_known_jobs(warehouse):
    warehouse.fail(job("a"))
    [state] = ledger.states(warehouse.connection, [job("a").job_id, "unknown"])
    assert (state.job_id, state.integration_id, state.date) == (job("a").job_id, "a", DAY)
    assert (state.status, state.error_class, state.error_code) == ("failed", "permanent", "token_invalid")
    assert (state.attempts, state.http_calls, state.dag_run_id) == (1, 1, "run")
    assert ledger.states(warehouse.connection, []) == []


def test_thousands_of_jobs_are_registered_and_claimed_in_one_statement(warehouse):
    jobs = [job(f"page-{number}") for number in range(5000)]
    register(warehouse, "run", *jobs)
    register(warehouse, "another", *jobs)
    ledger.claim(warehouse.connection, jobs, ledger.Claim("third", 1), force=True)
    states = ledger.states(warehouse.connection, [one.job_id for one in jobs])
    assert len(states) == 5000
    assert {(state.status, state.dag_run_id) for state in states} == {("queued", "third")}


def test_registering_and_claiming_no_jobs_changes_nothing(warehouse):
    ledger.register(warehouse.connection, [], "run")
    ledger.claim(warehouse.connection, [], ledger.Claim("run", 1), force=True)
    assert warehouse.table("ingest_job") == []


def test_settling_fails_the_open_jobs_of_an_ended_run_and_no_others(warehouse):
    for name, run in (("killed", "run"), ("at work", "another")):
        ledger.register(warehouse.connection, [job(name)], run)
        warehouse.start(job(name), run)
    register(warehouse, "run", job("never started"))
    register(warehouse, "another", job("to come"))
    warehouse.store(job("done"), reading({DAY: 1}))
    assert ledger.settle(warehouse.connection, "run") == 2
    assert {row["integration_id"]: row["status"] for row in warehouse.table("ingest_job")} == {
        "killed": "failed",
        "at work": "running",
        "never started": "failed",
        "to come": "queued",
        "done": "succeeded",
    }
    for name in ("killed", "never started"):
        row = warehouse.ledger_row(job(name))
        assert (row["error_class"], row["error_code"]) == ("transient", "unexpected")
        assert "killed" in row["reason"]
        assert row["finished_at"] is not None


def test_a_settled_job_that_never_started_is_recovered_by_the_look_back(warehouse):
    register(warehouse, "run", job(day=before(1)))
    ledger.settle(warehouse.connection, "run")
    warehouse.store(job(), reading({before(1): 4, DAY: 5}))
    assert warehouse.status(job(day=before(1))) == "recovered"
    assert warehouse.figures(before(1))["views"] == 4


def test_a_job_settled_while_it_waits_for_quota_keeps_that_reason(warehouse):
    throttle(warehouse, warehouse.start(job(), "run"))
    assert ledger.settle(warehouse.connection, "run") == 1
    row = warehouse.ledger_row(job())
    assert (row["status"], row["error_code"]) == ("failed", "rate_limited")
    assert row["reason"].startswith("Waits for the API's quota until")


def test_settling_fails_jobs_of_any_run_that_are_open_for_a_day(warehouse):
    for name, day in (("old", DAY), ("started again", DAY), ("young", DAY), ("another day", before(9))):
        register(warehouse, "run", job(name, day))
        register(warehouse, "run", job(f"queued {name}", day))
        if name != "young":
            warehouse.connection.execute(
                "UPDATE analytics.ingest_job SET queued_at = queued_at - interval '25 hours'"
                " WHERE integration_id = ANY (%s)",
                [[name, f"queued {name}"]],
            )
        if name != "old":
            warehouse.start(job(name, day))
    warehouse.start(job("long at work"))
    warehouse.connection.execute(
        "UPDATE analytics.ingest_job SET queued_at = queued_at - interval '25 hours',"
        " observed_at = observed_at - interval '25 hours' WHERE integration_id = 'long at work'"
    )
    assert ledger.settle(warehouse.connection, "another") == 5
    for name in ("old", "queued old", "queued started again", "long at work"):
        assert warehouse.status(job(name)) == "failed"
    # A backfill that was killed: no later run covers its days.
    assert warehouse.status(job("queued another day", before(9))) == "failed"
    assert warehouse.status(job("another day", before(9))) == "running"


def test_settling_and_claiming_do_not_deadlock(warehouse):
    jobs = [job(f"page-{number}") for number in range(2000)]
    # On disk the rows are not in the order of the integrations' ids.
    for some in (jobs[1::2], jobs[::2]):
        ledger.claim(warehouse.connection, some, ledger.Claim("run", 1), force=True)

    def claim(connection):
        for _ in range(15):
            ledger.claim(connection, jobs, ledger.Claim("run", 1), force=True)

    def settle(connection):
        for _ in range(15):
            ledger.settle(connection, "run")

    with ThreadPoolExecutor(2) as pool:
        for work in [pool.submit(one, warehouse.connect()) for one in (claim, settle)]:
            work.result(60)


def test_a_reading_that_ends_after_it_was_settled_still_counts(warehouse):
    seen = warehouse.start(job())
    assert ledger.settle(warehouse.connection, warehouse.run) == 1
    warehouse.store(job(), reading({DAY: 5}), seen)
    row = warehouse.ledger_row(job())
    assert (row["status"], row["error_code"], row["reason"]) == ("succeeded", None, None)


def test_the_newest_complete_day_ignores_failures_that_only_owners_can_resolve(warehouse):
    connection = warehouse.connection
    assert complete_days.newest_complete_day(connection, "facebook", DAY) is None
    for days in (1, 2):
        warehouse.store(job(day=before(days)), reading({before(days): 1}, day=before(days)))
    warehouse.fail(job("revoked", day=before(1)), REVOKED)
    warehouse.store(job(), reading({before(2): 1, before(1): 1, DAY: 1}))
    assert complete_days.newest_complete_day(connection, "facebook", DAY) == DAY
    warehouse.fail(job("down"), DOWN)
    assert complete_days.newest_complete_day(connection, "facebook", DAY) == before(1)
    warehouse.start(job("running", day=before(1)))
    assert complete_days.newest_complete_day(connection, "facebook", DAY) == before(2)


def test_a_day_on_which_a_channel_has_no_job_is_not_complete(warehouse):
    connection = warehouse.connection
    channels = [job().integration, job("not-read").integration]
    integrations.remember(connection, channels, {}, before(1), before(1))
    warehouse.store(job(day=before(2)), reading({before(2): 1}, day=before(2)))
    warehouse.store(job(day=before(1)), reading({before(2): 1, before(1): 1}, day=before(1)))
    # Before the day from which it is expected, nobody misses it.
    assert complete_days.newest_complete_day(connection, "facebook", DAY) == before(2)
    assert complete_days.on_time_until(connection, "facebook", DAY, 2) == before(2)
    warehouse.store(job("not-read", day=before(1)), reading({before(1): 1}, day=before(1)))
    assert complete_days.newest_complete_day(connection, "facebook", DAY) == before(1)
    warehouse.store(job(), reading({before(1): 1, DAY: 1}))
    assert complete_days.newest_complete_day(connection, "facebook", DAY) == before(1)
    # Nor once it is gone.
    began = integrations.clock(connection)
    integrations.remember(connection, channels[:1], {}, DAY, DAY)
    integrations.retire(connection, began)
    assert complete_days.newest_complete_day(connection, "facebook", DAY) == DAY


def test_a_late_failure_takes_nothing_back_that_a_look_back_has_brought_in(warehouse):
    yesterday = job(day=before(1))
    late = warehouse.start(yesterday)
    ledger.settle(warehouse.connection, warehouse.run)
    warehouse.store(job(), reading({before(1): 4, DAY: 5}))
    warehouse.fail(yesterday, DOWN, late)
    ledger.wait_for_quota(warehouse.connection, late, QUOTA, HOUR, 2)
    assert warehouse.status(yesterday) == "recovered"


def test_a_job_that_waits_for_quota_goes_on_counting_when_another_run_registers_it(warehouse):
    first = warehouse.start(job(), "run")
    throttle(warehouse, first)
    register(warehouse, "another")
    assert warehouse.ledger_row(job())["error_code"] == "rate_limited"
    assert warehouse.start(job(), "run").working_since == first.working_since


@pytest.mark.parametrize(
    ("revoked", "stored", "too_many"),
    [(3, 0, True), (3, 3, True), (3, 4, False), (2, 0, False), (4, 4, True)],
)
def test_owners_failures_count_against_a_day_when_at_least_three_and_half_fail_alike(
    warehouse, revoked, stored, too_many
):
    ids = [f"revoked-{number}" for number in range(revoked)]
    for id_ in ids:
        warehouse.fail(job(id_), REVOKED)
    for number in range(stored):
        warehouse.store(job(f"stored-{number}"), reading({DAY: 5}))
    # Another provider's failures, and those of another day, neither add nor dilute.
    warehouse.fail(job("elsewhere", provider="another"), REVOKED)
    warehouse.fail(job("revoked-0", day=before(1)), REVOKED)
    assert complete_days.failed_alike(warehouse.connection, DAY) == (set(ids) if too_many else set())
    assert complete_days.newest_complete_day(warehouse.connection, "facebook", DAY) == (
        before(1) if too_many else DAY
    )


def test_failures_with_different_codes_do_not_add_up(warehouse):
    gone = JobError(ErrorCode.OBJECT_NOT_FOUND, "Gone")
    for number, error in enumerate([REVOKED, REVOKED, gone, gone]):
        warehouse.fail(job(f"page-{number}"), error)
    assert complete_days.failed_alike(warehouse.connection, DAY) == set()


def test_channels_that_a_run_never_read_do_not_dilute_its_failures(warehouse):
    ids = {f"revoked-{number}" for number in range(3)}
    for id_ in ids:
        warehouse.fail(job(id_), REVOKED)
    unread = [job(f"unread-{number}") for number in range(9)]
    ledger.claim(warehouse.connection, unread, ledger.Claim(warehouse.run, 1), force=True)
    assert complete_days.failed_alike(warehouse.connection, DAY) == ids
    ledger.settle(warehouse.connection, warehouse.run)
    assert complete_days.failed_alike(warehouse.connection, DAY) == ids


def test_a_run_of_a_few_broken_channels_does_not_make_them_too_many(warehouse):
    for number in range(9):
        warehouse.store(
            job(f"stored-{number}"), reading({DAY: 5}), warehouse.start(job(f"stored-{number}"), "all")
        )
    for number in range(3):
        one = job(f"revoked-{number}")
        warehouse.fail(one, REVOKED, warehouse.start(one, "all"))
    assert complete_days.failed_alike(warehouse.connection, DAY) == set()
    for number in range(3):
        one = job(f"revoked-{number}")
        warehouse.fail(one, REVOKED, warehouse.start(one, "narrow"))
    assert complete_days.failed_alike(warehouse.connection, DAY) == set()


def test_a_second_run_of_one_channel_does_not_give_the_failure_back_to_the_owners(warehouse):
    for number in range(3):
        warehouse.fail(job(f"revoked-{number}"), REVOKED)
    warehouse.fail(job("revoked-0"), REVOKED, warehouse.start(job("revoked-0"), "narrow"))
    assert len(complete_days.failed_alike(warehouse.connection, DAY)) == 3
    assert complete_days.newest_complete_day(warehouse.connection, "facebook", DAY) is None


def test_two_runs_that_wait_for_quota_in_turn_do_not_begin_the_wait_anew(warehouse):
    def starts(run: str, *, force: bool) -> ledger.Start:
        claim = ledger.Claim(run, 1)
        ledger.claim(warehouse.connection, [job()], claim, force=force)
        start = ledger.start(warehouse.connection, job(), claim)
        ledger.wait_for_quota(warehouse.connection, start, QUOTA, HOUR, 2)
        return start

    starts("one", force=True)
    # A run's first start begins the wait; the others go on with it.
    began = starts("other", force=True).working_since
    assert [starts(run, force=False).working_since for run in ("one", "other", "one")] == [began] * 3


def test_a_job_that_another_run_read_is_claimed_back_whole(warehouse):
    warehouse.start(job(), "one")
    warehouse.fail(job(), DOWN, warehouse.start(job(), "other"))
    ledger.claim(warehouse.connection, [job()], ledger.Claim("one", 1), force=False)
    row = warehouse.ledger_row(job())
    assert (row["status"], row["claimed_by"], row["error_code"]) == ("queued", "one#1", None)


def test_the_runs_that_covered_a_day_are_known_once_every_channel_has_ended(warehouse):
    connection = warehouse.connection
    pages = [job(f"page-{number}") for number in range(2)]
    integrations.remember(connection, [one.integration for one in pages], {}, DAY, DAY)
    assert ledger.runs_that_covered(connection, DAY) == set()
    warehouse.store(pages[0], reading({DAY: 5}), warehouse.start(pages[0], "one"))
    assert ledger.runs_that_covered(connection, DAY) == set()
    second = warehouse.start(pages[1], "other")
    assert ledger.runs_that_covered(connection, DAY) == set()
    warehouse.fail(pages[1], DOWN, second)
    assert ledger.runs_that_covered(connection, DAY) == {"one", "other"}
    integrations.remember(connection, [job("page-2").integration], {}, DAY, DAY)
    assert ledger.runs_that_covered(connection, DAY) == set()
    # A channel that is gone has no say, and neither has one that came later.
    began = integrations.clock(connection)
    integrations.remember(connection, [one.integration for one in pages], {}, DAY, DAY)
    integrations.retire(connection, began)
    integrations.remember(connection, [job("new").integration], {}, DAY + timedelta(days=1), DAY)
    assert ledger.runs_that_covered(connection, DAY) == {"one", "other"}


# Days that their provider has not published

LOOKBACK = {"facebook": 3}


def test_a_pending_day_is_not_complete(warehouse):
    connection = warehouse.connection
    warehouse.store(job(day=before(1)), reading({before(1): 1}, day=before(1)))
    warehouse.store(job(), reading({before(1): 1}))
    assert warehouse.status(job()) == "pending"
    assert complete_days.newest_complete_day(connection, "facebook", DAY) == before(1)
    tomorrow = DAY + timedelta(1)
    warehouse.store(job(day=tomorrow), reading({DAY: 1}, day=tomorrow))
    assert complete_days.newest_complete_day(connection, "facebook", tomorrow) == DAY


def brought_in(warehouse: Warehouse) -> None:
    """Tomorrow's run finds the day."""
    tomorrow = DAY + timedelta(1)
    warehouse.store(job(day=tomorrow), reading({DAY: 2, tomorrow: 2}, day=tomorrow))


def omitted(warehouse: Warehouse) -> None:
    """Tomorrow's run finds other days, and not this one."""
    tomorrow = DAY + timedelta(1)
    warehouse.store(job(day=tomorrow), reading({before(1): 2, tomorrow: 2}, day=tomorrow))


def unanswered(warehouse: Warehouse) -> None:
    """Tomorrow's run gets an empty answer."""
    tomorrow = DAY + timedelta(1)
    warehouse.store(job(day=tomorrow), reading(day=tomorrow))


def within_reach(warehouse: Warehouse) -> None:
    """The last run that reads the day again has ended."""
    ledger.give_up(warehouse.connection, DAY + timedelta(3), LOOKBACK)


def out_of_reach(warehouse: Warehouse) -> None:
    """The first run that does not read the day again has ended."""
    ledger.give_up(warehouse.connection, DAY + timedelta(4), LOOKBACK)


def killed(warehouse: Warehouse) -> None:
    """The run has ended, and its task may have been killed."""
    ledger.settle(warehouse.connection, warehouse.run)


@pytest.mark.parametrize(
    ("status", "afterwards"),
    [
        ("queued", ["queued", "queued", "queued", "queued", "queued", "failed"]),
        ("running", ["running", "running", "running", "running", "running", "failed"]),
        ("succeeded", ["succeeded", "pending", "succeeded", "succeeded", "succeeded", "succeeded"]),
        ("recovered", ["recovered", "pending", "recovered", "recovered", "recovered", "recovered"]),
        ("no_data", ["recovered", "pending", "no_data", "no_data", "no_data", "no_data"]),
        ("pending", ["recovered", "pending", "pending", "pending", "failed", "pending"]),
        ("failed", ["recovered", "failed", "failed", "failed", "failed", "failed"]),
    ],
)
def test_what_later_runs_make_of_a_job_in_each_status(warehouse, status, afterwards):
    """The transitions in the module's docstring that come from outside the job's own reading."""
    if status in ("queued", "running"):
        register(warehouse)
        if status == "running":
            warehouse.start(job())
    else:
        finish(warehouse, status)
    seen = []
    for happens in (brought_in, omitted, unanswered, within_reach, out_of_reach, killed):
        with warehouse.connection.connection.transaction(force_rollback=True):
            happens(warehouse)
            seen.append(warehouse.status(job()))
    assert seen == afterwards


def test_a_day_that_is_never_published_fails_with_that_reason(warehouse):
    finish(warehouse, "pending")
    read_at = warehouse.ledger_row(job())["observed_at"]
    assert ledger.give_up(warehouse.connection, DAY + timedelta(3), LOOKBACK) == {}
    assert ledger.give_up(warehouse.connection, DAY + timedelta(4), LOOKBACK) == {"facebook": 1}
    row = warehouse.ledger_row(job())
    assert (row["status"], row["error_class"], row["error_code"]) == ("failed", "transient", "not_published")
    assert "no later run reads it again" in row["reason"]
    assert row["observed_at"] == read_at
    assert ledger.give_up(warehouse.connection, DAY + timedelta(4), LOOKBACK) == {}


def test_a_day_that_was_given_up_too_early_is_still_recovered(warehouse):
    finish(warehouse, "pending")
    ledger.give_up(warehouse.connection, DAY + timedelta(4), LOOKBACK)
    brought_in(warehouse)
    row = warehouse.ledger_row(job())
    assert (row["status"], row["error_code"], row["reason"]) == ("recovered", None, None)


def test_each_provider_has_its_own_time_to_publish_and_one_that_is_gone_has_none(warehouse):
    for provider in ("facebook", "slow", "gone"):
        ledger.register(warehouse.connection, [job(provider, before(5), provider=provider)], "run")
    warehouse.connection.execute("UPDATE analytics.ingest_job SET status = 'pending'")
    given_up = ledger.give_up(warehouse.connection, DAY, {"facebook": 3, "slow": 7})
    assert given_up == {"facebook": 1, "gone": 1}
    assert warehouse.status(job("slow", before(5))) == "pending"


def test_a_backfilled_day_that_stays_pending_is_given_up_by_the_next_daily_run(warehouse):
    june = before(160)
    warehouse.store(job(day=june), reading({}, day=june))
    # Its own run, and other backfills of that time, leave it to runs of later days.
    assert ledger.give_up(warehouse.connection, june, LOOKBACK) == {}
    assert warehouse.status(job(day=june)) == "pending"
    assert ledger.give_up(warehouse.connection, DAY, LOOKBACK) == {"facebook": 1}


def test_a_backfill_gives_up_no_later_day(warehouse):
    finish(warehouse, "pending")
    assert ledger.give_up(warehouse.connection, before(160), LOOKBACK) == {}


def test_giving_up_does_not_wait_for_a_reading_that_brings_the_day_in(warehouse):
    finish(warehouse, "pending")
    reader = warehouse.connect()
    with reader.transaction():
        tomorrow = job(day=DAY + timedelta(1))
        ledger.recover(reader, warehouse.start(tomorrow), [DAY])
        assert ledger.give_up(warehouse.connection, DAY + timedelta(4), LOOKBACK) == {}
    assert warehouse.status(job()) == "recovered"


def test_the_days_that_were_given_up_are_known_for_four_weeks(warehouse):
    for page, days in (("a", (4, 5, 28)), ("b", (4,)), ("another", (4,)), ("down", ())):
        for number in days:
            warehouse.store(job(page, before(number)), reading({}, day=before(number)))
    warehouse.fail(job("down", before(4)), DOWN)
    ledger.give_up(warehouse.connection, DAY, LOOKBACK)
    found = ledger.given_up(warehouse.connection, ["a", "b", "down"], DAY)
    assert found == {"a": [before(5), before(4)], "b": [before(4)]}


def test_waiting_jobs_are_found_by_their_index_among_months_of_history(warehouse):
    warehouse.connection.execute(
        "INSERT INTO analytics.ingest_job (job_id, organization_id, integration_id, provider, date, status,"
        " is_backfill, dag_run_id)"
        " SELECT n::text, 'acme', n::text, 'facebook', %s::date - n %% 100, 'succeeded', false, 'run'"
        " FROM generate_series(1, 20000) AS n",
        [DAY],
    )
    finish(warehouse, "pending")
    warehouse.connection.execute("ANALYZE analytics.ingest_job")
    parameters = {"day": DAY, "dag_run_id": "run", "providers": ["facebook"], "lookback_days": [3]}
    parameters |= {"ended_runs": ["another"], "run_ended": "x"}
    parameters |= dict.fromkeys(("error_class", "error_code", "reason"), "x")
    for statement in (ledger._OPEN_RUNS, ledger._SETTLE, ledger._GIVE_UP):
        lines = warehouse.connection.execute(f"EXPLAIN {statement}", parameters)
        plan = "\n".join(line for (line,) in lines)
        assert "ingest_job_waiting" in plan, plan


@pytest.mark.parametrize(
    ("days", "on_time_until"),
    [
        # The newest day comes first. Facebook's days are final after two.
        ([], None),
        (["stored"], 0),
        (["pending", "stored"], 0),
        (["pending", "pending", "stored"], 0),
        (["pending", "pending", "pending", "stored"], 1),
        (["pending"] * 9 + ["stored"], 7),
        # One that failed is late at once.
        (["down", "stored"], 1),
        (["down", "pending", "stored"], 1),
        (["down", "pending", "pending", "pending", "stored"], 2),
        (["revoked", "stored"], 0),
        (["running", "stored"], 1),
        # A new installation.
        (["pending"], 0),
        (["pending", "pending"], 0),
        (["pending", "pending", "pending"], 1),
        (["down"], 1),
    ],
    ids=lambda days: "+".join(days) if isinstance(days, list) else None,
)
def test_a_day_may_be_pending_until_its_figures_are_final(warehouse, days, on_time_until):
    for number, status in enumerate(days):
        day = before(number)
        if status in ("down", "revoked"):
            warehouse.fail(job(day=day), {"down": DOWN, "revoked": REVOKED}[status])
        elif status == "running":
            warehouse.start(job(day=day))
        else:
            values = {day: 1} if status == "stored" else {}
            warehouse.store(job(day=day), reading(values, day=day, lookback=0))
    found = complete_days.on_time_until(warehouse.connection, "facebook", DAY, 2)
    assert found == (None if on_time_until is None else before(on_time_until))
