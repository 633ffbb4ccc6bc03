"""Notifiers that keep their messages, hang or fail."""

from __future__ import annotations

from threading import Event
from typing import Any, ClassVar

from airflow.sdk import BaseNotifier

from include.social_analytics.settings import Notifier


class Outbox(BaseNotifier):
    """Keeps what it is told to send."""

    template_fields = ("subject", "text")
    sent: ClassVar[list[tuple[str, str]]] = []

    def __init__(self, subject: str, text: str) -> None:
        super().__init__()
        self.subject, self.text = subject, text

    def notify(self, context: Any) -> None:
        self.sent.append((self.subject, self.text))


class Hanging(Outbox):
    """Never returns."""

    def notify(self, context: Any) -> None:
        Event().wait()


class Down(Outbox):
    """Always fails."""

    def notify(self, context: Any) -> None:
        raise OSError("https://hooks.example.org/s3cret")


ARGUMENTS = {"subject": "{{ alert_subject }}", "text": "{{ alert_message | e }}"}
OUTBOX = Notifier(f"{__name__}.Outbox", ARGUMENTS)
