"""A notifier for tests: it writes its messages to a file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from airflow.sdk import BaseNotifier


class Outbox(BaseNotifier):
    """Appends a line of JSON for each message."""

    template_fields = ("subject", "text")

    def __init__(self, path: str, subject: str, text: str) -> None:
        super().__init__()
        self.path, self.subject, self.text = path, subject, text

    def notify(self, context: Any) -> None:
        """Write the line."""
        with Path(self.path).open("a") as lines:
            lines.write(json.dumps([self.subject, self.text]) + "\n")
