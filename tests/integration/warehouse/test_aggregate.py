"""Aggregating a day for each organization."""

from __future__ import annotations

from decimal import Decimal
from threading import Barrier, Thread

import psycopg
import pytest

from include.social_analytics.connectors import provider_named
from include.social_analytics.connectors.reading import Reading
from include.social_analytics.warehouse import aggregate, ledger
from include.social_analytics.warehouse.aggregate import aggregate_day
from tests.support.readings import DAY, REVOKED, Warehouse, before, job, reading

METRICS = provider_named("facebook").metrics


def roll_up(warehouse: Warehouse, day=DAY) -> dict[tuple[str, str], tuple]:
    """Aggregate the day; its figures with expected and reported counts, by organization and metric."""
    written = aggregate_day(warehouse.connection, day)
    rows = warehouse.rows(
        "SELECT organization_id, metric, value, integrations_expected, integrations_reported"
        " FROM analytics.organization_daily WHERE date = %s",
        day,
    )
    assert len(rows) == written
    return {(organization, metric): tuple(rest) for organization, metric, *rest in rows}


def test_an_organizations_figure_is_the_sum_over_its_integrations(warehouse):
    for page, value, posts in (("a", 5, 2), ("b", 7, 1)):
        warehouse.store(job(page), reading({DAY: value}, posts=posts))
    warehouse.store(job("c", organization="globex"), reading({DAY: 100}))
    figures = roll_up(warehouse)
    assert {
        metric: figure for (organization, metric), figure in figures.items() if organization == "acme"
    } == {
        "views": (12, 2, 2),
        "reach_summed": (12, 2, 2),
        "engagements": (12, 2, 2),
        "follows": (12, 2, 2),
        "unfollows": (12, 2, 2),
        "followers": (12, 2, 2),
        "page_views": (12, 2, 2),
        "posts_published": (3, 2, 2),
    }
    assert figures["globex", "views"] == (100, 1, 1)


def test_a_failed_job_is_expected_and_never_counts_as_zero(warehouse):
    warehouse.store(job("a"), reading({DAY: 5}))
    warehouse.fail(job("b"))
    ledger.register(warehouse.connection, [job("c")], "run")
    assert roll_up(warehouse)["acme", "views"] == (5, 3, 1)


def test_a_metric_that_no_integration_reported_is_null(warehouse):
    warehouse.fail(job("a"))
    warehouse.store(job("b"), reading())
    warehouse.store(job("c"), reading({DAY: None}))
    figures = roll_up(warehouse)
    assert len(figures) == len(METRICS)
    assert figures["acme", "followers"] == (None, 3, 0)
    assert figures["acme", "posts_published"] == (0, 3, 2)


def test_a_channel_whose_day_is_pending_is_expected_and_its_posts_count(warehouse):
    for number, value in ((1, 1_000_000), (0, None)):
        day = before(number)
        warehouse.store(job("large", day), reading(value and {day: value}, day=day, posts=2))
        warehouse.store(job("small", day), reading({day: 10}, day=day, posts=1))
    assert warehouse.status(job("large")) == "pending"
    figures = roll_up(warehouse)
    assert (figures["acme", "views"], figures["acme", "posts_published"]) == ((10, 2, 1), (3, 2, 2))


def test_a_zero_that_was_reported_is_zero(warehouse):
    warehouse.store(job("a"), reading({DAY: 0}))
    assert roll_up(warehouse)["acme", "views"] == (0, 1, 1)


def test_figures_of_an_earlier_run_count_after_a_failed_rerun(warehouse):
    warehouse.store(job(), reading({DAY: 5}))
    warehouse.fail(job(), REVOKED)
    assert roll_up(warehouse)["acme", "views"] == (5, 1, 1)


def test_an_organization_whose_jobs_are_gone_loses_its_rows(warehouse):
    warehouse.store(job(), reading({DAY: 5}))
    warehouse.store(job("b", organization="globex"), reading({DAY: 5}))
    roll_up(warehouse)
    warehouse.connection.execute("DELETE FROM analytics.ingest_job WHERE organization_id = 'acme'")
    assert {organization for organization, _ in roll_up(warehouse)} == {"globex"}


def test_a_figure_counts_for_the_organization_of_its_job(warehouse):
    warehouse.store(job(day=before(1)), reading({before(1): 5}, day=before(1)))
    # The channel has moved to another organization. The look-back reads a day of the old one.
    warehouse.store(job(organization="globex"), reading({DAY: 6, before(1): 4}))
    assert roll_up(warehouse, before(1))["acme", "views"] == (4, 1, 1)
    assert roll_up(warehouse)["globex", "views"] == (6, 1, 1)


def connected_again(warehouse: Warehouse, *integrations: str, answer: Reading | None = None) -> None:
    """Read integrations of one account, one after another; each reads 5 unless ``answer`` is given."""
    for integration in integrations:
        start = warehouse.start(job(integration), "run", account_id="page")
        warehouse.store(job(integration), answer or reading({DAY: 5}), start)


def test_a_reconnected_account_counts_once_by_its_newest_reading(warehouse):
    connected_again(warehouse, "c", "b", "a")
    warehouse.store(job("a"), reading({DAY: 6}))
    warehouse.store(job("other"), reading({DAY: 1}))
    assert roll_up(warehouse)["acme", "views"] == (7, 2, 2)


def test_an_account_counts_by_its_successful_reading(warehouse):
    connected_again(warehouse, "old", "new")
    warehouse.fail(job("new"))
    warehouse.connection.execute(
        "UPDATE analytics.integration_metric_daily SET value = 6 WHERE integration_id = 'new'"
    )
    assert roll_up(warehouse)["acme", "views"] == (5, 1, 1)


@pytest.mark.parametrize(
    "answer",
    [reading(), reading({before(1): 5}), reading({DAY: 5}, without=("views",))],
    ids=["no data", "pending", "one metric not"],
)
@pytest.mark.parametrize("rerun_failed", [False, True])
def test_an_accounts_figure_survives_a_newer_reading_without_that_figure(warehouse, answer, rerun_failed):
    connected_again(warehouse, "old")
    connected_again(warehouse, "new", answer=answer)
    if rerun_failed:
        warehouse.fail(job("old"))
    assert roll_up(warehouse)["acme", "views"] == (5, 1, 1)


def test_an_account_of_two_organizations_counts_in_both(warehouse):
    for organization in ("acme", "globex"):
        one = job(organization, organization=organization)
        start = warehouse.start(one, "run", account_id="page")
        warehouse.store(one, reading({DAY: 5}), start)
    figures = roll_up(warehouse)
    assert figures["acme", "views"] == figures["globex", "views"] == (5, 1, 1)


def test_a_provider_that_the_catalogue_does_not_know_gets_no_rows(warehouse):
    warehouse.store(job("a"), reading({DAY: 5}))
    warehouse.fail(job("b", provider="elsewhere"))
    warehouse.fail(job("c", organization="globex", provider="elsewhere"))
    figures = roll_up(warehouse)
    assert {organization for organization, _ in figures} == {"acme"}
    assert figures["acme", "views"] == (5, 1, 1)


def test_only_the_rows_of_the_day_change(warehouse):
    for n in (0, 1):
        warehouse.store(job(day=before(n)), reading({before(n): 5}, day=before(n), lookback=0))
        aggregate_day(warehouse.connection, before(n))
    warehouse.connection.execute("UPDATE analytics.integration_metric_daily SET value = 9")
    others = warehouse.rows(
        "SELECT * FROM analytics.organization_daily WHERE date = %s ORDER BY metric", before(1)
    )
    assert roll_up(warehouse)["acme", "views"] == (9, 1, 1)
    assert others == warehouse.rows(
        "SELECT * FROM analytics.organization_daily WHERE date = %s ORDER BY metric", before(1)
    )


def test_aggregating_again_changes_only_the_time_of_aggregation(warehouse):
    warehouse.store(job(), reading({DAY: 5}))
    roll_up(warehouse)
    first = warehouse.table("organization_daily", "aggregated_at")
    roll_up(warehouse)
    assert warehouse.table("organization_daily", "aggregated_at") == first
    assert len({row["aggregated_at"] for row in warehouse.table("organization_daily")}) == 1


def test_a_day_without_jobs_has_no_rows(warehouse):
    assert roll_up(warehouse) == {}


def test_two_runs_that_aggregate_the_same_days_at_once_agree(warehouse):
    days = [before(n) for n in range(4)]
    for day in days:
        for page in ("a", "b"):
            warehouse.store(job(page, day), reading({day: 5}, day=day, lookback=0))
    together, failures = Barrier(4), []

    def run(order, connection):
        try:
            together.wait()
            for _ in range(5):
                for day in order:
                    aggregate_day(connection, day)
        except psycopg.Error as error:
            failures.append(error)

    threads = [Thread(target=run, args=(days[::step], warehouse.connect())) for step in (1, -1, 1, -1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    found = warehouse.rows(
        "SELECT date, value FROM analytics.organization_daily WHERE metric = 'views' ORDER BY date DESC"
    )
    assert found == [(day, Decimal(10)) for day in days]


def add_history(warehouse: Warehouse, first: int, last: int) -> None:
    """The days from ``first`` to ``last`` before ``DAY``: 200 pages of 20 organizations, each figure 1."""
    warehouse.connection.execute(
        """
        INSERT INTO analytics.ingest_job
            (job_id, organization_id, integration_id, provider, date, status, is_backfill, dag_run_id,
             account_id, observed_at)
        SELECT page || ':' || day, 'o' || page %% 20, page, 'facebook', day, 'succeeded', false, 'run',
            'account ' || page, day + 1
        FROM generate_series(1, 200) AS page, generate_series(%s::int, %s::int) AS n,
            LATERAL (SELECT %s::date - n) AS dates (day)
        """,
        [last, first, DAY],
    )
    warehouse.connection.execute(
        """
        INSERT INTO analytics.integration_metric_daily
        SELECT integration_id, metric, date, organization_id, provider, 1, metric, clock_timestamp(), job_id
        FROM analytics.ingest_job, unnest(%s::text[]) AS metric
        WHERE date BETWEEN %s AND %s
        """,
        [list(METRICS), before(first), before(last)],
    )


def analyze(warehouse: Warehouse) -> None:
    """Update the planner's statistics."""
    warehouse.connection.execute("ANALYZE analytics.ingest_job, analytics.integration_metric_daily")


def test_the_day_is_found_by_its_index_among_months_of_history(warehouse):
    add_history(warehouse, 58, -1)
    analyze(warehouse)
    parameters = {
        "day": DAY,
        "organizations": None,
        "complete": list(ledger.COMPLETE_STATUSES),
        "providers": ["facebook"],
        "metrics": ["views"],
        "organization_names": ["views"],
    }
    with warehouse.connection.transaction():
        warehouse.connection.execute(aggregate._HASH_WHOLE_DAYS)
        lines = warehouse.connection.execute("EXPLAIN " + aggregate._AGGREGATE, parameters).fetchall()
    plan = "\n".join(line for (line,) in lines)
    for table in ("ingest_job", "integration_metric_daily"):
        assert f"{table}_by_date" in plan, plan
        assert f"Seq Scan on {table}" not in plan, plan
    assert roll_up(warehouse)["o3", "views"] == (10, 10, 10)


def test_a_days_statement_is_not_compiled_first(warehouse):
    """Servers before Postgres 18 would: a way that is off counts as very costly there."""
    warehouse.connection.execute(
        "CREATE TABLE seen (jit text);"
        "CREATE FUNCTION see() RETURNS trigger LANGUAGE plpgsql AS"
        " $$ BEGIN INSERT INTO seen VALUES (current_setting('jit')); RETURN NULL; END $$;"
        "CREATE TRIGGER see AFTER INSERT ON analytics.organization_daily EXECUTE FUNCTION see()"
    )
    warehouse.store(job("a"), reading({DAY: 5}))
    roll_up(warehouse)
    assert warehouse.rows("SELECT jit FROM seen") == [("off",)]
    assert warehouse.rows("SHOW jit") == [("on",)]


def test_a_day_missing_from_the_statistics_is_read_once(warehouse):
    # As every night: the day was just stored, and the last ANALYZE saw only the days before it.
    warehouse.connection.execute("""
        ALTER TABLE analytics.ingest_job SET (autovacuum_enabled = off);
        ALTER TABLE analytics.integration_metric_daily SET (autovacuum_enabled = off);
    """)
    add_history(warehouse, 60, 1)
    analyze(warehouse)
    add_history(warehouse, 0, 0)
    with warehouse.connection.transaction():
        assert aggregate_day(warehouse.connection, DAY) == 20 * len(METRICS)
        [(read,)] = warehouse.rows("""
            SELECT seq_tup_read + idx_tup_fetch FROM pg_stat_xact_user_tables
            WHERE relid = 'analytics.integration_metric_daily'::regclass
        """)
    # The planner reads a few rows too. Joined row by row it would be more than a million.
    figures = 200 * len(METRICS)
    assert figures <= read < 2 * figures
