"""Settings: every variable is read, and an error about a bad value is one sentence that names it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from datetime import date, time, timedelta
from unittest import mock
from zoneinfo import ZoneInfo

import pytest

from include.social_analytics.connectors import providers
from include.social_analytics.settings import Notifier, SettingError, Settings


def read(environment: Mapping[str, str]) -> Settings:
    """The settings of a process with this environment."""
    with mock.patch.dict(os.environ, environment):
        return Settings.from_environment()


def test_without_variables_the_documented_defaults_apply():
    assert read({}) == Settings()


def test_an_empty_variable_keeps_its_default():
    assert read({"SOCIAL_ANALYTICS_RUN_AT": "  "}) == Settings()


def test_the_process_environment_is_read_when_asked_not_at_import(monkeypatch):
    monkeypatch.setenv("SOCIAL_ANALYTICS_LOOKBACK_DAYS", "7")
    assert Settings.from_environment().lookback_days == 7


def test_every_variable_is_read():
    environment = {
        "SOCIAL_ANALYTICS_TIMEZONE": "Europe/Berlin",
        "SOCIAL_ANALYTICS_RUN_AT": "05:30",
        "SOCIAL_ANALYTICS_START_DATE": "2026-01-31",
        "SOCIAL_ANALYTICS_LOOKBACK_DAYS": "0",
        "SOCIAL_ANALYTICS_POST_WINDOW_DAYS": "1",
        "SOCIAL_ANALYTICS_PROVIDERS": " threads, facebook,",
        "SOCIAL_ANALYTICS_MAX_MAPPED_TASKS": "10",
        "SOCIAL_ANALYTICS_MAX_CONCURRENT_TASKS": "5",
        "SOCIAL_ANALYTICS_MAX_ACTIVE_RUNS": "2",
        "SOCIAL_ANALYTICS_RETRY_DELAY": "0",
        "SOCIAL_ANALYTICS_MAX_RETRY_DELAY": "0.5",
        "SOCIAL_ANALYTICS_REQUEST_BACKOFF": "0",
        "SOCIAL_ANALYTICS_REQUEST_TIMEOUT": " 12.5 ",
        "SOCIAL_ANALYTICS_MIN_COVERAGE": "1",
        "SOCIAL_ANALYTICS_SNAPSHOT_RETENTION_MONTHS": "25",
        "SOCIAL_ANALYTICS_RETENTION_MONTHS": "36",
        "SOCIAL_ANALYTICS_ERASE_AFTER_DAYS": "0",
        "SOCIAL_ANALYTICS_DELETION_DRY_RUN": "True",
        "SOCIAL_ANALYTICS_NOTIFIER": '{"class": "a.B", "arguments": {"text": "{{ alert_message }}"}}',
        "SOCIAL_ANALYTICS_REPORTS": "/reports",
        "SOCIAL_ANALYTICS_DEADLINE": "06:15",
    }
    assert read(environment) == Settings(
        timezone=ZoneInfo("Europe/Berlin"),
        run_at=time(5, 30),
        start_date=date(2026, 1, 31),
        lookback_days=0,
        post_window_days=1,
        providers=("threads", "facebook"),
        max_mapped_tasks=10,
        max_concurrent_tasks=5,
        max_active_runs=2,
        retry_delay=timedelta(0),
        max_retry_delay=timedelta(seconds=0.5),
        request_backoff=0.0,
        request_timeout=12.5,
        min_coverage=1.0,
        snapshot_retention_months=25,
        retention_months=36,
        erase_after_days=0,
        deletion_dry_run=True,
        notifier=Notifier("a.B", {"text": "{{ alert_message }}"}),
        reports="/reports",
        deadline=time(6, 15),
    )


WHOLE_NUMBERS = (
    "LOOKBACK_DAYS",
    "POST_WINDOW_DAYS",
    "MAX_MAPPED_TASKS",
    "MAX_CONCURRENT_TASKS",
    "MAX_ACTIVE_RUNS",
)
NUMBERS = ("RETRY_DELAY", "MAX_RETRY_DELAY", "REQUEST_BACKOFF", "REQUEST_TIMEOUT", "MIN_COVERAGE")
NEVER_A_NUMBER = ("nan", "inf", "-inf", "-1", "1e9999", "two", "MOCKED_VALUE", "1,5", "9" * 5000)


@pytest.mark.parametrize(
    ("name", "text"),
    [(name, text) for name in WHOLE_NUMBERS + NUMBERS for text in NEVER_A_NUMBER]
    + [(name, text) for name in WHOLE_NUMBERS for text in ("1.0", "1_0", "+1", "³")]
    + [
        ("LOOKBACK_DAYS", "90"),
        ("POST_WINDOW_DAYS", "0"),
        ("POST_WINDOW_DAYS", "91"),
        ("MAX_MAPPED_TASKS", "0"),
        ("MAX_MAPPED_TASKS", "1001"),
        ("MAX_CONCURRENT_TASKS", "0"),
        ("MAX_ACTIVE_RUNS", "0"),
        ("REQUEST_TIMEOUT", "0"),
        ("REQUEST_TIMEOUT", "1e300"),
        ("REQUEST_BACKOFF", "3601"),
        ("MIN_COVERAGE", "1.01"),
        ("SNAPSHOT_RETENTION_MONTHS", "0"),
        ("RETENTION_MONTHS", "0"),
        ("ERASE_AFTER_DAYS", "-1"),
        ("ERASE_AFTER_DAYS", "never"),
        ("DELETION_DRY_RUN", "yes"),
        ("DELETION_DRY_RUN", "1"),
        ("PROVIDERS", "friendster"),
        ("PROVIDERS", "Facebook"),
        ("PROVIDERS", ","),
        ("TIMEZONE", "Mars/Olympus"),
        ("TIMEZONE", "../etc/passwd"),
        ("TIMEZONE", "/etc/localtime"),
        ("TIMEZONE", "America"),
        ("TIMEZONE", "x" * 5000),
        ("TIMEZONE", "MOCKED_SOCIAL_ANALYTICS_TIMEZONE_VALUE"),
        ("RUN_AT", "24:00"),
        ("RUN_AT", "2 am"),
        ("RUN_AT", "02:00+01:00"),
        ("RUN_AT", "02:00Z"),
        ("DEADLINE", "6 am"),
        ("DEADLINE", "06:00:30"),
        ("DEADLINE", "06:00Z"),
        ("START_DATE", "2026-02-30"),
        ("START_DATE", "01.11.2026"),
        ("START_DATE", "2026-11-01T00:00"),
        # A typo would make hundreds of thousands of runs to catch up.
        ("START_DATE", "0206-11-01"),
        ("START_DATE", "9999-12-31"),
    ],
)
def test_a_bad_value_gives_one_sentence_that_names_the_variable(name, text):
    variable = f"SOCIAL_ANALYTICS_{name}"
    with pytest.raises(SettingError) as raised:
        read({variable: text})
    assert str(raised.value).startswith(f"{variable} must be ")
    assert str(raised.value).endswith(f", not {text!r}.")
    assert raised.value.__cause__ is None


def test_an_unknown_provider_is_named_with_those_that_there_are():
    with pytest.raises(SettingError) as raised:
        read({"SOCIAL_ANALYTICS_PROVIDERS": "facebook,friendster"})
    known = ", ".join(providers())
    assert str(raised.value) == (
        f"SOCIAL_ANALYTICS_PROVIDERS must be some of {known}, separated by commas, not 'friendster'."
    )


@pytest.mark.parametrize("deadline", ["02:00", "01:59"])
def test_a_deadline_that_is_not_after_the_run_time_is_refused_with_both_times(deadline):
    with pytest.raises(SettingError) as raised:
        read({"SOCIAL_ANALYTICS_DEADLINE": deadline})
    assert str(raised.value) == (
        "SOCIAL_ANALYTICS_DEADLINE must be later in the day than SOCIAL_ANALYTICS_RUN_AT (02:00), "
        f"not {deadline}."
    )


@pytest.mark.parametrize(
    "text",
    [
        "s3cret",
        "[]",
        "{}",
        '{"class": 1}',
        '{"class": "B"}',
        '{"class": "a.B", "arguments": ["s3cret"]}',
        "[" * 10**5,
    ],
)
def test_a_bad_notifier_is_named_without_its_secrets(text):
    with pytest.raises(SettingError) as raised:
        read({"SOCIAL_ANALYTICS_NOTIFIER": text})
    assert str(raised.value).startswith("SOCIAL_ANALYTICS_NOTIFIER must be JSON such as ")
    assert "s3cret" not in str(raised.value)


def test_a_setting_that_does_not_exist_is_refused():
    with pytest.raises(ValueError, match="nonsense"):
        Settings(nonsense=3)


def test_a_folder_for_reports_that_depends_on_where_airflow_runs_is_refused():
    with pytest.raises(SettingError, match="an absolute path or a URL with a scheme, not 'reports'"):
        read({"SOCIAL_ANALYTICS_REPORTS": "reports"})
