"""The one table that says what an error of the Graph API means for a job.

Codes and meanings: https://developers.facebook.com/docs/graph-api/guides/error-handling. The ``type``
of an error is ``OAuthException`` for nearly everything, throttles included, so it decides nothing.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Container, Mapping
from dataclasses import dataclass
from datetime import timedelta

from include.social_analytics.errors import REASON_MAX_LENGTH, ErrorCode, JobError
from include.social_analytics.http.failures import (
    TooMuchData,
    identifier,
    meaning_of_status,
    redact,
    without_explanation,
)

#: The whole app is over its quota, not only one page: no worker should call for a while.
APP_LIMIT_CODE = 4

#: A number beyond these is no code.
_CODES = range(-(2**31), 2**31)
_CODE_IN_MESSAGE = re.compile(r"\s*\(#(\d{1,9})\)")
#: The rules look at this much of a message: it may have millions of characters.
_LOOKED_AT = 4 * REASON_MAX_LENGTH


@dataclass(frozen=True)
class _Rule:
    """Matches when each condition that is given holds; ``text`` is a pattern in the message, in any case."""

    meaning: ErrorCode
    codes: Container[int] | None = None
    subcodes: Container[int] | None = None
    text: str = ""
    is_transient: bool | None = None

    def matches(self, code: int | None, subcode: int | None, message: str, is_transient: object) -> bool:
        return (
            (self.codes is None or code in self.codes)
            and (self.subcodes is None or subcode in self.subcodes)
            and (self.is_transient is None or is_transient is self.is_transient)
            and re.search(self.text, message, re.IGNORECASE) is not None
        )


#: The first match wins. Without a match, ``is_transient`` decides, then the HTTP status.
_RULES = (
    # What is wrong with the app or the connection is the operator's, whatever the code.
    _Rule(ErrorCode.CONFIG_INVALID, codes={5, 15, 101, 104}),
    _Rule(
        ErrorCode.CONFIG_INVALID,
        text="error validating (application|client secret)|non-active apps|valid app id|"
        "api access deactivated",
    ),
    _Rule(ErrorCode.CONFIG_INVALID, codes={1}, text="must use https"),
    _Rule(ErrorCode.CONFIG_INVALID, codes={100}, text="appsecret_proof"),
    # No permission opens an endpoint that new pages do not have, though the code is one for permissions.
    _Rule(ErrorCode.REQUEST_INVALID, subcodes={2069030}),
    # The token is fine, and a new one with the same permissions changes nothing.
    _Rule(ErrorCode.PERMISSION_MISSING, codes={190}, text="impersonat(e|ing)"),
    _Rule(ErrorCode.TOKEN_INVALID, codes={102, 190}),
    # The figures of a story that fewer than five people saw. No permission opens them.
    _Rule(ErrorCode.REQUEST_INVALID, codes={10}, text="not enough viewers"),
    _Rule(ErrorCode.PERMISSION_MISSING, codes={10, *range(200, 300)}),
    _Rule(
        ErrorCode.RATE_LIMITED,
        codes={APP_LIMIT_CODE, 17, 32, 341, 613, *range(80000, 80010), 80014},
    ),
    _Rule(ErrorCode.ACCOUNT_BLOCKED, codes={368}),
    _Rule(ErrorCode.OBJECT_NOT_FOUND, codes={21, 33, 803}),
    _Rule(ErrorCode.REQUEST_INVALID, codes={3, 12, 506, 2500, 3001}),
    # An unknown error may pass, also one that is called lasting. What is wrong with our parameters does not.
    _Rule(
        ErrorCode.REQUEST_INVALID,
        codes={1},
        is_transient=False,
        text=r"\b(param|argument|invalid|unsupported|not supported|field|metric|period|since|until)",
    ),
    _Rule(ErrorCode.API_UNAVAILABLE, codes={1, 2, 960}),
    _Rule(ErrorCode.API_UNAVAILABLE, subcodes={99}),
    # 100 has many meanings. The order matters: a message that names a permission also says "does not exist",
    # and the ordinary one for an object that is gone also says "missing permissions".
    _Rule(ErrorCode.PERMISSION_MISSING, codes={100}, text="requires the '[^']*'.* permission"),
    _Rule(ErrorCode.OBJECT_NOT_FOUND, codes={100}, subcodes={33}),
    _Rule(ErrorCode.OBJECT_NOT_FOUND, codes={100}, text="or does not support this operation"),
    _Rule(ErrorCode.PERMISSION_MISSING, codes={100}, text="missing permission"),
    # On a person's account: somebody connected a page and chose none.
    _Rule(ErrorCode.OBJECT_NOT_FOUND, codes={100}, text=r"does not exist|on node type \(User\)"),
    _Rule(ErrorCode.REQUEST_INVALID, codes={100}),
    _Rule(ErrorCode.TOKEN_INVALID, subcodes={458, 459, 460, 463, 464, 467, 492}),
)


def classify(
    http_status: int,
    answer: object,
    *,
    secrets: Collection[str] = (),
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
    message = _text(fields, "message")
    in_message = _CODE_IN_MESSAGE.match(message)
    code = _integer(fields.get("code"))
    if code is None and in_message:
        code = int(in_message[1])
    subcode = _integer(fields.get("error_subcode"))
    is_transient = fields.get("is_transient")
    own_trace_id = fields.get("fbtrace_id")

    looked_at = _one_line(message[:_LOOKED_AT])
    meaning = next(
        (rule.meaning for rule in _RULES if rule.matches(code, subcode, looked_at, is_transient)), None
    )
    if meaning is None and is_transient is True:
        meaning = ErrorCode.API_UNAVAILABLE
    if meaning is None:
        # A gateway's error may look like the API's, but its code repeats the status, and it has no type.
        own = code not in (None, http_status) or subcode is not None or (message and _text(fields, "type"))
        meaning = meaning_of_status(http_status, in_own_format=bool(own))

    too_much = meaning is ErrorCode.API_UNAVAILABLE and "reduce the amount of data" in looked_at.lower()
    return (TooMuchData if too_much else JobError)(
        meaning,
        _explanation(fields, secrets) or without_explanation(http_status, answer),
        provider_code=None if code is None else str(code),
        provider_subcode=None if subcode is None else str(subcode),
        trace_id=identifier(own_trace_id if isinstance(own_trace_id, str) else trace_id, secrets),
        retry_after=retry_after if meaning is ErrorCode.RATE_LIMITED else None,
    )


def _explanation(fields: Mapping[str, object], secrets: Collection[str]) -> str:
    """The error's texts in one line: often only the texts for users say what is wrong."""
    said = ""
    for name in ("message", "error_user_title", "error_user_msg"):
        more = _one_line(redact(_text(fields, name), secrets))
        if more.rstrip(".").lower() not in said.lower():
            said += f"{'' if said.endswith(('.', '!', '?')) else '.'} {more}" if said else more
    return said


def _text(fields: Mapping[str, object], name: str) -> str:
    """The field's text; empty for anything else."""
    value = fields.get(name)
    return value if isinstance(value, str) else ""


def _one_line(text: str) -> str:
    """``text`` with each run of whitespace as one space: Meta breaks long messages into indented lines."""
    return " ".join(text.split())


def _integer(value: object) -> int | None:
    """A code, also one given as text."""
    if isinstance(value, str) and re.fullmatch(r"-?\d{1,10}", value.strip(), re.ASCII):
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int):
        return None
    return value if value in _CODES else None
