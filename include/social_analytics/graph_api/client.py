"""Requests to the Graph API: what Meta adds to any provider's API.

That is a version in the path, a proof of the app's secret, the headers of usage, and the error table.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import threading
from datetime import timedelta
from typing import Any
from urllib.parse import quote

import structlog

from include.social_analytics.errors import ErrorCode, JobError
from include.social_analytics.graph_api import GraphConnection
from include.social_analytics.graph_api.usage import Usage, read_usage
from include.social_analytics.graph_api.verdicts import APP_LIMIT_CODE, classify
from include.social_analytics.http.client import Api, ApiAnswer, ApiClient, Quota, Verdict
from include.social_analytics.http.transport import BearerToken

log = structlog.get_logger(__name__)

#: Messages decide what some errors mean, and else come in the user's language.
LOCALE = "en_US"
#: The parameters that move through a listing. They ask for nothing that needs another permission.
POSITION = frozenset({"after", "limit"})
#: The app's quota is a rolling hour: after a quarter of it a good part of the quota is back.
COOLDOWN = timedelta(minutes=15)
#: Stop before the API refuses calls: other workers' running calls count, too.
APP_PERCENT_LIMIT = 95


class GraphApi(Api):
    """The Graph API as one app sees it. Thread-safe: each thread has its own, reused connection."""

    def __init__(
        self,
        provider: str,
        connection: GraphConnection,
        *,
        account: str,
        use_case: str,
        request_timeout: float,
        request_backoff: float,
    ) -> None:
        """
        :param account: what people call one account there: "page".
        :param use_case: what the API's usage header calls such accounts: "pages".
        """
        super().__init__(
            provider,
            connection.base_url,
            account=account,
            cooldown=connection.cooldown,
            request_timeout=request_timeout,
            request_backoff=request_backoff,
        )
        self.connection = connection
        self.use_case = use_case
        #: The version that the API answered in, if it was not the one that was asked for.
        self.other_version: str | None = None
        self._lock = threading.Lock()

    def client(self, account_id: str, token: str) -> GraphClient:
        """A client with one account's token; makes no call yet."""
        return GraphClient(self, account_id, token)

    def heed_version(self, answered: str) -> None:
        """Warn once if the API answered in another version than asked for, as it does for an expired one."""
        asked = self.connection.api_version
        if answered == asked or not re.fullmatch(r"v\d{1,3}\.\d", answered):
            return
        with self._lock:
            if self.other_version is None:
                self.other_version = answered
                log.warning("api answers in another version", asked=asked, answered=answered)


class GraphClient(ApiClient):
    """The Graph API for one account. Used by one thread at a time."""

    def __init__(self, api: GraphApi, account_id: str, token: str) -> None:
        super().__init__(api, token=[token], auth=BearerToken(token), judge=self._verdict)
        self._graph = api
        self._account_id = account_id
        #: What the API has answered about the account itself.
        self._answered: set[tuple[str, frozenset[tuple[str, object]]]] = set()
        self._secrets = [token]
        self._proof: dict[str, str] = {}
        #: The version that is asked for, like ``v25.0``.
        self.api_version = api.connection.api_version
        if app_secret := api.connection.app_secret:
            key, message = (secret.encode(errors="replace") for secret in (app_secret, token))
            self._proof = {"appsecret_proof": hmac.new(key, message, hashlib.sha256).hexdigest()}
            self._secrets += [app_secret, *self._proof.values()]

    def get(self, *path: str, **params: str | int) -> dict[str, Any]:
        """The object at ``path``, below the version; see :meth:`ApiClient.get`.

        :param params: the query, without authentication.
        """
        return super().get(self.api_version, *path, **params, locale=LOCALE, **self._proof)

    @property
    def notes(self) -> tuple[str, ...]:
        """Sentences about the API that the account's reader should know, although it answered."""
        if self._graph.other_version is None:
            return ()
        return (
            f"The API answered in version {self._graph.other_version} instead of {self.api_version}: "
            "set api_version in the extra of its Airflow connection.",
        )

    def _verdict(self, answer: ApiAnswer) -> Verdict:
        """What an answer means for the job, and for the quotas."""
        usage = read_usage(answer.headers, self._account_id, self._graph.use_case)
        self._graph.heed_version(answer.headers.get("facebook-api-version", ""))
        error = None
        body = answer.body
        if not 200 <= answer.http_status < 300 or not isinstance(body, dict) or body.get("error") is not None:
            error = classify(
                answer.http_status,
                body,
                secrets=self._secrets,
                trace_id=answer.headers.get("X-FB-Trace-ID"),
                retry_after=usage.wait,
            )
            error = self._reconsidered(answer, error)
        elif self._is_about_the_account(answer):
            self._answered.add(_question(answer))
        over_limit = error is not None and error.provider_code == str(APP_LIMIT_CODE)
        return Verdict(error, spent=_spent(usage), pauses=_pauses(usage, over_limit))

    def _reconsidered(self, answer: ApiAnswer, error: JobError) -> JobError:
        """The error; a transient one if it contradicts what the API has answered about the account before."""
        if error.code is ErrorCode.OBJECT_NOT_FOUND:
            contradicted = bool(self._answered) and self._is_about_the_account(answer)
        else:
            contradicted = error.code is ErrorCode.PERMISSION_MISSING and _question(answer) in self._answered
        if not contradicted:
            return error
        return JobError(
            ErrorCode.API_UNAVAILABLE,
            f"The API contradicts what it answered about the {self._graph.account} before: {error.reason}",
            provider_code=error.provider_code,
            provider_subcode=error.provider_subcode,
            trace_id=error.trace_id,
        )

    def _is_about_the_account(self, answer: ApiAnswer) -> bool:
        """Whether the account itself was asked about, and not one of its posts."""
        account = quote(self._account_id, safe="", errors="replace")
        return f"{answer.path}/".startswith(f"/{self.api_version}/{account}/")


def _question(answer: ApiAnswer) -> tuple[str, frozenset[tuple[str, object]]]:
    """What was asked, the same for all pages of a listing."""
    return answer.path, frozenset(item for item in answer.params.items() if item[0] not in POSITION)


def _spent(usage: Usage) -> dict[Quota, float]:
    percents = {Quota.APP: usage.app_percent, Quota.ACCOUNT: usage.account_percent}
    return {quota: percent for quota, percent in percents.items() if percent is not None}


def _pauses(usage: Usage, app_over_limit: bool) -> dict[Quota, timedelta]:
    """How long to pause, by quota.

    :param app_over_limit: whether the API refused the call because of the app's quota.
    """
    pauses = {}
    if app_over_limit:
        pauses[Quota.APP] = usage.wait or COOLDOWN
    elif (usage.app_percent or 0) >= APP_PERCENT_LIMIT:
        pauses[Quota.APP] = usage.retry_after or COOLDOWN
    if usage.account_is_throttled:
        pauses[Quota.ACCOUNT] = usage.wait or COOLDOWN
    return pauses
