"""An error of each code, made as the package makes it. docs/errors.md shows their reasons."""

from __future__ import annotations

from collections.abc import Mapping

import psycopg
import requests

from include.social_analytics.databases import translated_errors
from include.social_analytics.errors import ErrorCode, JobError
from include.social_analytics.graph_api.verdicts import classify
from include.social_analytics.http.failures import connection_failure
from include.social_analytics.warehouse import ledger


def _answered(http_status: int, code: int, message: str, **fields: object) -> JobError:
    """What an error of the Graph API becomes."""
    return classify(http_status, {"error": {"code": code, "message": message, **fields}})


def _storing(error: psycopg.Error) -> JobError:
    """What an error of Postgres becomes."""
    try:
        with translated_errors("analytics_db"):
            raise error
    except JobError as translated:
        return translated


EXAMPLES: Mapping[ErrorCode, JobError] = {
    ErrorCode.TOKEN_INVALID: _answered(
        400,
        190,
        "Error validating access token: The session has been invalidated because the user changed their "
        "password.",
        error_subcode=460,
    ),
    ErrorCode.PERMISSION_MISSING: _answered(
        400, 10, "(#10) This endpoint requires the 'pages_read_user_content' permission."
    ),
    ErrorCode.OBJECT_NOT_FOUND: _answered(
        400,
        100,
        "Object with ID '1001' does not exist, cannot be loaded due to missing permissions, or does not "
        "support this operation.",
        error_subcode=33,
    ),
    ErrorCode.ACCOUNT_BLOCKED: _answered(400, 368, "The action attempted has been deemed abusive"),
    ErrorCode.REQUEST_INVALID: _answered(
        400,
        200,
        "Permissions error",
        error_subcode=2069030,
        error_user_msg="This endpoint is not supported in the new Pages experience.",
    ),
    ErrorCode.CONFIG_INVALID: _answered(
        400, 190, "Error validating application. Application has been deleted."
    ),
    ErrorCode.RATE_LIMITED: _answered(403, 4, "(#4) Application request limit reached"),
    ErrorCode.API_UNAVAILABLE: _answered(
        500, 2, "An unexpected error has occurred. Please retry your request later."
    ),
    ErrorCode.NETWORK: connection_failure(requests.ConnectTimeout(TimeoutError()), "graph.facebook.com"),
    ErrorCode.RESPONSE_INVALID: classify(403, None),
    ErrorCode.NOT_PUBLISHED: ledger.NEVER_PUBLISHED,
    ErrorCode.STORAGE_UNAVAILABLE: _storing(
        psycopg.OperationalError('connection to server at "db", port 5432 failed: Connection refused')
    ),
    ErrorCode.UNEXPECTED: _answered(400, 7777, "(#7777) An error that is not in the table"),
}
