"""The Chatter connector, on the HTTP client that all providers share: a room's day costs three requests."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal

import requests
from include.social_analytics.connectors.chatter import PROVIDER

from include.social_analytics.airflow_compat import find_connection
from include.social_analytics.connectors.base import Account
from include.social_analytics.connectors.reading import (
    Content,
    DayStatus,
    Reading,
    UnsupportedMetric,
    Window,
    costs_only,
    refusals,
)
from include.social_analytics.cooldown import shared_cooldown
from include.social_analytics.errors import ErrorCode, JobError
from include.social_analytics.http.address import api_address
from include.social_analytics.http.client import Api, ApiAnswer, ApiClient, Quota, Verdict
from include.social_analytics.http.failures import (
    identifier,
    meaning_of_status,
    redact,
    without_explanation,
)
from include.social_analytics.json_values import amount, at, moment, objects, text
from include.social_analytics.settings import Settings

CONNECTION = "chatter_api"
API_VERSION = "2"
#: Our daily metrics, except the one that the API has only as of now.
SERIES = {name: source for name, source in PROVIDER.metrics.items() if name != "followers"}
#: A longer listing is an error of the API.
MAX_LISTING_PAGES = 100
_CODES = {
    "tokenRevoked": ErrorCode.TOKEN_INVALID,
    "scopeMissing": ErrorCode.PERMISSION_MISSING,
    "roomNotFound": ErrorCode.OBJECT_NOT_FOUND,
    "appSuspended": ErrorCode.CONFIG_INVALID,
    "badRequest": ErrorCode.REQUEST_INVALID,
    "quotaExceeded": ErrorCode.RATE_LIMITED,
    "backendError": ErrorCode.API_UNAVAILABLE,
}


def connect(settings: Settings) -> ChatterConnector:
    """The connector, on Airflow's connection ``chatter_api``."""
    known = find_connection(CONNECTION)
    url = api_address(CONNECTION, known, "api.chatter.example")
    return ChatterConnector(
        Api(
            PROVIDER.name,
            url,
            account=PROVIDER.account,
            cooldown=shared_cooldown(PROVIDER.name, CONNECTION, url),
            request_timeout=settings.request_timeout,
            request_backoff=settings.request_backoff,
        )
    )


class ChatterConnector:
    """Makes readers of rooms. Thread-safe."""

    def __init__(self, api: Api) -> None:
        self._api = api

    def reader(self, account: Account) -> ChatterReader:
        """A reader for one room; makes no call yet."""
        return ChatterReader(self._api, account)


class KeyAndSecret(requests.auth.AuthBase):
    """Puts both parts of the token into one header."""

    def __init__(self, secrets: tuple[str, ...]) -> None:
        self._secrets = secrets

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = f"Chatter {';'.join(self._secrets)}"
        return request


class ChatterReader:
    """Reads one room. Used by one thread at a time."""

    def __init__(self, api: Api, account: Account) -> None:
        self._room = account.provider_account_id
        self._secrets = account.secrets
        self._client = ApiClient(
            api, token=account.secrets, auth=KeyAndSecret(account.secrets), judge=self._judge
        )

    @property
    def http_calls(self) -> int:
        """Requests made so far, with retries; also correct after a failure."""
        return self._client.http_calls

    def read(self, window: Window) -> Reading:
        """The room's figures and messages.

        :raises JobError: classified; the only exception for what the API or the network does.
        """
        if len(self._secrets) != 2:
            raise JobError(ErrorCode.TOKEN_INVALID, "The stored token has no two parts.")
        withheld = tuple(one for one in window.refused if one.api_version == API_VERSION)
        known = {one.source_metric for one in withheld}
        refused: tuple[UnsupportedMetric, ...] = ()
        asked = {name: its for name, its in SERIES.items() if its not in known}
        try:
            answered = self._days(window, asked)
        except JobError as error:
            if error.code is not ErrorCode.REQUEST_INVALID:
                raise
            # Chatter names the metrics that it does not have.
            gone = {name: its for name, its in asked.items() if its in error.reason}
            refused = tuple(UnsupportedMetric(API_VERSION, its, error.reason) for its in gone.values())
            asked = {name: its for name, its in asked.items() if name not in gone}
            answered = self._days(window, asked)
        missing: list[str] = []
        now: dict[str, Decimal | None] = {}
        messages: dict[str, Content] = {}
        if not window.is_past:
            with costs_only("The members", missing):
                now["followers"] = amount(self._get().get(PROVIDER.metrics["followers"]))
            with costs_only("Messages", missing):
                self._read_messages(window, messages)
        return Reading(
            window=window,
            days={day: DayStatus.SUCCEEDED if day in answered else DayStatus.PENDING for day in window.days},
            series={
                name: {day: amount(figures.get(source)) for day, figures in answered.items()}
                for name, source in asked.items()
            },
            now=now,
            content=tuple(messages.values()),
            unsupported=refused,
            missing=(*missing, *refusals(refused + withheld)),
        )

    def _get(self, *path: str, **params: str | int) -> dict[str, object]:
        return self._client.get(API_VERSION, "rooms", self._room, *path, **params)

    def _days(self, window: Window, asked: dict[str, str]) -> dict[date, dict[str, object]]:
        body = self._get(
            "daily", metrics=",".join(asked.values()), first=str(window.days[0]), last=str(window.day)
        )
        days = {str(day): day for day in window.days}
        return {
            days[key]: item for item in objects(body.get("days")) if (key := str(item.get("day"))) in days
        }

    def _read_messages(self, window: Window, found: dict[str, Content]) -> None:
        """Read the messages into ``found``, where they stay if a later page fails."""
        cursor: dict[str, str] = {}
        for _ in range(MAX_LISTING_PAGES):
            body = self._get("messages", since=str(window.first_post_day), limit=50, **cursor)
            for item in objects(body.get("messages")):
                content_id, published = text(item.get("id"), 200), moment(item.get("postedAt"))
                if content_id is None or published is None:
                    continue
                if window.first_post_day <= published.date() < window.day + timedelta(days=1):
                    metrics = {ours: amount(item.get(its)) for ours, its in PROVIDER.content_metrics.items()}
                    found[content_id] = Content(
                        content_id,
                        published,
                        "message",
                        text(item.get("text"), 10_000),
                        text(item.get("link"), 2000),
                        metrics=metrics,
                    )
            # Only the cursor: "next" can be any address.
            after = text(body.get("nextCursor"), 200)
            if after is None or cursor == {"cursor": after}:
                break
            cursor = {"cursor": after}

    def _judge(self, answer: ApiAnswer) -> Verdict:
        if 200 <= answer.http_status < 300:
            return Verdict()
        word = identifier(at(answer.body, "error", "reason"), self._secrets)
        code = _CODES.get(word or "")
        if code is None:
            code = meaning_of_status(answer.http_status, in_own_format=word is not None)
        message = text(at(answer.body, "error", "message"), 2000)
        seconds = answer.headers.get("Retry-After", "")
        wait = timedelta(seconds=int(seconds)) if seconds.isdigit() else None
        error = JobError(
            code,
            redact(message, self._secrets)
            if message
            else without_explanation(answer.http_status, answer.body),
            provider_code=word,
            trace_id=identifier(at(answer.body, "error", "requestId"), self._secrets),
            retry_after=wait,
        )
        throttled = code is ErrorCode.RATE_LIMITED and wait is not None
        return Verdict(error, pauses={Quota.ACCOUNT: wait} if throttled and wait else {})
