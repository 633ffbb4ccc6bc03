"""Requests to LinkedIn's API: what it adds to any provider's API.

That is a version in a header, queries in Rest.li's syntax, and quotas that mostly last until midnight UTC.
"""

from __future__ import annotations

import re
from datetime import UTC, date, datetime
from typing import Any

import structlog

from include.social_analytics.airflow_compat import find_connection
from include.social_analytics.connectors.linkedin_page import LINKEDIN_API, PROVIDER
from include.social_analytics.connectors.linkedin_page.verdicts import (
    classify,
    is_of_the_member,
)
from include.social_analytics.cooldown import shared_cooldown
from include.social_analytics.errors import ErrorCode, JobError
from include.social_analytics.http.address import api_address
from include.social_analytics.http.client import Api, ApiAnswer, ApiClient, Quota, Verdict
from include.social_analytics.http.transport import BearerToken
from include.social_analytics.settings import Settings

log = structlog.get_logger(__name__)

DEFAULT_HOST = "api.linkedin.com"
DEFAULT_VERSION = "202603"
_VERSION = re.compile(r"(20\d\d)(0[1-9]|1[0-2])", re.ASCII)
#: What cannot be true of a page that has just answered the same question.
_ABOUT_THE_PAGE = (ErrorCode.OBJECT_NOT_FOUND, ErrorCode.PERMISSION_MISSING)
_Question = tuple[tuple[str, ...], frozenset[str]]
#: For so many months before a version ends, the log warns.
MONTHS_OF_WARNING = 3


def version_ends(version: str) -> date:
    """The first day on which LinkedIn may refuse a version such as 202603.

    A rule, because LinkedIn announces each version's end late: it serves a version for a year at least, and
    has ended each around the 15th of its month (https://learn.microsoft.com/linkedin/marketing/versioning).
    """
    return date(int(version[:4]) + 1, int(version[4:]), 15)


def is_ending(version: str, today: date) -> bool:
    """Whether ``version`` ends within the months of warning, or has ended."""
    end = version_ends(version)
    months = end.year * 12 + end.month - 1 - MONTHS_OF_WARNING
    return today >= date(months // 12, months % 12 + 1, end.day)


class LinkedInApi(Api):
    """LinkedIn's API as one app sees it. Thread-safe: each thread has its own, reused connection."""

    def __init__(self, settings: Settings) -> None:
        """Read the Airflow connection ``linkedin_api``; without one, LinkedIn's own host is called.

        :raises JobError: ``config_invalid`` when its address or API version is not usable.
        """
        known = find_connection(LINKEDIN_API)
        version = str((known.extra_dejson.get("api_version") if known else None) or DEFAULT_VERSION)
        if not _VERSION.fullmatch(version):
            raise JobError(
                ErrorCode.CONFIG_INVALID,
                f"The api_version in the extra of the Airflow connection {LINKEDIN_API!r} must look like "
                f"{DEFAULT_VERSION}, not {version!r}.",
            )
        base_url = api_address(LINKEDIN_API, known, DEFAULT_HOST)
        super().__init__(
            PROVIDER.name,
            base_url,
            account=PROVIDER.account,
            cooldown=shared_cooldown(PROVIDER.name, LINKEDIN_API, base_url),
            request_timeout=settings.request_timeout,
            request_backoff=settings.request_backoff,
        )
        self.version = version
        if is_ending(version, datetime.now(UTC).date()):
            log.warning(
                "api version ends",
                version=version,
                ends=str(version_ends(version)),
                advice=f"Set a newer api_version in the extra of the Airflow connection {LINKEDIN_API!r}.",
            )


class LinkedInClient(ApiClient):
    """LinkedIn's API for one account. Used by one thread at a time."""

    def __init__(self, api: LinkedInApi, token: str) -> None:
        super().__init__(api, token=[token], auth=BearerToken(token), judge=self._verdict)
        self._secrets = [token]
        self._headers = {"LinkedIn-Version": api.version, "X-Restli-Protocol-Version": "2.0.0"}
        #: What is asked now, and what has been answered: a path and the names of the parameters.
        self._asking: _Question = ((), frozenset())
        self._answered: set[_Question] = set()

    def get(self, *path: str, **params: str | int) -> dict[str, Any]:
        """The object at ``path``; see :meth:`ApiClient.get`.

        :param params: the query. Texts are encoded already, as Rest.li wants it (:mod:`.restli`).
        """
        self._asking = (path, frozenset(params))
        # As text, because requests would encode the parentheses of a dictionary's values.
        query = "&".join(f"{name}={value}" for name, value in params.items())
        return self._call("GET", ("rest", *path), params=query, headers=self._headers)

    def _verdict(self, answer: ApiAnswer) -> Verdict:
        """What an answer means for the job, and for the quotas."""
        if 200 <= answer.http_status < 300:
            self._answered.add(self._asking)
            return Verdict()
        now = datetime.now(UTC)
        error = classify(answer.http_status, answer.body, answer.headers, secrets=self._secrets, now=now)
        if error.code in _ABOUT_THE_PAGE and self._asking in self._answered:
            error = JobError(
                ErrorCode.API_UNAVAILABLE,
                f"The API contradicts what it answered about the {PROVIDER.account} before: {error.reason}",
                provider_code=error.provider_code,
                provider_subcode=error.provider_subcode,
                trace_id=error.trace_id,
            )
        if error.retry_after is None:
            return Verdict(error)
        quota = Quota.ACCOUNT if is_of_the_member(error) else Quota.APP
        return Verdict(error, pauses={quota: error.retry_after})
