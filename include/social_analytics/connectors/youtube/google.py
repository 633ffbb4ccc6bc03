"""Google's APIs for one app: their addresses, the app's client, and the access tokens that it has fetched."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import requests
import structlog

from include.social_analytics.airflow_compat import find_connection
from include.social_analytics.connectors.base import Account
from include.social_analytics.connectors.youtube import GOOGLE_API, PROVIDER
from include.social_analytics.connectors.youtube.verdicts import api_verdict, token_verdict
from include.social_analytics.cooldown import shared_cooldown
from include.social_analytics.errors import ErrorCode, JobError
from include.social_analytics.http.address import api_address
from include.social_analytics.http.client import Api, ApiClient
from include.social_analytics.http.transport import BearerToken
from include.social_analytics.settings import Settings

log = structlog.get_logger(__name__)

ANALYTICS_HOST = "youtubeanalytics.googleapis.com"
DATA_HOST = "youtube.googleapis.com"
#: An access token is used until shortly before its end: a reading with slow answers takes minutes.
SPARE_SECONDS = 600
_MAX_SECONDS = 3600


@dataclass(frozen=True)
class GoogleApp:
    """The three APIs, and the client that Postiz connects channels with. Thread-safe.

    ``access_tokens`` holds what was fetched by now: by refresh token, the access token and, by the process's
    clock, until when it is used.
    """

    token: Api
    analytics: Api
    data: Api
    client_id: str
    client_secret: str = field(repr=False)
    access_tokens: dict[str, tuple[str, float]] = field(default_factory=dict, repr=False)


def google_app(settings: Settings) -> GoogleApp:
    """The app of Airflow's connection ``google_api``. A host that is given stands for all of Google's.

    :raises JobError: ``config_invalid`` when the connection is missing or cannot be used.
    """
    known = find_connection(GOOGLE_API)
    token_host = urlsplit(PROVIDER.token_address or "").netloc
    token, analytics, data = (
        api_address(GOOGLE_API, known, host) for host in (token_host, ANALYTICS_HOST, DATA_HOST)
    )
    client_id, client_secret = (known.login or "", known.password or "") if known else ("", "")
    if not (client_id and client_secret):
        raise JobError(
            ErrorCode.CONFIG_INVALID,
            f"The Airflow connection {GOOGLE_API!r} must have the client id of Postiz's app at Google as "
            "login, and its client secret as password.",
        )
    # Google counts the calls of the project, whichever channel they are about.
    cooldown = shared_cooldown(PROVIDER.name, GOOGLE_API, data)

    def api(base_url: str) -> Api:
        return Api(
            PROVIDER.name,
            base_url,
            account=PROVIDER.account,
            cooldown=cooldown,
            request_timeout=settings.request_timeout,
            request_backoff=settings.request_backoff,
        )

    return GoogleApp(api(token), api(analytics), api(data), client_id, client_secret)


class Unchanged(requests.auth.AuthBase):
    """Authorizes a request whose form does it. Without an ``auth``, ``requests`` looks into ``.netrc``."""

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        return request


class GoogleClient:
    """Google's APIs for one account. Used by one thread at a time."""

    def __init__(self, app: GoogleApp, account: Account) -> None:
        self._app, self._account = app, account
        #: Whatever must not show in a reason.
        self._secrets = [account.refresh_token, *account.secrets, app.client_secret]
        self._tokens = ApiClient(
            app.token,
            token=[account.refresh_token],
            auth=Unchanged(),
            judge=lambda answer: token_verdict(answer, self._secrets),
        )
        self._apis: dict[Api, ApiClient] = {}
        self._is_renewed = False
        #: Requests made with an access token that was refused.
        self._earlier_calls = 0

    @property
    def http_calls(self) -> int:
        """Requests made so far, retries included; correct after a failure, too."""
        return self._tokens.http_calls + self._earlier_calls + self._calls_with_token()

    def report(self, **params: str | int) -> dict[str, Any]:
        """A report of the Analytics API, about this channel.

        The channel is named: as "mine", a token of a brand account could read another one.

        :raises JobError: classified.
        """
        ids = f"channel=={self._account.provider_account_id}"
        return self._get(self._app.analytics, "v2", "reports", ids=ids, **params)

    def data(self, resource: str, **params: str | int) -> dict[str, Any]:
        """A list of the Data API. Each call costs one unit of the project's quota.

        :raises JobError: classified.
        """
        return self._get(self._app.data, "youtube", "v3", resource, **params)

    def _get(self, api: Api, *path: str, **params: str | int) -> dict[str, Any]:
        """The object at ``path``, with a new access token if the one in use is refused, once.

        An access token may end before its time, and slow answers may outlast it. That is no reason to tell
        the channel's owner to connect it again: a refresh token that is dead is refused by its own address.
        """
        client = self._api(api)
        try:
            return client.get(*path, **params)
        except JobError as error:
            if error.code is not ErrorCode.TOKEN_INVALID or self._is_renewed:
                raise
            log.warning("access token refused, fetching a new one", reason=error.reason)
        self._is_renewed = True
        self._earlier_calls += self._calls_with_token()
        self._apis = {}
        self._app.access_tokens.pop(self._account.refresh_token, None)
        return self._api(api).get(*path, **params)

    def _calls_with_token(self) -> int:
        return sum(api.http_calls for api in self._apis.values())

    def _api(self, api: Api) -> ApiClient:
        if not self._apis:
            token = self._access_token()
            self._apis = {
                each: ApiClient(
                    each,
                    token=[token],
                    auth=BearerToken(token),
                    judge=lambda answer: api_verdict(answer, self._secrets),
                )
                for each in (self._app.analytics, self._app.data)
            }
        return self._apis[api]

    def _access_token(self) -> str:
        """The account's access token: fetched once, and kept in memory only."""
        refresh_token = self._account.refresh_token
        if not refresh_token:
            # Postiz's own fault: https://github.com/gitroomhq/postiz-app/issues/1091.
            raise JobError(
                ErrorCode.TOKEN_INVALID,
                "Postiz has no refresh token of this channel, because the channel was reconnected there.",
            )
        token, until = self._app.access_tokens.get(refresh_token, ("", 0.0))
        if time.monotonic() >= until:
            path = urlsplit(PROVIDER.token_address or "").path
            body = self._tokens.post(
                path.strip("/"),
                form={
                    "grant_type": "refresh_token",
                    "refresh_token": refresh_token,
                    "client_id": self._app.client_id,
                    "client_secret": self._app.client_secret,
                },
            )
            given, seconds = body.get("access_token"), body.get("expires_in")
            if not isinstance(given, str) or not re.fullmatch(r"[!-~]+", given):
                raise JobError(ErrorCode.RESPONSE_INVALID, "Google answered without an access token.")
            token = given
            # Before anything else sees it.
            self._account.mask([token])
            lifetime = seconds if isinstance(seconds, int) and 0 < seconds <= _MAX_SECONDS else 0
            until = time.monotonic() + max(lifetime - SPARE_SECONDS, 0)
            self._app.access_tokens[refresh_token] = token, until
        self._secrets.append(token)
        return token
