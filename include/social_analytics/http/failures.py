"""What a failed request to any API means, and which of its texts may be shown."""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterable
from urllib.parse import quote

import requests
import urllib3

from include.social_analytics.errors import REASON_MAX_LENGTH, ErrorCode, JobError

_IDENTIFIER = re.compile(r"[\w+/=:.-]{1,100}", re.ASCII)
_REDACTED = "[redacted]"
#: The patterns search only this much of a text: on long words their time grows with the square of the length,
#: and an answer may have millions of characters. They shorten the text, so this is more than a reason keeps.
_LOOKED_AT = 4 * REASON_MAX_LENGTH
_QUERY_STRING = re.compile(r"(?<=\S)\?[^\s\"'<>]+")
_NAMED_SECRET = re.compile(
    r"(?i)\b(\w*(?:access_?token|refresh_?token|appsecret_proof|client_secret)\w*|bearer|oauth)"
    r"(?:[\"'\s]*(?:[=:]|%3d)[\"'\s]*|(?<=bearer)\s+|(?<=oauth)\s+(?=\S{20}))[^\s&\"',;]+"
)
_OPAQUE_SECRET = re.compile(r"EAA[\w-]{12,}|(?=[\w|-]*[A-Z])(?=[\w|-]*\d)[\w|-]{40,}")


#: What a status means in an error whose own code says nothing.
_BY_STATUS = {
    401: ErrorCode.TOKEN_INVALID,
    403: ErrorCode.PERMISSION_MISSING,
    404: ErrorCode.OBJECT_NOT_FOUND,
}


class TooMuchData(JobError):
    """The answer is too large. The same request would fail again; a request for less may work."""


def connection_failure(error: Exception, host: str) -> JobError:
    """The failure of a request without a usable answer.

    Never quotes the exception: its text holds the request's URL, and the query may hold a secret.
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
            ErrorCode.CONFIG_INVALID, "The address of the API or of the proxy is not a valid URL."
        )
    if isinstance(error, zlib.error):
        return JobError(ErrorCode.RESPONSE_INVALID, f"{host} sent an answer that cannot be decompressed.")
    cause = _innermost(error)
    # In urllib3, a connection that could not be made, for example without an address, is a timeout, too.
    if isinstance(cause, (TimeoutError, urllib3.exceptions.TimeoutError)) and not isinstance(
        cause, urllib3.exceptions.NewConnectionError
    ):
        return JobError(ErrorCode.NETWORK, f"{host} did not answer in time ({type(cause).__name__}).")
    return JobError(ErrorCode.NETWORK, f"The connection to {host} failed ({type(cause).__name__}).")


def meaning_of_status(http_status: int, *, in_own_format: bool) -> ErrorCode:
    """What an answer means if no code in it is known.

    :param in_own_format: whether the body is the provider's own kind of error. A proxy, a firewall or a wrong
        host answers 401, 403 and 404, too, and that says nothing about the account.
    """
    if http_status == 429:
        return ErrorCode.RATE_LIMITED
    if http_status >= 500:
        return ErrorCode.API_UNAVAILABLE
    return _BY_STATUS.get(http_status, ErrorCode.UNEXPECTED) if in_own_format else ErrorCode.RESPONSE_INVALID


def without_explanation(http_status: int, body: object) -> str:
    """The reason for an answer that does not give one.

    :param body: parsed; None when it is not JSON.
    """
    if 300 <= http_status < 400:
        return f"The API answered HTTP {http_status}, a redirect; redirects are never followed."
    if not isinstance(body, dict):
        return f"The API answered HTTP {http_status} with a body that is not a JSON object."
    return f"The API answered HTTP {http_status} without an explanation."


def redact(text: str, secrets: Iterable[str] = ()) -> str:
    """``text`` without the secrets, what looks like a secret, query strings, and what UTF-8 cannot hold.

    Only the beginning of the text, which is more than a reason keeps. A secret may be quoted, as in a form.
    """
    for secret in filter(None, secrets):
        text = text.replace(secret, _REDACTED).replace(quote(secret, safe=""), _REDACTED)
    text = _QUERY_STRING.sub("", text[:_LOOKED_AT])
    text = _NAMED_SECRET.sub(rf"\1={_REDACTED}", text)
    text = _OPAQUE_SECRET.sub(_REDACTED, text)
    return text.encode(errors="replace").decode()


def identifier(value: object, secrets: Iterable[str] = ()) -> str | None:
    """A code or trace id, as the API gave it; None when it is not a short ASCII word, or may be a secret."""
    if not isinstance(value, str) or not _IDENTIFIER.fullmatch(value) or redact(value, secrets) != value:
        return None
    return value


def _innermost(error: BaseException) -> BaseException:
    """The exception that ``requests`` and ``urllib3`` wrapped: its name says what went wrong."""
    inner = [part for part in (*error.args, getattr(error, "reason", None)) if isinstance(part, Exception)]
    return _innermost(inner[-1]) if inner else error
