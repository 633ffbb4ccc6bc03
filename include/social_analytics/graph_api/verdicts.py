"""The one table that says what an answer of the Graph API, or none, means for a job.

Codes and meanings: https://developers.facebook.com/docs/graph-api/guides/error-handling. The ``type``
of an error is ``OAuthException`` for nearly everything, throttles included, so it is never looked at.
"""

from __future__ import annotations

import re
from collections.abc import Container, Iterable
from dataclasses import dataclass
from datetime import timedelta

import requests
import urllib3

from include.social_analytics.errors import REASON_MAX_LENGTH, ErrorCode, JobError

#: The whole app is over its quota, not one page: nobody should call for a while.
APP_LIMIT_CODE = 4

#: A number beyond these is no code.
_CODES = range(-(2**31), 2**31)
_CODE_IN_MESSAGE = re.compile(r"\s*\(#(\d{1,9})\)")
_TRACE_ID = re.compile(r"[\w+/=:.-]{1,100}", re.ASCII)
_REDACTED = "[redacted]"
#: The patterns look at no more of a text: on long words they take the square of its length, and an answer
#: may have millions of characters. What they take away shortens it, so this is more than a reason keeps.
_LOOKED_AT = 4 * REASON_MAX_LENGTH
_QUERY_STRING = re.compile(r"(?<=\S)\?[^\s\"'<>]+")
_NAMED_SECRET = re.compile(
    r"(?i)\b(\w*(?:access_?token|appsecret_proof|client_secret)\w*|bearer|oauth)"
    r"(?:[\"'\s]*(?:[=:]|%3d)[\"'\s]*|(?<=bearer)\s+|(?<=oauth)\s+(?=\S{20}))[^\s&\"',;]+"
)
_OPAQUE_SECRET = re.compile(r"EAA[\w-]{12,}|(?=[\w|-]*[A-Z])(?=[\w|-]*\d)[\w|-]{40,}")


class TooMuchData(JobError):
    """The answer would be, or is, too large: asking the same again is no use, asking for less is."""


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


#: The first that matches wins; what none matches is judged by ``is_transient``, then by HTTP status.
_RULES = (
    _Rule(ErrorCode.TOKEN_INVALID, codes={102, 190}),
    _Rule(ErrorCode.PERMISSION_MISSING, codes={10, *range(200, 300)}),
    _Rule(
        ErrorCode.RATE_LIMITED,
        codes={APP_LIMIT_CODE, 17, 32, 341, 613, *range(80000, 80010), 80014},
    ),
    _Rule(ErrorCode.ACCOUNT_BLOCKED, codes={368}),
    _Rule(ErrorCode.OBJECT_NOT_FOUND, codes={21, 803}),
    _Rule(ErrorCode.CONFIG_INVALID, codes={104}),
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
    """The failure that an answer stands for.

    :param answer: the parsed body; anything but an object counts as "not the API's format".
    :param secrets: texts that must not show in the reason, whatever the API echoes.
    :param trace_id: used when the error itself carries none.
    :param retry_after: how long the API asks to be left alone; kept for throttles only.
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
        redact(message, secrets) or _without_explanation(http_status, answer),
        provider_code=None if code is None else str(code),
        provider_subcode=None if subcode is None else str(subcode),
        trace_id=_trace_id(own_trace_id if isinstance(own_trace_id, str) else trace_id, secrets),
        retry_after=retry_after if meaning is ErrorCode.RATE_LIMITED else None,
    )


def classify_exception(error: Exception, host: str) -> JobError:
    """The failure that no (usable) answer stands for.

    Never quotes the exception: its text holds the request's URL, and with it ``appsecret_proof``.
    """
    if isinstance(
        error,
        (
            requests.exceptions.InvalidURL,
            requests.exceptions.InvalidSchema,
            requests.exceptions.MissingSchema,
        ),
    ):
        return JobError(
            ErrorCode.CONFIG_INVALID, "The address of the Graph API or of the proxy is not a valid URL."
        )
    if isinstance(error, (requests.exceptions.ContentDecodingError, urllib3.exceptions.DecodeError)):
        return JobError(
            ErrorCode.RESPONSE_INVALID, f"{host} answered with a compression that cannot be undone."
        )
    cause = _innermost(error)
    # For urllib3 a connection that could not be made, for want of an address say, is a time-out, too.
    if isinstance(cause, (TimeoutError, urllib3.exceptions.TimeoutError)) and not isinstance(
        cause, urllib3.exceptions.NewConnectionError
    ):
        return JobError(ErrorCode.NETWORK, f"{host} did not answer in time ({type(cause).__name__}).")
    return JobError(ErrorCode.NETWORK, f"The connection to {host} failed ({type(cause).__name__}).")


def redact(text: str, secrets: Iterable[str] = ()) -> str:
    """``text`` without the secrets, whatever looks like one, query strings, and what UTF-8 cannot hold.

    Only its beginning, which is more than a reason keeps.
    """
    for secret in filter(None, secrets):
        text = text.replace(secret, _REDACTED)
    text = _QUERY_STRING.sub("", text[:_LOOKED_AT])
    text = _NAMED_SECRET.sub(rf"\1={_REDACTED}", text)
    text = _OPAQUE_SECRET.sub(_REDACTED, text)
    return text.encode(errors="replace").decode()


def _integer(value: object) -> int | None:
    """A code, also one given as text."""
    if isinstance(value, str) and re.fullmatch(r"-?\d{1,10}", value.strip(), re.ASCII):
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int):
        return None
    return value if value in _CODES else None


def _trace_id(value: str | None, secrets: Iterable[str]) -> str | None:
    if value is None or not _TRACE_ID.fullmatch(value) or redact(value, secrets) != value:
        return None
    return value


def _without_explanation(http_status: int, answer: object) -> str:
    if 300 <= http_status < 400:
        return f"The API answered HTTP {http_status}, a redirect; redirects are never followed."
    if not isinstance(answer, dict):
        return f"The API answered HTTP {http_status} with a body that is not a JSON object."
    return f"The API answered HTTP {http_status} without an explanation."


def _innermost(error: BaseException) -> BaseException:
    """The exception that ``requests`` and ``urllib3`` wrapped, whose name says what went wrong."""
    inner = [part for part in (*error.args, getattr(error, "reason", None)) if isinstance(part, Exception)]
    return _innermost(inner[-1]) if inner else error
