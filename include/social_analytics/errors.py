"""What can go wrong with a job: two classes and a few codes, which the ledger records.

Every failure that the package knows is a :class:`JobError` with one :class:`ErrorCode`.
The code alone decides whether another try is worth it and who resolves it.
"""

from __future__ import annotations

import re
from datetime import timedelta
from enum import StrEnum

REASON_MAX_LENGTH = 500
_CONTROL_CHARACTERS = re.compile(r"[\x00-\x1f\x7f]+")


class ErrorClass(StrEnum):
    """``transient`` is retried. ``permanent`` stops that one integration at once."""

    TRANSIENT = "transient"
    PERMANENT = "permanent"


class ResolvedBy(StrEnum):
    """Who can end the failure: the channel's owner, the Airflow operator, or time."""

    OWNER = "owner"
    OPERATOR = "operator"
    TIME = "time"


class ErrorCode(StrEnum):
    """The ledger's ``error_code``: its class, who resolves it, and what they do.

    A provider may have advice of its own (``Provider.advice_on``).
    """

    error_class: ErrorClass
    resolved_by: ResolvedBy
    advice: str

    def __new__(cls, value: str, error_class: ErrorClass, resolved_by: ResolvedBy, advice: str) -> ErrorCode:
        member = str.__new__(cls, value)
        member._value_ = value
        member.error_class = error_class
        member.resolved_by = resolved_by
        member.advice = advice
        return member

    @classmethod
    def named(cls, value: str) -> ErrorCode:
        """The code with the name ``value``; ``unexpected`` if only a later version knows it."""
        return cls.__members__.get(value.upper(), cls.UNEXPECTED)

    @property
    def is_final(self) -> bool:
        """Whether another try in the same run is useless.

        ``rate_limited`` is final, too: a job fails with it only after it has waited as long as a run may.
        """
        return self.error_class is ErrorClass.PERMANENT or self is ErrorCode.RATE_LIMITED

    @property
    def ends_reading(self) -> bool:
        """Whether the rest of the account cannot be read either. Any other error costs what was asked for."""
        return self in (
            ErrorCode.TOKEN_INVALID,
            ErrorCode.ACCOUNT_BLOCKED,
            ErrorCode.CONFIG_INVALID,
            ErrorCode.RATE_LIMITED,
            ErrorCode.STORAGE_UNAVAILABLE,
        )

    TOKEN_INVALID = (
        "token_invalid",
        ErrorClass.PERMANENT,
        ResolvedBy.OWNER,
        "Reconnect the channel in Postiz.",
    )
    PERMISSION_MISSING = (
        "permission_missing",
        ErrorClass.PERMANENT,
        ResolvedBy.OWNER,
        "Reconnect the channel in Postiz as someone who manages the account, and grant the permission "
        "that the reason names.",
    )
    OBJECT_NOT_FOUND = (
        "object_not_found",
        ErrorClass.PERMANENT,
        ResolvedBy.OWNER,
        "The account is gone, or its token may no longer read it: connect it again in Postiz, "
        "or disable the channel.",
    )
    ACCOUNT_BLOCKED = (
        "account_blocked",
        ErrorClass.PERMANENT,
        ResolvedBy.OWNER,
        "The provider blocks the account for now: its owner resolves this with the provider. "
        "The next run tries again.",
    )
    REQUEST_INVALID = (
        "request_invalid",
        ErrorClass.PERMANENT,
        ResolvedBy.OPERATOR,
        "The provider refuses the request itself: check the API version, upgrade this package, report it.",
    )
    CONFIG_INVALID = (
        "config_invalid",
        ErrorClass.PERMANENT,
        ResolvedBy.OPERATOR,
        "Correct the setting, connection, app or app secret that the reason names, then clear the task.",
    )
    RATE_LIMITED = (
        "rate_limited",
        ErrorClass.TRANSIENT,
        ResolvedBy.TIME,
        "The API's quota was spent for hours: clear the task later; if it recurs, raise the app's quota.",
    )
    API_UNAVAILABLE = (
        "api_unavailable",
        ErrorClass.TRANSIENT,
        ResolvedBy.TIME,
        "The provider's API was down: clear the task, or wait: the look-back of the next days reads the day.",
    )
    NETWORK = (
        "network",
        ErrorClass.TRANSIENT,
        ResolvedBy.TIME,
        "The API could not be reached from the workers: check DNS, proxy and firewall, then clear the task.",
    )
    RESPONSE_INVALID = (
        "response_invalid",
        ErrorClass.TRANSIENT,
        ResolvedBy.TIME,
        "The answer did not have the API's format: check the connection's host, proxy and firewall, "
        "then clear the task; if it recurs, report it.",
    )
    NOT_PUBLISHED = (
        "not_published",
        ErrorClass.TRANSIENT,
        ResolvedBy.TIME,
        "The provider did not publish the day while runs still read it again: backfill the day.",
    )
    STORAGE_UNAVAILABLE = (
        "storage_unavailable",
        ErrorClass.TRANSIENT,
        ResolvedBy.OPERATOR,
        "Postgres did not answer: restore it, then clear the task.",
    )
    UNEXPECTED = (
        "unexpected",
        ErrorClass.TRANSIENT,
        ResolvedBy.OPERATOR,
        "An unknown error: read the task's log; if it recurs, report it.",
    )


class JobError(Exception):
    """A job's failure, with everything that someone will want to know at 3 a.m.

    Its texts are cut to ``REASON_MAX_LENGTH`` characters and hold only what Postgres can store.
    Remove secrets from an API's text before you put it into one.
    """

    def __init__(
        self,
        code: ErrorCode,
        reason: str,
        *,
        provider_code: str | None = None,
        provider_subcode: str | None = None,
        trace_id: str | None = None,
        retry_after: timedelta | None = None,
    ) -> None:
        """
        :param code: decides class and advice.
        :param reason: one sentence for people.
        :param provider_code: the provider's own error code, a number or a word.
        :param provider_subcode: the provider's own subcode.
        :param trace_id: the provider's id of the request.
        :param retry_after: how long the provider asks to wait.
        """
        self.code = code
        self.reason = _storable(reason)
        self.provider_code = provider_code and _storable(provider_code)
        self.provider_subcode = provider_subcode and _storable(provider_subcode)
        self.trace_id = trace_id and _storable(trace_id)
        self.retry_after = retry_after
        super().__init__(f"{code}: {self.reason}")

    @property
    def error_class(self) -> ErrorClass:
        """``transient`` or ``permanent``, as the code says."""
        return self.code.error_class


def is_storable(text: str) -> bool:
    """Whether Postgres can hold the text: it has no NUL and no lone surrogate."""
    return "\0" not in text and text.encode(errors="ignore").decode() == text


def _storable(text: str) -> str:
    """Without control characters and lone surrogates, and not too long."""
    text = _CONTROL_CHARACTERS.sub(" ", text[: 2 * REASON_MAX_LENGTH]).strip()[:REASON_MAX_LENGTH]
    return text.encode(errors="replace").decode()
