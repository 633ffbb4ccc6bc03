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

#: What a server says while connecting carries no SQLSTATE through libpq, only its words.
_REFUSED_FOR_GOOD = ("password authentication failed", "does not exist", "no pg_hba.conf entry")


@contextmanager
def storage_errors(conn_id: str) -> Iterator[None]:
    """Turn what Postgres raises inside the block into a :class:`JobError` that names ``conn_id``.

    :raises JobError: ``config_invalid`` for what somebody must correct, ``storage_unavailable`` for a
        server that is gone, overloaded, or chose this transaction to give way. Errors about the
        values that were to be written pass through as they are.
    """
    try:
        yield
    except _CONFIGURATION as error:
        raise JobError(ErrorCode.CONFIG_INVALID, _sentence(conn_id, error)) from None
    except (psycopg.OperationalError, psycopg.InterfaceError) as error:
        for_good = error.sqlstate is None and any(words in str(error) for words in _REFUSED_FOR_GOOD)
        code = ErrorCode.CONFIG_INVALID if for_good else ErrorCode.STORAGE_UNAVAILABLE
        raise JobError(code, _sentence(conn_id, error)) from None


def _sentence(conn_id: str, error: psycopg.Error) -> str:
    words = error.diag.message_primary or (str(error).strip().splitlines() or [""])[-1]
    return f"The database of the connection {conn_id!r} says: {words or type(error).__name__}"
