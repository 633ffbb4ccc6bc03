"""Requests to the Graph API: what Meta adds to any provider's API.

That is a version in the path, a proof of the app's secret, the headers of usage, and the error table.
"""

from __future__ import annotations

import hashlib
import hmac
from datetime import timedelta
from typing import Any

from include.social_analytics.graph_api import GraphConnection
from include.social_analytics.graph_api.usage import Usage, read_usage
from include.social_analytics.graph_api.verdicts import APP_LIMIT_CODE, classify
from include.social_analytics.http.client import Api, ApiAnswer, ApiClient, Quota, Verdict
from include.social_analytics.http.transport import BearerToken

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

    def client(self, account_id: str, token: str) -> GraphClient:
        """A client with one account's token; makes no call yet."""
        return GraphClient(self, account_id, token)


class GraphClient(ApiClient):
    """The Graph API for one account. Used by one thread at a time."""

    def __init__(self, api: GraphApi, account_id: str, token: str) -> None:
        super().__init__(api, token=[token], auth=BearerToken(token), judge=self._verdict)
        self._account_id = account_id
        self._use_case = api.use_case
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
        return super().get(self.api_version, *path, **params, **self._proof)

    def _verdict(self, answer: ApiAnswer) -> Verdict:
        """What an answer means for the job, and for the quotas."""
        usage = read_usage(answer.headers, self._account_id, self._use_case)
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
        over_limit = error is not None and error.provider_code == str(APP_LIMIT_CODE)
        return Verdict(error, spent=_spent(usage), pauses=_pauses(usage, over_limit))


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
