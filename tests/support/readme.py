"""The tables in the docs that come from the code. ``python -m tests.support.readme`` writes them."""

from __future__ import annotations

import re
from datetime import timedelta
from pathlib import Path

from include.social_analytics.connectors import providers
from include.social_analytics.errors import ErrorCode
from include.social_analytics.metrics import DAILY_METRICS
from include.social_analytics.settings import PREFIX, Settings

README = Path(__file__).resolve().parents[2] / "README.md"

_SETTING_MEANINGS = {
    "timezone": "the zone of `RUN_AT`",
    "run_at": "when a day's run starts, at the earliest at the day's end in Los Angeles",
    "start_date": "the first day that catch-up runs",
    "lookback_days": "days before the run's day whose metrics are read again",
    "post_window_days": "days whose posts are read, the run's day included",
    "max_mapped_tasks": "mapped ingest tasks of one run; beyond it, each takes a batch",
    "max_concurrent_tasks": "ingest tasks at once, over all runs",
    "max_active_runs": "scheduled and manual runs at once",
    "retry_delay": "seconds before Airflow's first retry; doubles with each",
    "max_retry_delay": "seconds before a retry at most; also the wait for a quota when the API names none",
    "request_backoff": "seconds between tries of one request, doubling; 3 tries",
    "request_timeout": "seconds to wait for the API to connect, and between two bytes",
    "min_coverage": "below it the run is red; of the jobs that did not fail for the owner to cure",
    "snapshot_retention_months": "full months of content snapshots to keep; unset: all",
    "notifier": "an Airflow notifier for alerts, as JSON; see Alerts. Unset: none",
    "deadline": "in `TIMEZONE`, after `RUN_AT`: when to alert of a day whose run has not ended",
}


def settings_table() -> str:
    """The settings with their defaults."""
    defaults = Settings()
    rows = ["| variable | default | |", "|---|---|---|"]
    for name, meaning in _SETTING_MEANINGS.items():
        value = getattr(defaults, name)
        if isinstance(value, timedelta):
            value = f"{value.total_seconds():g}"
        elif name == "run_at":
            value = f"{value:%H:%M}"
        elif isinstance(value, float):
            value = f"{value:g}"
        elif value is None:
            value = ""
        rows.append(f"| `{PREFIX}{name.upper()}` | {value} | {meaning} |")
    return "\n".join(rows)


def metrics_table() -> str:
    """The catalogue."""
    rows = ["| metric | unit | kind | the organization's | Facebook |", "|---|---|---|---|---|"]
    for metric in DAILY_METRICS.values():
        source = providers()["facebook"].metrics[metric.name]
        shown = f"counted by day of `{source}`" if metric.name == "posts_published" else f"`{source}`"
        rows.append(
            f"| `{metric.name}` | {metric.unit} | {metric.kind} | `{metric.organization_name}` | {shown} |"
        )
    return "\n".join(rows)


def errors_table() -> str:
    """The error codes with class and cure."""
    rows = ["| code | class | who | what to do |", "|---|---|---|---|"]
    rows += [f"| `{code}` | {code.error_class} | {code.resolved_by} | {code.advice} |" for code in ErrorCode]
    return "\n".join(rows)


def faults_table() -> str:
    """What breaks and what happens then, from the tests' names: ``test_<fault>__<outcome>``."""
    rows = ["| injected | seen |", "|---|---|"]
    for path in sorted(README.parent.glob("tests/**/test_faults.py")):
        for fault, outcome in re.findall(r"(?m)^def test_(\w+?)__(\w+)\(", path.read_text()):
            rows.append(f"| {fault.replace('_', ' ')} | {outcome.replace('_', ' ')} |")
    return "\n".join(rows)


def rendered(text: str) -> str:
    """``text`` with every generated table as it should be."""
    for name, table in (
        ("settings", settings_table()),
        ("metrics", metrics_table()),
        ("errors", errors_table()),
        ("faults", faults_table()),
    ):
        block = f"<!-- {name} -->\n{table}\n<!-- /{name} -->"
        text, found = re.subn(
            rf"<!-- {name} -->.*?<!-- /{name} -->", lambda _, block=block: block, text, flags=re.DOTALL
        )
        if found != 1:
            raise ValueError(f"The README needs exactly one block <!-- {name} --> … <!-- /{name} -->.")
    return text


if __name__ == "__main__":
    README.write_text(rendered(README.read_text()))
