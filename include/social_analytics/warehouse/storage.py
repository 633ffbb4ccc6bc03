"""What a Postgres error means for a job."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
from psycopg import errors

from include.social_analytics.errors import ErrorCode, JobError

#: Errors that stay until somebody changes something. Anything else about the server itself passes.
_CONFIGURATION = (
    errors.InvalidPassword,
    errors.InvalidAuthorizationSpecification,
    errors.InvalidCatalogName,
    errors.InvalidSchemaName,
    errors.InsufficientPrivilege,
    errors.UndefinedTable,
    errors.UndefinedColumn,
    errors.ReadOnlySqlTransaction,
)

#: What is said while connecting carries no SQLSTATE through libpq, only words.
_REFUSED_FOR_GOOD = (
    "password authentication failed",
    "does not exist",
    "no pg_hba.conf entry",
    "is not permitted to log in",
    "permission denied for database",
    "invalid connection option",
    "for connection option",
    "invalid port number",
)


@contextmanager
def storage_errors(conn_id: str) -> Iterator[None]:
    """Turn what Postgres raises inside the block into a :class:`JobError` that names ``conn_id``.

    :raises JobError: ``config_invalid`` for what somebody must correct, ``storage_unavailable`` for a
        server that is gone, overloaded, or chose this transaction to give way. Errors about the
        values that were to be written pass through as they are.
    """
    try:
        yield
    except psycopg.Error as error:
        code = _code(error)
        if code is None:
            raise
        words = error.diag.message_primary or str(error) or type(error).__name__
        raise JobError(code, f"The database of the connection {conn_id!r} says: {words}") from None


def _code(error: psycopg.Error) -> ErrorCode | None:
    if isinstance(error, _CONFIGURATION):
        return ErrorCode.CONFIG_INVALID
    if error.sqlstate is None and any(words in str(error) for words in _REFUSED_FOR_GOOD):
        return ErrorCode.CONFIG_INVALID
    if isinstance(error, (psycopg.OperationalError, psycopg.InterfaceError)):
        return ErrorCode.STORAGE_UNAVAILABLE
    return None
