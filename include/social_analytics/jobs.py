"""A job's identity: what it covers, its deterministic id, and the fields in each of its log lines."""

from __future__ import annotations

import datetime
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

import structlog


@dataclass(frozen=True)
class Integration:
    """A channel that an organization connected in Postiz. Never holds a token."""

    id: str
    name: str
    organization_id: str
    provider: str


@dataclass(frozen=True)
class Customer:
    """Some of an organization's channels that belong together: in Postiz, a group."""

    id: str
    name: str


@dataclass(frozen=True)
class IngestJob:
    """One day of one integration."""

    integration: Integration
    date: datetime.date
    is_backfill: bool

    @property
    def job_id(self) -> str:
        """The same for every run that covers the same integration and day."""
        return f"analytics-ingest:{self.integration.id}:{self.date.isoformat()}"

    def on(self, day: datetime.date) -> IngestJob:
        """The same integration's job for another day."""
        return replace(self, date=day)

    @contextmanager
    def log_context(self) -> Iterator[None]:
        """Bind the job's fields to every line logged by this thread inside the block."""
        with structlog.contextvars.bound_contextvars(
            organizationId=self.integration.organization_id,
            integrationId=self.integration.id,
            jobId=self.job_id,
            date=self.date.isoformat(),
        ):
            yield


@dataclass(frozen=True)
class AggregateJob:
    """Adding up one day, for all organizations or for one."""

    date: datetime.date
    organization_id: str | None = None

    @property
    def job_id(self) -> str:
        """The same for every run that covers the same day."""
        return f"analytics-aggregate:{self.date.isoformat()}"

    @contextmanager
    def log_context(self) -> Iterator[None]:
        """Bind the job's fields to every line logged by this thread inside the block."""
        with structlog.contextvars.bound_contextvars(
            organizationId=self.organization_id,
            integrationId=None,
            jobId=self.job_id,
            date=self.date.isoformat(),
        ):
            yield
