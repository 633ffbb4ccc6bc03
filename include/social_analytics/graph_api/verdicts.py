"""The one table that says what an answer of the Graph API means for a job.

Codes and meanings: https://developers.facebook.com/docs/graph-api/guides/error-handling. The ``type``
of an error is ``OAuthException`` for nearly everything, throttles included, so it is never looked at.
"""

from __future__ import annotations

import re
from collections.abc import Container, Iterable
from dataclasses import dataclass
from datetime import timedelta

from include.social_analytics.errors import ErrorCode, JobError
from include.social_analytics.http.failures import TooMuchData, identifier, redact, without_explanation

#: The whole app is over its quota, not only one page: no worker should call for a while.
APP_LIMIT_CODE = 4

#: A number beyond these is no code.
_CODES = range(-(2**31), 2**31)
_CODE_IN_MESSAGE = re.compile(r"\s*\(#(\d{1,9})\)")


@dataclass(frozen=True)
class _Rule:
    """Matches when each condition that is given holds; ``text`` is a lower-case part of the message."""

    meaning: ErrorCode
    codes: Container[int] | None = None
    subcodes: Container[int] | None = None
    text: str = ""

    def matches(self, code: int | None, subcode: int | None, message: str) -> bool:
        return (
            (self.codes is None or code in self.codes)
            and (self.subcodes is None or subcode in self.subcodes)
            and self.text in message.lower()
        )


#: The first match wins. Without a match, ``is_transient`` decides, then the HTTP status.
_RULES = (
    # An error of the app is the operator's, even if the code is about the token.
    _Rule(ErrorCode.CONFIG_INVALID, codes={5, 15, 101, 104}),
    _Rule(ErrorCode.CONFIG_INVALID, codes={190}, text="validating application"),
    _Rule(ErrorCode.CONFIG_INVALID, codes=range(200, 300), text="non-active apps"),
    _Rule(ErrorCode.CONFIG_INVALID, codes=range(200, 300), text="valid app id"),
    _Rule(ErrorCode.CONFIG_INVALID, codes={1}, text="must use https"),
    _Rule(ErrorCode.TOKEN_INVALID, codes={102, 190}),
    _Rule(ErrorCode.PERMISSION_MISSING, codes={10, *range(200, 300)}),
    _Rule(
        ErrorCode.RATE_LIMITED,
        codes={APP_LIMIT_CODE, 17, 32, 341, 613, *range(80000, 80010), 80014},
    ),
    _Rule(ErrorCode.ACCOUNT_BLOCKED, codes={368}),
    _Rule(ErrorCode.OBJECT_NOT_FOUND, codes={21, 803}),
    _Rule(ErrorCode.API_UNAVAILABLE, codes={1, 2, 960}),
    _Rule(ErrorCode.API_UNAVAILABLE, subcodes={99}),
    _Rule(ErrorCode.OBJECT_NOT_FOUND, codes={100}, subcodes={33}),
    _Rule(ErrorCode.OBJECT_NOT_FOUND, codes={100}, text="does not exist"),
    _Rule(ErrorCode.CONFIG_INVALID, codes={100}, text="appsecret_proof"),
    _Rule(ErrorCode.REQUEST_INVALID, codes={3, 100, 2500}),
    _Rule(ErrorCode.TOKEN_INVALID, subcodes={458, 459, 460, 463, 464, 467, 492}),
)

_BY_STATUS = {
    401: ErrorCode.TOKEN_INVALID,
    403: ErrorCode.PERMISSION_MISSING,
    404: ErrorCode.OBJECT_NOT_FOUND,
    429: ErrorCode.RATE_LIMITED,
}


def classify(
    http_status: int,
    answer: object,
    *,
    secrets: Iterable[str] = (),
    trace_id: str | None = None,
    retry_after: timedelta | None = None,
) -> JobError:
    """The failure that an answer means.

    :param answer: the parsed body; anything but an object counts as "not the API's format".
    :param secrets: texts that must not show in the reason, even if the API echoes them.
    :param trace_id: used if the error itself has none.
    :param retry_after: how long the API asks to wait; kept only if a quota is spent.
    """
    error = answer.get("error") if isinstance(answer, dict) else None
    fields = error if isinstance(error, dict) else {"message": error}
    message = fields.get("message")
    message = message if isinstance(message, str) else ""
    in_message = _CODE_IN_MESSAGE.match(message)
    code = _integer(fields.get("code"))
    if code is None and in_message:
        code = int(in_message[1])
    subcode = _integer(fields.get("error_subcode"))
    own_trace_id = fields.get("fbtrace_id")

    meaning = next((rule.meaning for rule in _RULES if rule.matches(code, subcode, message)), None)
    if meaning is None and fields.get("is_transient") is True:
        meaning = ErrorCode.API_UNAVAILABLE
    if meaning is None:
        meaning = _BY_STATUS.get(http_status)
    if meaning is None and http_status >= 500:
        meaning = ErrorCode.API_UNAVAILABLE
    if meaning is None:
        meaning = ErrorCode.RESPONSE_INVALID if error is None else ErrorCode.UNEXPECTED

    too_much = meaning is ErrorCode.API_UNAVAILABLE and "reduce the amount of data" in message.lower()
    return (TooMuchData if too_much else JobError)(
        meaning,
        redact(message, secrets) or without_explanation(http_status, answer),
        provider_code=None if code is None else str(code),
        provider_subcode=None if subcode is None else str(subcode),
        trace_id=identifier(own_trace_id if isinstance(own_trace_id, str) else trace_id, secrets),
        retry_after=retry_after if meaning is ErrorCode.RATE_LIMITED else None,
    )


def _integer(value: object) -> int | None:
    """A code, also one given as text."""
    if isinstance(value, str) and re.fullmatch(r"-?\d{1,10}", value.strip(), re.ASCII):
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int):
        return None
    return value if value in _CODES else None
