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


def settings_table() -> str:
    """The settings with their defaults."""
    rows = ["| variable | default | |", "|---|---|---|"]
    for name, field in Settings.model_fields.items():
        value = field.default
        if isinstance(value, timedelta):
            value = f"{value.total_seconds():g}"
        elif name == "run_at":
            value = f"{value:%H:%M}"
        elif isinstance(value, float):
            value = f"{value:g}"
        elif value is None:
            value = ""
        rows.append(f"| `{PREFIX}{name.upper()}` | {value} | {field.description} |")
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
